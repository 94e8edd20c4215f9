"""A Hugging Face text classifier, made here, registered and served by the real libraries: no hub, no network."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import tiny_bert
from flask.testing import FlaskClient
from processes import ROOT, Client, Load, Server, need, wait_until
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from app import create_app, store
from app.engines import text_classifier
from app.errors import DeadlineExceeded, StoreError, VersionRefused
from app.service import Call
from app.settings import Settings
from app.store import huggingface, upkeep
from app.store.catalog import ModelStore

ASKED = ["it was lovely", "We had such a boring day, and that is all that there is to say of it", "a parcel", ""]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LONG = "what a great " + "day " * 500


@pytest.fixture(scope="module", autouse=True)
def libraries() -> None:
    need("transformers", there=all(find_spec(name) for name in text_classifier.LIBRARIES))


@pytest.fixture(scope="module")
def bert(libraries: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert.make(tmp_path_factory.mktemp("bert") / "tiny")


@pytest.fixture(scope="module")
def pipeline(bert: Path) -> Callable[..., Any]:
    """What its author would have: transformers' own pipeline over the folder."""
    from transformers import pipeline

    return pipeline("text-classification", model=str(bert), device="cpu")  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def saved_once(bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("store")
    huggingface.save_classifier(huggingface.read_folder(bert), "tone", texts=tiny_bert.TEXTS, root=root)
    return root


@pytest.fixture
def root(saved_once: Path, tmp_path: Path) -> Path:
    """A store of its own with the model in it."""
    return shutil.copytree(saved_once, tmp_path / "store")


@pytest.fixture
def client(root: Path) -> Iterator[FlaskClient]:
    app = create_app(Settings(model_store=root))
    yield app.test_client()
    app.extensions["service"].models.stop()


def classify(client: FlaskClient, text: Any) -> Any:
    reply = client.post("/classify", json={"text": text})
    assert reply.status_code == 200, reply.text
    return reply.get_json()


@pytest.mark.parametrize("text", [*ASKED, LONG], ids=["short", "longer", "other", "empty", "too long"])
def test_label_and_score_are_the_pipelines_own(client: FlaskClient, pipeline: Any, text: str) -> None:
    assert [classify(client, text)] == pipeline(text, truncation=True)


def test_a_list_is_answered_in_its_order(client: FlaskClient, pipeline: Any) -> None:
    texts = [*tiny_bert.TEXTS, *ASKED, LONG] * 10
    found, expected = classify(client, texts), pipeline(texts, truncation=True)
    assert [told["label"] for told in found] == [told["label"] for told in expected]
    assert [told["score"] for told in found] == pytest.approx([told["score"] for told in expected], rel=1e-5)
    assert {told["label"] for told in found} == set(tiny_bert.LABELS)


def test_predict_and_predict_proba_answer_as_of_any_classifier(client: FlaskClient, pipeline: Any) -> None:
    text = ASKED[0]
    proba = client.post("/models/tone/predict_proba", json={"text": text}).get_json()
    scores = {told["label"]: told["score"] for told in pipeline(text, top_k=None)}
    assert proba["classes"] == list(tiny_bert.LABELS)
    assert proba["prediction"] == [scores[label] for label in tiny_bert.LABELS]
    assert client.post("/predict", json={"text": text}).get_json() == {"prediction": "good"}


def test_nothing_of_a_text_counts_beyond_the_models_longest(client: FlaskClient) -> None:
    assert classify(client, LONG) == classify(client, LONG + "awful boring dull")
    assert (
        ModelStore(client.application.extensions["service"].settings.model_store).manifest("tone", 1).data["max_tokens"]
        == tiny_bert.MAX_TOKENS
    )


def test_texts_in_several_threads_are_answered_as_alone(root: Path) -> None:
    engine = store.load("tone", root=root).estimator
    texts = [tiny_bert.TEXTS[:7], tiny_bert.TEXTS[5:6], [*ASKED], [LONG]] * 20
    alone = [engine.predict_proba(part).tolist() for part in texts]
    with ThreadPoolExecutor(4) as threads:
        assert [found.tolist() for found in threads.map(engine.predict_proba, texts)] == alone


def test_the_script_registers_a_folder_and_says_how_to_ask_it(bert: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("\n".join(tiny_bert.TEXTS))
    command = [sys.executable, ROOT / "scripts" / "register.py", bert, "--name", "tone", "--sample", "texts.txt"]
    environ = {**os.environ, "MODEL_STORE": str(tmp_path / "store")}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "texts are cut after 32 tokens\nfound text-classification on texts: predict, predict_proba" in done.stdout
    manifest = ModelStore(tmp_path / "store").manifest("tone", 1)
    assert set(manifest.library) == {"python", "numpy", "transformers", "tokenizers", "torch", "safetensors"}
    assert manifest.golden.rows[0] == tiny_bert.TEXTS[0]
    assert {path.split("/")[0] for path in manifest.files} == {"transformers"}


def test_weights_in_several_files_are_one_model(bert: Path, root: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    folder = shutil.copytree(bert, tmp_path / "sharded")
    (folder / "model.safetensors").unlink()
    AutoModelForSequenceClassification.from_pretrained(bert).save_pretrained(folder, max_shard_size="20KB")
    files = huggingface.read_folder(folder)
    assert sum(path.endswith(".safetensors") for path in files) > 2
    built = text_classifier.build(files)
    assert not any(path.endswith(".safetensors") for path in files)
    assert (
        built.predict_proba(ASKED[:1]).tolist()
        == store.load("tone", root=root).estimator.predict_proba(ASKED[:1]).tolist()
    )


def test_a_vocabulary_becomes_a_tokenizer_that_needs_no_conversion(tmp_path: Path) -> None:
    from transformers import pipeline

    folder = tiny_bert.make(tmp_path / "old", vocabulary_only=True)
    files = huggingface.read_folder(folder)
    assert "transformers/tokenizer.json" in files
    assert "transformers/vocab.txt" not in files
    own = pipeline("text-classification", model=str(folder), device="cpu")
    scores = {told["label"]: told["score"] for told in own(ASKED[1], top_k=None)}
    assert text_classifier.build(files).predict_proba([ASKED[1]])[0].tolist() == [
        scores[label] for label in tiny_bert.LABELS
    ]


def test_a_model_that_cannot_pad_is_asked_one_by_one(bert: Path, tmp_path: Path, pipeline: Any) -> None:
    folder = shutil.copytree(bert, tmp_path / "unpadded")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {key: value for key, value in settings.items() if key != "pad_token"}
            | {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": None}
        )
    )
    saved = huggingface.save_classifier(huggingface.read_folder(folder), "tone", root=tmp_path / "store")
    model = store.load("tone", root=tmp_path / "store")
    assert (saved.version, model.manifest.engine["batch"]) == (1, 1)
    assert model.estimator.predict(ASKED).tolist() == [told["label"] for told in pipeline(ASKED)]


def test_a_model_without_its_head_is_refused(bert: Path, tmp_path: Path) -> None:
    from transformers import AutoModel

    folder = shutil.copytree(bert, tmp_path / "headless")
    config = (folder / "config.json").read_bytes()
    AutoModel.from_pretrained(bert).save_pretrained(folder)
    (folder / "config.json").write_bytes(config)
    with pytest.raises(StoreError, match=r"lacks weights .*: classifier\.bias, classifier\.weight"):
        text_classifier.build(huggingface.read_folder(folder))


def test_code_of_the_authors_is_refused_beside_the_tokenizer_too(bert: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bert, tmp_path / "code")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"auto_map": {"AutoTokenizer": ["a.B", None]}}))
    with pytest.raises(StoreError, match=r"tokenizer_config\.json has auto_map"):
        text_classifier.build(huggingface.read_folder(folder))


