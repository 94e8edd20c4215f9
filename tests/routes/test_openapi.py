"""``/openapi.json`` describes what is served, with examples that work; ``/docs`` shows it."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flask.testing import FlaskClient
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from app.keys import add_key
from app.routes.described import operation_of
from app.routes.static import StaticFile
from app.settings import ROOT
from app.store import ModelStore, save
from tests.conftest import ClientMaker

TEXTS = ["win cash now", "see you at lunch", "cash prize now", "lunch tomorrow"]
FRAME = pd.DataFrame(
    {
        "age": [22.0, 38.0, np.nan, 35.0],
        "cabins": np.array([1, 2, 1, 3], dtype="uint8"),
        "sex": ["m", "f", None, "f"],
        "class": pd.Categorical(["first", "second", "first", "third"]),
        "booked": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04"]),
        "seen": pd.to_datetime(["2026-01-01T10:00Z", "2026-01-02T10:00Z", "2026-01-03T10:00Z", "2026-01-04T10:00Z"]),
        "alone": [True, False, True, False],
    }
)
NUMBERS = np.arange(24.0).reshape(8, 3)
WIDEST = np.array([[0], [2**64 - 1]] * 100, dtype="uint64")
HALVES = np.array([[-65504], [65504]] * 100, dtype="float16")


def table() -> Any:
    columns = make_column_transformer(
        (SimpleImputer(), ["age", "cabins"]),
        (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")), ["sex"]),
        (OneHotEncoder(), ["class"]),
        ("passthrough", ["alone"]),
    )
    return make_pipeline(columns, LogisticRegression()).fit(FRAME, [0, 1, 1, 0])


MODELS: dict[str, tuple[Any, Any]] = {
    "numbers": (LinearRegression().fit(NUMBERS, NUMBERS[:, 0]), NUMBERS),
    "pair": (LinearRegression().fit(NUMBERS, NUMBERS[:, :2]), NUMBERS),
    "vector": (IsotonicRegression().fit(NUMBERS[:, 0], NUMBERS[:, 0]), NUMBERS[:, 0]),
    "parts": (PCA(2).fit(NUMBERS), NUMBERS),
    "table": (table(), FRAME),
    "anything": (DummyClassifier().fit(FRAME, [0, 1, 1, 0]), FRAME),
    "texts": (make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, ["spam", "ham"] * 2), TEXTS),
    "widest": (DummyRegressor().fit(WIDEST, range(200)), WIDEST),
    "half": (DummyRegressor().fit(HALVES, range(200)), HALVES),
    "terms": (TfidfVectorizer().fit(TEXTS), TEXTS),
    "clusters": (KMeans(2, n_init=1, random_state=0).fit(NUMBERS), NUMBERS),
    "counted": (make_pipeline(TfidfVectorizer(), MultinomialNB()).fit(TEXTS, ["spam", "ham"] * 2), TEXTS),
    "several": (DummyClassifier().fit(NUMBERS, NUMBERS[:, :2].astype(int) % 2), NUMBERS),
}


@pytest.fixture(params=MODELS)
def client(request: pytest.FixtureRequest, serve: ClientMaker) -> FlaskClient:
    return serve(*MODELS[request.param])


def description(client: FlaskClient, query: str = "", **headers: str) -> Any:
    reply = client.get(f"/openapi.json{query}", headers=headers)
    assert reply.status_code == 200, reply.text
    return reply.json


def test_every_example_is_answered(client: FlaskClient) -> None:
    asked = 0
    for path, operations in description(client)["paths"].items():
        if "{" in path:
            continue
        for operation in operations.values():
            for media, body in operation.get("requestBody", {}).get("content", {}).items():
                example = body.get("example")
                if example is None:
                    continue
                data = example if media == "text/csv" else json.dumps(example)
                reply = client.post(path, data=data, content_type=media)
                assert reply.status_code == 200, f"{path} {media} {data}: {reply.text}"
                asked += 1
    assert asked > 5


def test_no_example_is_a_row_of_the_sample(serve: ClientMaker) -> None:
    told = json.dumps(description(serve(*MODELS["numbers"])))
    assert not any(json.dumps(row) in told for row in NUMBERS.tolist())


def test_no_example_is_a_name_that_only_one_row_has(serve: ClientMaker) -> None:
    frame = pd.DataFrame({"name": [f"patient {index}" for index in range(40)]})
    assert "patient" not in json.dumps(description(serve(DummyClassifier().fit(frame, [0, 1] * 20), frame)))


def test_what_a_model_cannot_be_asked_is_not_described(serve: ClientMaker) -> None:
    assert not [
        path for path in description(serve(*MODELS["terms"]))["paths"] if path.endswith(("classify", "explain"))
    ]


@pytest.mark.parametrize("model", MODELS)
def test_explanations_are_described_where_there_are_any(serve: ClientMaker, model: str) -> None:
    client = serve(*MODELS[model])
    paths = description(client)["paths"]
    row = paths["/invocations"]["post"]["requestBody"]["content"]["application/json"]["example"]
    status = client.post("/explain", json=row).status_code
    described = {path for path in paths if path.endswith("explain")}
    if status == 200:
        assert described == {"/explain", "/models/model/explain", "/v1/models/model:explain"}
    else:
        assert (status, described) == (404, set())


def test_an_answer_is_shown_as_the_example_is_answered(serve: ClientMaker) -> None:
    client = serve(*MODELS["numbers"])
    operation = description(client)["paths"]["/predict"]["post"]
    asked = client.post("/predict", json=operation["requestBody"]["content"]["application/json"]["example"])
    shown = operation["responses"]["200"]["content"]["application/json"]["example"]
    assert shown.keys() == asked.json.keys()


def test_every_route_says_what_it_is(serve: ClientMaker) -> None:
    client = serve(*MODELS["numbers"])
    app = client.application
    silent = {
        rule.rule
        for rule in app.url_map.iter_rules()
        if operation_of(app.view_functions[rule.endpoint]) is None and not rule.endpoint.startswith("predict.")
    }
    # What the pages are made of is no part of the service's interface.
    assert silent == {"/docs/<file>", "/console/<file>"}
    described = description(client, "?model=model")["paths"]
    assert {"/models/{name}/promote", "/models/model/versions/1/predict", "/predict", "/v2/models/model/infer"} <= set(
        described
    )


def test_a_methods_answer_is_described_by_its_classes(serve: ClientMaker) -> None:
    told = description(serve(*MODELS["texts"]))
    reply = told["paths"]["/models/model/predict_proba"]["post"]["responses"]["200"]["content"]["application/json"]
    schema = told["components"]["schemas"][reply["schema"]["$ref"].rpartition("/")[2]]
    assert schema["properties"]["classes"] == {"const": ["ham", "spam"]}
    assert "classes" in schema["required"]


def test_methods_that_a_model_lacks_are_left_out(serve: ClientMaker) -> None:
    paths = description(serve(*MODELS["numbers"]))["paths"]
    assert "/models/model/predict" in paths
    assert not {"/models/model/predict_proba", "/models/model/classify", "/classify"} & set(paths)


def test_many_columns_that_are_alike_are_described_together(serve: ClientMaker) -> None:
    X = np.random.default_rng(0).normal(size=(20, 784))
    reply = serve(LinearRegression().fit(X, X[:, 0]), X).get("/openapi.json")
    assert reply.json["components"]["schemas"]["model.1.row"]["items"] == {"type": "number"}
    assert len(reply.data) < 200_000


def test_versions_and_labels_are_described_for_one_model(root: Path, client_of: ClientMaker) -> None:
    for _ in range(2):
        save(*MODELS["numbers"], "numbers", root=root)
    ModelStore(root).label("numbers", 1, "old")
    client = client_of()
    named = {"/models/numbers/versions/1/predict", "/models/numbers/labels/old/predict"}
    assert not named & set(description(client)["paths"])
    assert named <= set(description(client, "?model=numbers")["paths"])
    assert client.get("/openapi.json?model=other").status_code == 404


def test_a_promotion_changes_the_description(root: Path, serve: ClientMaker) -> None:
    client = serve(*MODELS["numbers"])
    assert "model.1.row" in description(client)["components"]["schemas"]
    save(*MODELS["texts"], "model", root=root, promote=True)
    client.application.extensions["service"].models.catch_up("model", 10)
    told = description(client)
    assert "model.2.row" in told["components"]["schemas"]
    assert "/classify" in told["paths"]


def test_no_more_than_fifty_models_are_described_at_once(root: Path, client_of: ClientMaker) -> None:
    save(*MODELS["vector"], "m00", root=root)
    for index in range(1, 52):
        copy = shutil.copytree(root / "m00", root / f"m{index:02}") / "1" / "manifest.json"
        copy.write_text(copy.read_text().replace('"m00"', f'"m{index:02}"'))
    paths = set(description(client_of(default_model="m51"))["paths"])
    assert "/models/m49/predict" in paths
    assert "/models/m50/predict" not in paths
    assert {"/predict", "/invocations"} <= paths


def test_where_there_are_keys_one_is_needed_and_said_to_be(root: Path, client_of: ClientMaker, tmp_path: Path) -> None:
    save(*MODELS["numbers"], "model", root=root)
    key = add_key(tmp_path / "keys.json", "reader", ("predict",))
    client = client_of(api_keys_file=tmp_path / "keys.json")
    assert client.get("/openapi.json").status_code == 401
    told = description(client, **{"X-API-Key": key})
    assert told["paths"]["/predict"]["post"]["security"] == [{"bearer": []}, {"key": []}]
    assert "security" not in told["paths"]["/healthz"]["get"]


def test_without_keys_predicting_is_open_and_administration_is_not(serve: ClientMaker) -> None:
    paths = description(serve(*MODELS["numbers"]))["paths"]
    assert "security" not in paths["/predict"]["post"]
    assert paths["/models/{name}/promote"]["post"]["security"]


def test_a_damaged_model_hides_no_other(root: Path, client_of: ClientMaker) -> None:
    save(*MODELS["numbers"], "broken", root=root)
    save(*MODELS["numbers"], "sound", root=root)
    (root / "broken" / "1" / "manifest.json").write_text("{")
    paths = description(client_of())["paths"]
    assert "/models/sound/predict" in paths
    assert "/models/broken/predict" not in paths


def test_there_is_a_description_before_there_is_a_model(client_of: ClientMaker) -> None:
    assert "/models" in description(client_of())["paths"]


def test_the_page_and_what_it_is_made_of_come_from_here(serve: ClientMaker) -> None:
    client = serve(*MODELS["numbers"])
    page = client.get("/docs")
    assert page.content_type == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "://" not in page.text
    for file in ("docs.js", "docs.css", "swagger-ui.css", "swagger-ui-bundle.js"):
        assert f'"docs/{file}"' in page.text
        assert client.get(f"/docs/{file}").status_code == 200
    assert client.get("/docs/..%2f..%2fsettings.py").status_code == 404


@pytest.mark.parametrize("folder", ["console", "docs"])
def test_a_package_has_every_file_of_the_pages(folder: str) -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["app"]
    files = [path.relative_to(ROOT / "app") for path in (ROOT / "app" / folder).rglob("*") if path.is_file()]
    assert files
    assert all(any(path.match(pattern) for pattern in told) for path in files)


def test_what_an_editor_leaves_beside_a_page_is_none_of_its_files(tmp_path: Path) -> None:
    for name in ("page.js", "page.js.swp", ".DS_Store"):
        (tmp_path / name).write_text("x")
    assert list(StaticFile.read_all(tmp_path, "default-src 'none'")) == ["page.js"]


def test_the_pages_files_are_sent_once(serve: ClientMaker) -> None:
    client = serve(*MODELS["numbers"])
    etag = client.get("/docs/docs.js").headers["ETag"]
    again = client.get("/docs/docs.js", headers={"If-None-Match": etag})
    assert (again.status_code, again.data) == (304, b"")
