"""MLflow's scoring protocol, and the containers of SageMaker and Vertex AI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flask.testing import FlaskClient
from sklearn.datasets import load_iris
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from app import create_app, store
from app.keys import add_key
from app.settings import Settings, SettingsError
from tests.conftest import ClientMaker

X, Y = load_iris(return_X_y=True)
ROWS = X[48:52]
JSON, CSV = "application/json", "text/csv"
VERTEX = "/v1/endpoints/7/deployedModels/8:predict"


@pytest.fixture(scope="module")
def iris_model() -> Any:
    return LogisticRegression(max_iter=500).fit(X, Y)


@pytest.fixture(scope="module")
def table() -> tuple[Any, pd.DataFrame]:
    frame = pd.DataFrame({"age": [22.0, np.nan, 3.0, 35.0] * 10, "fare": [1.0, 2.0, np.nan, 4.0] * 10})
    return make_pipeline(SimpleImputer(), LogisticRegression()).fit(frame, [0, 1, 1, 0] * 10), frame


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, iris_model: Any, table: Any) -> Any:
    root = tmp_path_factory.mktemp("models")
    store.save(iris_model, X, "iris", root=root)
    store.save(*table, "table", root=root)
    settings = Settings(
        model_store=root,
        default_model="iris",
        max_rows=50,
        aip_predict_route=VERTEX,
        aip_health_route="/v1/endpoints/7/deployedModels/8",
    )
    app = create_app(settings)
    yield app.test_client()
    app.extensions["service"].models.stop()


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["x0", "x1", "x2", "x3"], "index": [0, 1, 2, 3], "data": ROWS.tolist()}},
        {"dataframe_split": {"columns": [0, 1, 2, 3], "index": [0, 1, 2, 3], "data": ROWS.tolist()}},
        {"dataframe_records": [dict(zip(["x3", "x0", "x1", "x2"], row[[3, 0, 1, 2]], strict=True)) for row in ROWS]},
        {"instances": ROWS.tolist()},
        {"inputs": ROWS.tolist()},
        {"inputs": {f"x{index}": ROWS[:, index].tolist() for index in range(4)}},
        {"inputs": ROWS.tolist(), "params": {"temperature": 0.5}},
    ],
    ids=["split", "numbered", "records", "instances", "inputs", "columns", "params"],
)
def test_every_shape_of_mlflow_is_answered_alike(client: FlaskClient, iris_model: Any, body: Any) -> None:
    for path in ("/invocations", "/models/iris/invocations", "/models/iris/versions/1/invocations"):
        reply = client.post(path, json=body)
        assert (reply.status_code, reply.json) == (200, {"predictions": iris_model.predict(ROWS).tolist()})


def test_one_flat_row_is_one_prediction_in_a_list(client: FlaskClient) -> None:
    assert client.post("/invocations", json={"inputs": [5.1, 3.5, 1.4, 0.2]}).json == {"predictions": [0]}


def test_params_may_name_the_method(client: FlaskClient, iris_model: Any) -> None:
    reply = client.post("/invocations", json={"inputs": ROWS.tolist(), "params": {"method": "predict_proba"}})
    np.testing.assert_allclose(reply.json["predictions"], iris_model.predict_proba(ROWS), rtol=1e-9)


@pytest.mark.parametrize("missing", ["NaN", "null"])
def test_a_bare_nan_is_a_missing_value(client: FlaskClient, table: Any, missing: str) -> None:
    model, _ = table
    rows = f"[[{missing}, 1.0], [3.0, {missing}]]"
    body = f'{{"dataframe_split": {{"columns": ["age", "fare"], "data": {rows}}}}}'
    reply = client.post("/models/table/invocations", data=body, content_type=JSON)
    expected = model.predict(pd.DataFrame({"age": [np.nan, 3.0], "fare": [1.0, np.nan]}))
    assert reply.json == {"predictions": expected.tolist()}


def test_nan_in_a_string_stays(client: FlaskClient) -> None:
    for text in ('"NaN"', '"a\\"NaN"'):
        body = f'{{"dataframe_split": {{"columns": ["age", "fare"], "data": [[NaN, {text}]]}}}}'
        reply = client.post("/models/table/invocations", data=body, content_type=JSON)
        assert reply.status_code == 422
        assert "NaN'" in reply.json["message"]


def test_csv_comes_with_a_header_or_without(client: FlaskClient, iris_model: Any) -> None:
    lines = "".join(",".join(map(str, row)) + "\n" for row in ROWS)
    expected = {"predictions": iris_model.predict(ROWS).tolist()}
    for body in (lines, "x0,x1,x2,x3\n" + lines):
        for kind in (CSV, "text/csv; charset=utf-8"):
            assert client.post("/invocations", data=body, content_type=kind).json == expected
    reply = client.post("/invocations", data=lines, content_type=CSV, headers={"Accept": CSV})
    assert (reply.content_type, reply.text.split()) == (CSV, ["y_pred", *map(str, expected["predictions"])])


@pytest.mark.parametrize(
    ("kind", "body", "status", "code", "says"),
    [
        (JSON, b"{", 400, "BAD_REQUEST", "the body is not JSON"),
        (JSON, b'{"inputs":[[1,2,3,Infinity]]}', 400, "BAD_REQUEST", "the body is not JSON"),
        (JSON, b"[]", 422, "BAD_REQUEST", "exactly one of dataframe_split"),
        (JSON, b'{"X":[[1,2,3,4]]}', 422, "BAD_REQUEST", "exactly one of dataframe_split"),
        (JSON, b'{"inputs":[[1,2,3,4]],"instances":[[1,2,3,4]]}', 422, "BAD_REQUEST", "exactly one of"),
        (JSON, b'{"inputs":[[1,2,3,4]],"params":5}', 422, "BAD_REQUEST", "/params: must be an object"),
        (
            JSON,
            b'{"inputs":[[1,2,3,4]],"params":{"method":"fit"}}',
            422,
            "BAD_REQUEST",
            "/params/method: must be one of",
        ),
        (JSON, b'{"inputs":[[1,2,3,"a"]]}', 422, "BAD_REQUEST", "/inputs/0/3: must be a number"),
        (JSON, b'{"inputs":%s}' % str([[1, 2, 3, 4]] * 51).encode(), 413, "BAD_REQUEST", "51 rows"),
        (CSV, b"1,2,3,a\n", 422, "BAD_REQUEST", "must be a number"),
        ("application/x-npy", b"", 415, "BAD_REQUEST", "send one of application/json, text/csv"),
        ("", b"{}", 415, "BAD_REQUEST", "send one of application/json, text/csv"),
        ("application/json; format=pandas-split", b"{}", 415, "BAD_REQUEST", "UTF-8 is all that is read"),
        ("text/csv; charset=latin-1", b"1,2,3,4", 415, "BAD_REQUEST", "UTF-8 is all that is read"),
    ],
)
def test_errors_are_mlflows(client: FlaskClient, kind: str, body: bytes, status: int, code: str, says: str) -> None:
    reply = client.post("/invocations", data=body, content_type=kind)
    assert (reply.status_code, reply.content_type, reply.json["error_code"]) == (status, JSON, code)
    assert says in reply.json["message"]


def test_a_model_that_is_not_there_has_mlflows_code(client: FlaskClient) -> None:
    reply = client.post("/models/nobody/invocations", json={"inputs": ROWS.tolist()})
    assert (reply.status_code, reply.json["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert client.get("/invocations").json["error_code"] == "BAD_REQUEST"


def test_mlflow_and_sagemaker_ask_whether_it_is_well(client: FlaskClient, client_of: ClientMaker) -> None:
    assert {client.get(path).status_code for path in ("/ping", "/health", "/version")} == {200}
    empty = client_of()
    assert {empty.get(path).status_code for path in ("/ping", "/health")} == {404}


def test_sagemaker_is_told_what_it_may_send(client: FlaskClient) -> None:
    told = {"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 16}
    assert client.get("/execution-parameters").json == told


def test_vertex_asks_where_it_has_said(client: FlaskClient, iris_model: Any) -> None:
    assert client.get("/v1/endpoints/7/deployedModels/8").status_code == 200
    body: dict[str, Any] = {"instances": ROWS.tolist()}
    assert client.post(VERTEX, json=body).json == {"predictions": iris_model.predict(ROWS).tolist()}
    body["parameters"] = {"method": "predict_proba", "confidenceThreshold": 0.5}
    np.testing.assert_allclose(
        client.post(VERTEX, json=body).json["predictions"], iris_model.predict_proba(ROWS), rtol=1e-9
    )
    reply = client.post(VERTEX, json={"inputs": ROWS.tolist()})
    assert (reply.status_code, list(reply.json)) == (422, ["error"])


def test_vertex_may_choose_a_path_of_ours(serve: ClientMaker, iris: Any) -> None:
    client = serve(*iris, aip_predict_route="/predict", aip_health_route="/healthz")
    body = {"instances": [[5.1, 3.5, 1.4, 0.2]], "parameters": {}}
    assert client.post("/predict", json=body).json == {"predictions": [0]}
    assert client.get("/healthz").json == {"status": "ready"}
    assert client.post("/models/model/predict", json={"X": body["instances"]}).json == {"y_pred": [0]}


@pytest.mark.parametrize(
    "route",
    ["/metrics", "/healthz", "/ping", "/stats", "/models", "/models/iris", "/models/iris/promote", "/docs/x.js"],
)
def test_vertex_may_not_choose_a_path_that_answers_something_else(client_of: ClientMaker, route: str) -> None:
    with pytest.raises(SettingsError, match=rf"^AIP_PREDICT_ROUTE must be a path of its own, .*not '{route}'$"):
        client_of(aip_predict_route=route)


@pytest.mark.parametrize("route", ["/invocations", "/models/iris/predict", "/v1/models/iris:predict", "/v1/mine", "/x"])
def test_vertex_may_choose_any_path_that_predicts_or_is_free(client_of: ClientMaker, route: str) -> None:
    assert client_of(aip_predict_route=route, aip_health_route="/x").get("/x").status_code == 503


def test_every_protocol_asks_for_a_key_in_its_own_shape(serve: ClientMaker, iris: Any, tmp_path: Path) -> None:
    key = add_key(tmp_path / "keys.json", "ada", ["predict"])
    client = serve(*iris, api_keys_file=tmp_path / "keys.json")
    tensor = {"name": "X", "shape": [1, 4], "datatype": "FP64", "data": [5.1, 3.5, 1.4, 0.2]}
    for path, body, shape in (
        ("/v2/models/model/infer", {"inputs": [tensor]}, ["error"]),
        ("/v1/models/model:predict", {"instances": [[5.1, 3.5, 1.4, 0.2]]}, ["error"]),
        ("/invocations", {"inputs": [[5.1, 3.5, 1.4, 0.2]]}, ["error_code", "message"]),
    ):
        refused = client.post(path, json=body)
        assert (refused.status_code, list(refused.json)) == (401, shape)
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        for header in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
            assert client.post(path, json=body, headers=header).status_code == 200
    assert {client.get(path).status_code for path in ("/v2/models/model", "/v1/models/model")} == {401}
    # Who only asks whether it is well needs none.
    assert {client.get(path).status_code for path in ("/v2/health/ready", "/v2/models/model/ready", "/ping")} == {200}