def test_a_model_that_promises_longer_texts_than_it_takes_is_cut_to_what_it_takes(bert: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bert, tmp_path / "boastful")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"model_max_length": 10**30}))
    built = text_classifier.build(huggingface.read_folder(folder))
    assert built.max_tokens == tiny_bert.MAX_TOKENS
    assert built.predict([LONG]).tolist() == ["good"]


# Loading


def test_nobody_is_asked_for_anything_while_it_is_loaded_and_answers(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: asked.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **_: asked.append(address))
    assert store.load("tone", root=root).estimator.predict(ASKED[:1]).tolist() == ["good"]
    assert asked == []
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_weights_that_were_tampered_with_are_refused(root: Path) -> None:
    weights = root / "tone" / "1" / "transformers" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(VersionRefused, match=r"transformers/model.safetensors is not the file that was saved"):
        store.load("tone", root=root)


def change_manifest(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = root / "tone" / "1" / "manifest.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def test_another_transformers_is_served_where_its_golden_rows_agree(root: Path) -> None:
    def older(document: dict[str, Any]) -> None:
        document["library"]["transformers"] = document["library"]["torch"] = "1.0.0"

    change_manifest(root, older)
    assert store.load("tone", root=root).estimator.predict(ASKED[:1]).tolist() == ["good"]
    with pytest.raises(StoreError, match="nothing to recheck"):
        upkeep.recheck(ModelStore(root), "tone", 1)


@pytest.mark.parametrize(("factor", "served"), [(1 + 2e-4, True), (1 + 5e-3, False)])
def test_golden_rows_may_differ_by_the_digits_that_another_processor_moves(
    root: Path, factor: float, served: bool
) -> None:
    def move(document: dict[str, Any]) -> None:
        document["golden"]["outputs"]["predict_proba"][0][0] *= factor

    change_manifest(root, move)
    if served:
        assert store.load("tone", root=root).version == 1
    else:
        with pytest.raises(VersionRefused, match="predict_proba of the golden rows is not what it was"):
            store.load("tone", root=root)


def test_where_the_libraries_are_gone_the_version_is_refused_and_the_old_one_stays(
    root: Path, bert: Path, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_words(root)
    service = client.application.extensions["service"]
    wait_until(lambda: service.models.manifest("tone").version == 2, "the linear model answers")
    huggingface.save_classifier(huggingface.read_folder(bert), "tone", root=root, promote=False)
    monkeypatch.setattr(text_classifier, "LIBRARIES", ("no_such_library",))
    service.models.stop()
    ModelStore(root).promote("tone", 3)
    service.models.refresh()
    refused = client.post("/models/tone/versions/3/predict", json={"text": "fun"})
    assert refused.status_code == 503
    assert "pip install -r requirements-transformers.txt" in refused.get_json()["detail"]
    assert client.post("/models/tone/predict", json={"text": "fun"}).headers["X-Model-Version"] == "2"


def test_a_request_that_takes_too_long_is_given_up(client: FlaskClient) -> None:
    service = client.application.extensions["service"]
    classify(client, "fun")
    service.settings = Settings(request_timeout=1e-9)
    body = json.dumps({"text": ["fun"] * 600}).encode()
    with pytest.raises(DeadlineExceeded, match="600 rows take longer than 1e-09 seconds; send fewer at a time"):
        service.answer(Call("classify", body, "tone", content_type="application/json"))


def test_without_such_a_model_no_service_imports_its_libraries(tmp_path: Path) -> None:
    save_words(tmp_path)
    code = (
        "import sys; from pathlib import Path; from app import create_app; from app.settings import Settings;"
        f"app = create_app(Settings(model_store=Path({str(tmp_path)!r})), watch=False);"
        "reply = app.test_client().post('/classify', json={'text': 'fun'});"
        f"print(reply.status_code, sorted(set({text_classifier.LIBRARIES!r}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "200 []\n"


# The hub


def test_a_model_of_the_hub_is_read_as_it_was_at_its_commit(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(StoreError, match="owner/name cannot be fetched"):
        huggingface.fetch("owner/name", commit)
    snapshot = tmp_path / "models--owner--name" / "snapshots" / commit
    shutil.copytree(bert, snapshot)
    assert huggingface.fetch("owner/name", commit) == snapshot


# Real workers


def test_readmes_commands_serve_a_model(
    bert: Path, tmp_path: Path, gunicorn: Callable[..., Server], pipeline: Any
) -> None:
    need("curl")
    for name, target in {".venv": sys.prefix, "scripts": ROOT / "scripts", "my-bert": bert}.items():
        (tmp_path / name).symlink_to(target)
    block = re.search(r"^.*pip install -r requirements-transformers.txt\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert block, "README has no commands for such a model"
    register, ask = block[1].strip().splitlines()
    environ = {**os.environ, "MODEL_STORE": str(tmp_path / "store")}
    subprocess.run(register, shell=True, cwd=tmp_path, env=environ, capture_output=True, check=True)
    server = gunicorn(WEB_CONCURRENCY="1")
    line = ask.replace("localhost:8000", f"localhost:{server.port}")
    done = subprocess.run(line, shell=True, capture_output=True, check=True)
    assert [json.loads(done.stdout)] == pipeline("what a lovely day")


def save_words(root: Path) -> None:
    """Save a linear model of the same labels."""
    labels = [tiny_bert.label_of(text) for text in tiny_bert.TEXTS]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(tiny_bert.TEXTS, labels)
    store.save(model, list(tiny_bert.TEXTS), "tone", root=root)


def test_workers_answer_after_the_fork_and_swap_under_load(
    root: Path, gunicorn: Callable[..., Server], pipeline: Any
) -> None:
    # The master has loaded and asked the model before it forks; threads of its libraries' would be none after that.
    server = gunicorn(OMP_NUM_THREADS="2")
    expected = {(1, json.dumps(told)) for text in ASKED[:2] for told in pipeline(text)}
    turn = iter(range(10**9))

    def ask(client: Client) -> tuple[int, str]:
        answer = client.ask("POST", "/classify", {"text": ASKED[next(turn) % 2]})
        assert answer.status == 200, answer.body
        return answer.version, json.dumps(answer.json)

    with Load(server.port, ask) as load:
        wait_until(lambda: len(load.answers) > 50, "the forks answer")
        assert set(load.answers) == expected
        save_words(root)
        wait_until(lambda: {version for version, _ in load.answers[-20:]} == {2}, "the linear model answers")
        ModelStore(root).promote("tone", 1)
        wait_until(lambda: {version for version, _ in load.answers[-20:]} == {1}, "the BERT answers again")
        huggingface.save_classifier(
            {path: (root / "tone" / "1" / path).read_bytes() for path in ModelStore(root).manifest("tone", 1).files},
            "tone",
            root=root,
        )
        wait_until(lambda: {version for version, _ in load.answers[-20:]} == {3}, "a newly loaded BERT answers")
    assert not load.faults
    assert {answer for version, answer in load.answers if version in (1, 3)} == {answer for _, answer in expected}
