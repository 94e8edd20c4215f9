"""What is refused of a Hugging Face model before anything of it is loaded; none of its libraries is needed for that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.engines import text_classifier
from app.errors import StoreError
from app.store.huggingface import fetch, is_hub_name, read_folder

CONFIG = {
    "architectures": ["BertForSequenceClassification"],
    "model_type": "bert",
    "id2label": {"0": "bad", "1": "good"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as save_pretrained writes it, with empty files where their content does not matter here."""
    folder = tmp_path / "bert"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    for name in ("tokenizer.json", "model.safetensors"):
        (folder / name).write_text("{}")
    return folder


def refused(folder: Path, **config: Any) -> str:
    """Change config.json and read the folder; return why that is refused."""
    if config:
        (folder / "config.json").write_text(json.dumps(CONFIG | config))
    with pytest.raises(StoreError) as told:
        read_folder(folder)
    return str(told.value)


def test_what_is_served_of_a_folder_is_config_tokenizer_and_weights(folder: Path) -> None:
    for name in ("README.md", "modeling.py", "pytorch_model.bin", "vocab.txt", "training_args.bin"):
        (folder / name).write_text("")
    assert sorted(read_folder(folder)) == [
        f"transformers/{name}" for name in ("config.json", "model.safetensors", "tokenizer.json")
    ]


def test_of_sharded_weights_those_of_the_index_are_read(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    for name in ("model-1.safetensors", "model-2.safetensors", "other.safetensors"):
        (folder / name).write_text("")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}))
    assert sorted(read_folder(folder))[1:3] == ["transformers/model-1.safetensors", "transformers/model-2.safetensors"]
    index.write_text(json.dumps({"weight_map": {"a": "../elsewhere/model.safetensors"}}))
    assert "names no files beside it" in refused(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt"])
def test_weights_in_a_pickle_are_refused_with_the_way_to_convert_them(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    told = refused(folder)
    assert f"has its weights in {name}, a pickle, which is never loaded" in told
    assert f"M.from_pretrained('{folder}').save_pretrained('{folder}')" in told


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"auto_map": {"AutoModel": "modeling.Model"}}, "has auto_map: the model names code of its author's"),
        ({"text_config": {"auto_map": {"AutoModel": "o/n--m.M"}}}, "has auto_map"),
        ({"custom_pipelines": {"x": {"impl": "p.P"}}}, "has custom_pipelines"),
        ({"_attn_implementation": "owner/kernel"}, "has _attn_implementation 'owner/kernel'"),
        ({"quantization_config": {"bits": 4}}, "the model is quantized; save it in float32"),
        ({"architectures": ["BertForMaskedLM"]}, "names the architecture BertForMaskedLM"),
        ({"architectures": None}, "names the architecture none"),
        ({"id2label": None}, "names no labels (id2label); set model.config.id2label"),
        ({"id2label": {"0": "same", "1": "same"}}, "must number its labels from 0"),
        ({"id2label": {"0": "a", "2": "b"}}, "must number its labels from 0"),
        ({"id2label": {"0": "score"}}, "for one output with 1 labels"),
        ({"problem_type": "regression"}, "is of a model for regression"),
        ({"problem_type": "multi_label_classification"}, "is of a model for multi_label_classification with 2 labels"),
    ],
)
def test_what_is_no_single_label_classifier_or_leads_to_code_is_refused(
    folder: Path, config: dict[str, Any], told: str
) -> None:
    assert told in refused(folder, **config)


def test_a_folder_that_lacks_something_is_told_what(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    assert "has no tokenizer; save it beside the model" in refused(folder)
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").unlink()
    assert "has no model.safetensors" in refused(folder)
    (folder / "config.json").write_text("[")
    assert "config.json is no JSON" in refused(folder)
    (folder / "config.json").unlink()
    assert "has no config.json" in refused(folder)
    (folder / "adapter_config.json").write_text("{}")
    assert "merge_and_unload()" in refused(folder)


def test_where_the_libraries_are_missing_one_line_says_how_to_install_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_classifier, "LIBRARIES", ("no_such_library",))
    with pytest.raises(StoreError) as told:
        text_classifier.build(read_folder(folder))
    assert str(told.value) == (
        "a Hugging Face model needs no_such_library, not installed here; install what it needs with: "
        "pip install -r requirements-transformers.txt"
    )


@pytest.mark.parametrize("revision", [None, "main", "0" * 39])
def test_a_name_on_the_hub_without_a_commit_is_refused_with_the_command_that_names_one(revision: str | None) -> None:
    with pytest.raises(
        StoreError,
        match=r"name the commit with --revision .*; the newest one: .* print\(h.model_info\('owner/name'\).sha",
    ):
        fetch("owner/name", revision)


def test_what_reads_like_a_file_is_no_name_on_the_hub(tmp_path: Path) -> None:
    assert is_hub_name(Path("owner/name-v1.5"))
    assert not any(map(is_hub_name, [Path("mine.joblib"), Path("folder/mine.joblib"), Path("a/b/c"), tmp_path]))
