"""TensorFlow Serving's REST API and KServe V1: what their clients send, and what they get."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from flask.testing import FlaskClient
from sklearn.datasets import load_iris
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline

from app import create_app, store
from app.settings import Settings
from tests.conftest import ClientMaker

X, Y = load_iris(return_X_y=True)
ROWS = X[48:52]
PREDICT = "/v1/models/iris:predict"


@pytest.fixture(scope="module")
def iris_model() -> Any:
    return LogisticRegression(max_iter=500).fit(X, Y)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, iris_model: Any) -> Any:
    root = tmp_path_factory.mktemp("models")
    store.save(iris_model, X, "iris", root=root)
    store.ModelStore(root).label("iris", 1, "stable")
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [0.0, 1.0, 0.0]})
    store.save(LinearRegression().fit(frame, frame["a"] + frame["b"]), frame, "table", root=root)
    holes = make_pipeline(SimpleImputer(), LinearRegression()).fit(frame, frame["a"])
    store.save(holes, frame.mask(frame > 2), "holes", root=root)
    store.save(
        MultiOutputClassifier(LogisticRegression()).fit(X, np.column_stack([Y > 0, Y > 1])), X, "multi", root=root
    )
    app = create_app(Settings(model_store=root, max_rows=50))
    yield app.test_client()
    app.extensions["service"].models.stop()


@pytest.mark.parametrize(
    "path", [PREDICT, "/v1/models/iris/versions/1:predict", "/v1/models/iris/labels/stable:predict"]
)
def test_rows_are_answered_by_rows(client: FlaskClient, iris_model: Any, path: str) -> None:
    # curl -d says it is a form, and TensorFlow Serving reads it nevertheless.
    body = b'{"instances": %s}' % str(ROWS.tolist()).encode()
    reply = client.post(path, data=body, content_type="application/x-www-form-urlencoded")
    assert (reply.json, reply.content_type) == ({"predictions": iris_model.predict(ROWS).tolist()}, "application/json")


def test_columns_are_answered_by_columns(client: FlaskClient, iris_model: Any) -> None:
    expected = {"outputs": iris_model.predict(ROWS).tolist()}
    assert client.post(PREDICT, json={"inputs": ROWS.tolist()}).json == expected
    assert client.post(PREDICT, json={"inputs": {"X": ROWS.tolist()}}).json == expected
    reply = client.post("/v1/models/table:predict", json={"inputs": {"b": [1, 0], "a": [2, 5]}})
    assert reply.json["outputs"] == pytest.approx([3.0, 5.0])


def test_a_tensor_may_be_named(client: FlaskClient, iris_model: Any) -> None:
    reply = client.post(PREDICT, json={"instances": [{"X": row} for row in ROWS.tolist()]})
    assert reply.json == {"predictions": iris_model.predict(ROWS).tolist()}
    reply = client.post("/v1/models/table:predict", json={"instances": [{"a": 1, "b": 1}]})
    assert reply.json["predictions"] == pytest.approx([2.0])


def test_a_bare_nan_is_a_missing_value(client: FlaskClient) -> None:
    body = b'{"instances":[{"a":NaN,"b":1},{"a":1,"b":NaN}]}'
    expected = client.post("/v1/models/holes:predict", data=body.replace(b"NaN", b"null")).json
    assert client.post("/v1/models/holes:predict", data=body).json == expected
    assert len(expected["predictions"]) == 2


def test_the_signature_names_the_method(client: FlaskClient, iris_model: Any) -> None:
    for name, method in (("serving_default", "predict"), ("", "predict"), ("predict_proba", "predict_proba")):
        reply = client.post(PREDICT, json={"signature_name": name, "instances": ROWS.tolist()})
        np.testing.assert_allclose(reply.json["predictions"], getattr(iris_model, method)(ROWS), rtol=1e-9)


def test_several_outputs_are_named(client: FlaskClient) -> None:
    body = {"signature_name": "predict_proba", "instances": ROWS.tolist()}
    by_row = client.post("/v1/models/multi:predict", json=body).json["predictions"]
    assert [list(row) for row in by_row] == [["predict_proba_0", "predict_proba_1"]] * 4
    body = {"signature_name": "predict_proba", "inputs": ROWS.tolist()}
    by_column = client.post("/v1/models/multi:predict", json=body).json["outputs"]
    assert by_column == {name: [row[name] for row in by_row] for name in by_row[0]}


@pytest.mark.parametrize("path", ["iris:explain", "iris/versions/1:explain", "iris/labels/stable:explain"])
def test_explanations_stand_beside_the_predictions_one_for_each_row(client: FlaskClient, path: str) -> None:
    body = {"instances": ROWS.tolist()}
    predicted = client.post(PREDICT, json=body).json
    reply = client.post(f"/v1/models/{path}", json=body)
    explanations = reply.json["explanations"]
    assert (reply.status_code, reply.json) == (200, predicted | {"explanations": explanations})
    own = client.post("/models/iris/explain", json={"X": ROWS.tolist()}).json
    for row, told in enumerate(explanations):
        assert told["contributions"] == own["contributions"][row]
        assert told["value"] == own["value"][row]
        assert [told[name] for name in ("method", "output", "base_value", "classes")] == [
            own[name] for name in ("method", "output", "base_value", "classes")
        ]


def test_what_is_predicted_beside_explanations_is_asked_for_as_without(client: FlaskClient) -> None:
    body = {"signature_name": "predict_proba", "inputs": ROWS.tolist()}
    reply = client.post("/v1/models/iris:explain", json=body).json
    assert reply["outputs"] == client.post(PREDICT, json=body).json["outputs"]
    assert len(reply["explanations"]) == len(ROWS)


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        (PREDICT, b"{", 400, "the body is not JSON"),
        (PREDICT, b'{"instances":[[1,2,3,Infinity]]}', 400, "the body is not JSON"),
        (PREDICT, b'{"instances":[[1,2,3,NaN]]}', 422, "/instances/0/3: must not be missing"),
        (PREDICT, b"[]", 422, "must be an object with 'instances' or 'inputs'"),
        (PREDICT, b'{"instances":[[1,2,3,4]],"inputs":[[1,2,3,4]]}', 422, "'instances' or 'inputs'"),
        (PREDICT, b'{"instances":[[1,2,3,4]],"more":1}', 422, "'instances' or 'inputs'"),
        (PREDICT, b'{"signature_name":"transform","instances":[[1,2,3,4]]}', 422, "it has serving_default, predict"),
        (PREDICT, b'{"signature_name":5,"instances":[[1,2,3,4]]}', 422, "no such signature"),
        (PREDICT, b'{"instances":[]}', 422, "there are no rows"),
        (PREDICT, b'{"instances":[[1,2,3,"a"]]}', 422, "/instances/0/3: must be a number"),
        (PREDICT, b'{"instances":%s}' % str([[1, 2, 3, 4]] * 51).encode(), 413, "51 rows are more than the 50"),
        ("/v1/models/nobody:predict", b'{"instances":[[1,2,3,4]]}', 404, "there is no model 'nobody'"),
        ("/v1/models/iris/versions/9:predict", b'{"instances":[[1,2,3,4]]}', 404, "no version 9"),
        (
            "/v1/models/iris/labels/canary:predict",
            b'{"instances":[[1,2,3,4]]}',
            404,
            "no label 'canary'; it has stable",
        ),
        ("/v1/models/iris:explain", b'{"instances":[[1,2,3,"a"]]}', 422, "/instances/0/3: must be a number"),
        ("/v1/models/iris:explain", b'{"X":[[1,2,3,4]]}', 422, "'instances' or 'inputs'"),
        ("/v1/models/multi:explain", b'{"instances":[[1,2,3,4]]}', 404, "model 'multi' cannot be explained"),
        ("/v1/models/iris:regress", b"{}", 404, "there is no route"),
    ],
)
def test_errors_are_theirs(client: FlaskClient, path: str, body: bytes, status: int, says: str) -> None:
    reply = client.post(path, data=body)
    assert (reply.status_code, reply.content_type, list(reply.json)) == (status, "application/json", ["error"])
    assert says in reply.json["error"]


def test_the_status_speaks_both_protocols(client: FlaskClient) -> None:
    expected = {
        "name": "iris",
        "ready": True,
        "model_version_status": [
            {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        ],
    }
    for path in ("/v1/models/iris", "/v1/models/iris/versions/1", "/v1/models/iris/labels/stable"):
        assert client.get(path).json == expected
    assert client.get("/v1/models").json == {"models": ["holes", "iris", "multi", "table"]}
    assert client.get("/v1/models/nobody").status_code == 404
    # KServe's client asks the bare address whether the server lives.
    assert client.get("/").json["status"] == "alive"


def test_the_metadata_are_signatures(client: FlaskClient) -> None:
    for path in ("/v1/models/iris/metadata", "/v1/models/iris/labels/stable/metadata"):
        document = client.get(path).json
        assert document["model_spec"] == {"name": "iris", "signature_name": "", "version": "1"}
        signatures = document["metadata"]["signature_def"]["signature_def"]
        assert signatures["serving_default"] == signatures["predict"]
        rows = [{"size": "-1", "name": ""}, {"size": "4", "name": ""}]
        shape = {"dim": rows, "unknown_rank": False}
        assert signatures["predict"]["inputs"] == {"X": {"dtype": "DT_DOUBLE", "tensor_shape": shape, "name": "X"}}
        assert signatures["predict"]["outputs"]["predict"]["dtype"] == "DT_INT64"


def test_a_label_moves_with_its_version(serve: ClientMaker, iris: Any, root: Any, wait_for: Any) -> None:
    client = serve(*iris, name="iris")
    store.save(*iris, name="iris", root=root, promote=False)
    path = "/v1/models/iris/labels/canary:predict"
    store.ModelStore(root).label("iris", 2, "canary")
    wait_for(lambda: client.post(path, json={"instances": ROWS.tolist()}).headers.get("X-Model-Version") == "2")
    assert client.post(PREDICT, json={"instances": ROWS.tolist()}).headers["X-Model-Version"] == "1"
