"""The Open Inference Protocol: what its clients send, and what they get."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flask.testing import FlaskClient
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from app import __version__, create_app, store
from app.keys import add_key
from app.settings import Settings

ROWS = load_iris().data[48:52]
LENGTH = "Inference-Header-Content-Length"
TEXTS = ["win cash now", "see you at lunch", "cash prize now", "lunch tomorrow"]
FRAME = pd.DataFrame(
    {"age": [22.0, 38.0, np.nan, 35.0], "sex": ["m", "f", "f", None], "seen": [True, False, True, True]}
)


def tensor(
    data: Any, shape: Sequence[int], datatype: str = "FP64", name: str = "X", **parameters: Any
) -> dict[str, Any]:
    made = {"name": name, "shape": list(shape), "datatype": datatype}
    made |= {"parameters": parameters} if parameters else {}
    return made if data is None else made | {"data": data}


def bytes_of(texts: Sequence[str]) -> bytes:
    return b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in texts)


class Asking:
    """One service with a model of each kind."""

    def __init__(self, root: Path) -> None:
        X, y = load_iris(return_X_y=True)
        self.iris = LogisticRegression(max_iter=500).fit(X, y)
        store.save(self.iris, X, "iris", root=root)
        self.texts = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, ["spam", "ham", "spam", "ham"])
        store.save(self.texts, TEXTS, "texts", root=root)
        columns = make_column_transformer(
            (SimpleImputer(), ["age"]),
            (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), ["sex"]),
            ("passthrough", ["seen"]),
        )
        self.table = make_pipeline(columns, LogisticRegression()).fit(FRAME, [0, 1, 1, 0])
        store.save(self.table, FRAME, "table", root=root)
        self.multi = MultiOutputClassifier(LogisticRegression()).fit(X, np.column_stack([y > 0, y > 1]).astype(int))
        store.save(self.multi, X, "multi", root=root)
        self.switches = LogisticRegression().fit([[True, False], [False, True]] * 2, [0, 1, 0, 1])
        store.save(self.switches, np.array([[True, False], [False, True]]), "switches", root=root)
        app = create_app(Settings(model_store=root, max_rows=50))
        self.models = app.extensions["service"].models
        self.client = app.test_client()

    def __call__(self, name: str, *inputs: Any, raw: bytes | None = None, **members: Any) -> Any:
        body = json.dumps({"inputs": inputs, **members}).encode()
        headers = {} if raw is None else {LENGTH: str(len(body))}
        return self.client.post(f"/v2/models/{name}/infer", data=body + (raw or b""), headers=headers)


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Any:
    asking = Asking(tmp_path_factory.mktemp("models"))
    yield asking
    asking.models.stop()


def outputs_of(reply: Any) -> dict[str, Any]:
    """The reply's tensors as arrays (BYTES as lists), wherever their values stand."""
    assert reply.status_code == 200, reply.text
    length = reply.headers.get(LENGTH)
    assert reply.content_type == ("application/json" if length is None else "application/octet-stream")
    document = json.loads(reply.data[: None if length is None else int(length)])
    start, found = int(length or 0), {}
    for output in document["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            found[output["name"]] = np.array(output["data"]).reshape(output["shape"])
            continue
        raw = reply.data[start : start + size]
        start += size
        dtype = {"FP64": "<f8", "INT64": "<i8", "FP32": "<f4"}.get(output["datatype"])
        found[output["name"]] = raw if dtype is None else np.frombuffer(raw, dtype).reshape(output["shape"])
    assert length is None or start == len(reply.data)
    return found


def test_a_request_is_answered_by_predict(ask: Asking) -> None:
    reply = ask("iris", tensor(ROWS.ravel().tolist(), ROWS.shape), id="my-7")
    assert reply.json == {
        "model_name": "iris",
        "model_version": "1",
        "id": "my-7",
        "outputs": [
            {"name": "predict", "shape": [4], "datatype": "INT64", "data": ask.iris.predict(ROWS).tolist()},
        ],
    }
    assert reply.headers["X-Model-Version"] == "1"


def test_outputs_come_as_they_were_asked_for(ask: Asking) -> None:
    wanted = [{"name": "predict_proba"}, {"name": "predict"}, {"name": "decision_function"}]
    found = outputs_of(ask("iris", tensor(ROWS.tolist(), ROWS.shape), outputs=wanted))
    assert list(found) == ["predict_proba", "predict", "decision_function"]
    for name, values in found.items():
        np.testing.assert_allclose(values, getattr(ask.iris, name)(ROWS), rtol=1e-9)


@pytest.mark.parametrize("padding", range(9))
def test_raw_bytes_lie_wherever_the_json_ends(ask: Asking, padding: int) -> None:
    sent = tensor(None, ROWS.shape, name="X" * (padding + 1), binary_data_size=ROWS.nbytes)
    found = outputs_of(ask("iris", sent, raw=ROWS.tobytes(), parameters={"binary_data_output": True}))
    assert found["predict"].tolist() == ask.iris.predict(ROWS).tolist()


@pytest.mark.parametrize("datatype", ["INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"])
@pytest.mark.parametrize("binary", [True, False])
def test_every_datatype_of_whole_numbers_is_read(ask: Asking, datatype: str, binary: bool) -> None:
    check_datatype(ask, np.round(ROWS).astype(datatype.lower()), datatype, binary)


@pytest.mark.parametrize(("datatype", "dtype"), [("FP16", "f2"), ("FP32", "f4"), ("FP64", "f8")])
@pytest.mark.parametrize("binary", [True, False])
def test_every_datatype_of_fractions_is_read(ask: Asking, datatype: str, dtype: str, binary: bool) -> None:
    check_datatype(ask, ROWS.astype(dtype), datatype, binary)


def check_datatype(ask: Asking, rows: Any, datatype: str, binary: bool) -> None:
    wanted = {"outputs": [{"name": "predict_proba"}]}
    if binary:
        reply = ask(
            "iris", tensor(None, rows.shape, datatype, binary_data_size=rows.nbytes), raw=rows.tobytes(), **wanted
        )
    else:
        reply = ask("iris", tensor(rows.ravel().tolist(), rows.shape, datatype), **wanted)
    expected = ask.iris.predict_proba(rows.astype(np.float64))
    np.testing.assert_allclose(outputs_of(reply)["predict_proba"], expected, rtol=1e-9)


def test_booleans_are_a_byte_each(ask: Asking) -> None:
    rows = np.array([[True, False], [False, True]])
    sent = tensor(None, rows.shape, "BOOL", binary_data_size=4)
    assert outputs_of(ask("switches", sent, raw=rows.tobytes()))["predict"].tolist() == [0, 1]
    assert outputs_of(ask("switches", tensor(rows.tolist(), rows.shape, "BOOL")))["predict"].tolist() == [0, 1]
    refused(ask("switches", sent, raw=b"\0\1\2\0"), 422, "must be 0 or 1, not 2")


@pytest.mark.parametrize("shape", [[4], [4, 1]])
def test_texts_are_bytes(ask: Asking, shape: list[int]) -> None:
    expected = ask.texts.predict(TEXTS).tolist()
    found = outputs_of(ask("texts", tensor(TEXTS, shape[:1], "BYTES", "anything")))
    assert found["predict"].tolist() == expected
    raw = bytes_of(TEXTS)
    sent = tensor(None, shape, "BYTES", binary_data_size=len(raw))
    found = outputs_of(ask("texts", sent, raw=raw, outputs=[{"name": "predict", "parameters": {"binary_data": True}}]))
    assert found["predict"] == bytes_of(expected)


def test_a_table_comes_by_column_in_any_order(ask: Asking) -> None:
    columns = [
        tensor(["f", "m"], [2], "BYTES", "sex"),
        tensor([True, False], [2, 1], "BOOL", "seen"),
        tensor(None, [2], "FP64", "age", binary_data_size=16),
    ]
    frame = pd.DataFrame({"age": [30.0, 50.0], "sex": ["f", "m"], "seen": [True, False]})
    reply = ask("table", *columns, raw=np.array([30.0, 50.0]).tobytes(), outputs=[{"name": "predict_proba"}])
    np.testing.assert_allclose(outputs_of(reply)["predict_proba"], ask.table.predict_proba(frame), rtol=1e-9)


def test_null_and_a_bare_nan_are_missing_values(ask: Asking) -> None:
    frame = pd.DataFrame({"age": [np.nan, np.nan], "sex": [np.nan, "m"], "seen": [True, False]})
    columns = [tensor([None, float("nan")], [2], name="age"), tensor([None, "m"], [2], "BYTES", "sex")]
    reply = ask("table", *columns, tensor([True, False], [2], "BOOL", "seen"), outputs=[{"name": "predict_proba"}])
    np.testing.assert_allclose(outputs_of(reply)["predict_proba"], ask.table.predict_proba(frame), rtol=1e-9)
    refused(ask("iris", tensor([1, 2, 3, float("nan")], [1, 4])), 422, "/inputs/0/data/3: must not be missing")


def test_columns_of_an_array_may_come_one_by_one(ask: Asking) -> None:
    columns = [tensor(ROWS[:, index].tolist(), [4], name=f"x{index}") for index in (3, 1, 0, 2)]
    assert outputs_of(ask("iris", *columns))["predict"].tolist() == ask.iris.predict(ROWS).tolist()


def test_a_method_of_several_arrays_is_several_outputs(ask: Asking) -> None:
    rows = tensor(ROWS.tolist(), ROWS.shape)
    for wanted in (["predict_proba"], ["predict_proba_0", "predict_proba_1"]):
        found = outputs_of(ask("multi", rows, outputs=[{"name": name} for name in wanted]))
        assert list(found) == ["predict_proba_0", "predict_proba_1"]
        for values, expected in zip(found.values(), ask.multi.predict_proba(ROWS), strict=True):
            np.testing.assert_allclose(values, expected, rtol=1e-9)


def test_a_single_raw_row_needs_no_json(ask: Asking) -> None:
    reply = ask.client.post("/v2/models/iris/infer", data=ROWS[3].tobytes(), headers={LENGTH: "0"})
    assert outputs_of(reply)["predict"].tolist() == ask.iris.predict(ROWS[3:]).tolist()
    reply = ask.client.post("/v2/models/texts/infer", data=b"cash now", headers={LENGTH: "0"})
    assert outputs_of(reply)["predict"] == bytes_of(["spam"])
    refused(ask.client.post("/v2/models/table/infer", data=b"12345678", headers={LENGTH: "0"}), 422, "of one input")
    refused(
        ask.client.post("/v2/models/iris/infer", data=b"1234567", headers={LENGTH: "0"}), 400, "have 32 bytes, not 7"
    )


ROW = [5.1, 3.5, 1.4, 0.2]
GOOD = tensor(ROW, [1, 4])
REFUSED: list[tuple[str, str, list[Any], dict[str, Any], int, str]] = [
    ("no inputs", "iris", [], {}, 422, "'inputs', a list of one tensor or more"),
    ("an input that is none", "iris", [5], {}, 422, "/inputs/0: must be an object"),
    ("no name", "iris", [tensor(ROW, [1, 4], name=None)], {}, 422, "/inputs/0: must be an object"),
    ("an unknown datatype", "iris", [tensor(ROW, [1, 4], "BF16")], {}, 422, "/inputs/0/datatype: must be one of BOOL"),
    ("a negative dimension", "iris", [tensor(ROW, [-1, 4])], {}, 422, "/inputs/0/shape: must be a list of whole"),
    ("a boolean dimension", "iris", [tensor(ROW, [True, 4])], {}, 422, "/inputs/0/shape: must be a list of whole"),
    ("no dimension", "iris", [tensor(ROW, [])], {}, 422, "/inputs/0/shape: must be a list of whole"),
    ("three dimensions", "iris", [tensor(ROW, [1, 2, 2])], {}, 422, "not one of 3 dimensions"),
    ("no rows", "iris", [tensor([], [0, 4])], {}, 422, "there are no rows"),
    ("too many rows", "iris", [tensor([], [51, 4])], {}, 413, "51 rows are more than the 50"),
    ("a product that overflows", "iris", [tensor([1], [2, 2**63])], {}, 422, "as the shape says, not 1"),
    ("another width", "iris", [tensor(ROW, [2, 2])], {}, 422, "/inputs/0/shape: is [2, 2]; this model takes X [-1, 4]"),
    ("too few values", "iris", [tensor(ROW[:3], [1, 4])], {}, 422, "must have 4 values, as the shape says, not 3"),
    ("ragged rows", "iris", [tensor([ROW, ROW[:3]], [2, 4])], {}, 422, "must be 2 lists of 4 values"),
    ("no data", "iris", [tensor(None, [1, 4])], {}, 422, "/inputs/0/data: must be a list of 4 values, not null"),
    ("a text for a number", "iris", [tensor(["a", 1, 2, 3], [1, 4])], {}, 422, "/inputs/0/data/0: must be a number"),
    (
        "a boolean for a number",
        "iris",
        [tensor([[1, 2, 3, True]], [1, 4])],
        {},
        422,
        "/inputs/0/data/0/3: must be a num",
    ),
    (
        "a fraction for INT8",
        "iris",
        [tensor([1, 2, 3, 0.5], [1, 4], "INT8")],
        {},
        422,
        "data/3: must be a whole number",
    ),
    ("300 for INT8", "iris", [tensor([1, 2, 3, 300], [1, 4], "INT8")], {}, 422, "data/3: must be from -128 to 127"),
    (
        "1e39 for FP32",
        "iris",
        [tensor([1, 2, 3, 1e39], [1, 4], "FP32")],
        {},
        422,
        "data/3: must be in the range of FP32",
    ),
    ("numbers for a text", "texts", [tensor([1], [1])], {}, 422, "must be a string"),
    ("a column too few", "table", [tensor([1], [1], name="age")], {}, 422, "column 'sex' is missing"),
    ("one tensor for a table", "table", [tensor([1], [1])], {}, 422, "column 'X' is not known"),
    ("a wide column", "table", [tensor([1, 2], [1, 2], name="age")], {}, 422, "must be [rows] or [rows, 1]"),
    ("the same column twice", "table", [tensor([1], [1], name="age")] * 2, {}, 422, "two inputs have the same name"),
    ("too many inputs", "iris", [GOOD] * 5, {}, 422, "there are 5 inputs"),
    (
        "an unknown output",
        "iris",
        [GOOD],
        {"outputs": [{"name": "transform"}]},
        422,
        "this model has predict, predict_pr",
    ),
    ("an output twice", "iris", [GOOD], {"outputs": [{"name": "predict"}] * 2}, 422, "'predict' is asked for twice"),
    ("outputs that are none", "iris", [GOOD], {"outputs": 5}, 422, "/outputs: must be a list"),
    ("an id that is none", "iris", [GOOD], {"id": 5}, 422, "/id: must be a string"),
    ("parameters that are none", "iris", [GOOD], {"parameters": 5}, 422, "/parameters: must be an object"),
    ("a flag that is none", "iris", [GOOD], {"parameters": {"binary_data_output": 1}}, 422, "must be true or false"),
    (
        "shared memory",
        "iris",
        [tensor(None, [1, 4], shared_memory_region="r")],
        {},
        422,
        "shared memory is not offered",
    ),
    ("no model", "nobody", [GOOD], {}, 404, "there is no model 'nobody'"),
]


@pytest.mark.parametrize(
    ("name", "inputs", "members", "status", "says"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_what_does_not_fit_is_refused(
    ask: Asking, name: str, inputs: list[Any], members: dict[str, Any], status: int, says: str
) -> None:
    refused(ask(name, *inputs, **members), status, says)


@pytest.mark.parametrize(
    ("size", "raw", "says"),
    [
        (32, b"\0" * 31, "31 are left"),
        (32, b"\0" * 33, "1 bytes follow the JSON that are no input's"),
        (24, b"\0" * 24, "4 values of FP64 have 32 bytes, not 24"),
        (-1, b"\0" * 32, "must be a number of bytes"),
        (2**70, b"\0" * 32, "must be a number of bytes"),
        (True, b"\0", "must be a number of bytes"),
    ],
)
def test_raw_bytes_must_be_what_the_json_says(ask: Asking, size: Any, raw: bytes, says: str) -> None:
    refused(ask("iris", tensor(None, [1, 4], binary_data_size=size), raw=raw), 400, says)


@pytest.mark.parametrize(
    "raw", [b"\xff\xff\xff\xffgood", b"\4\0\0\0goo", b"\4\0\0\0good!", b"\4\0\0", b"", b"\4\0\0\0\xff\xff\xff\xff"]
)
def test_raw_texts_must_be_as_long_as_they_say(ask: Asking, raw: bytes) -> None:
    assert ask("texts", tensor(None, [1], "BYTES", binary_data_size=len(raw)), raw=raw).status_code == 400


@pytest.mark.parametrize("length", ["-1", "99999", "1e2", "5,5", "\u0663", "9" * 30])
def test_a_length_of_the_json_that_is_none_is_refused(ask: Asking, length: str) -> None:
    reply = ask.client.post("/v2/models/iris/infer", data=b"{}", headers={LENGTH: length})
    refused(reply, 400, f"{LENGTH} is")


def refused(reply: Any, status: int, says: str) -> None:
    assert reply.status_code == status, reply.text
    assert reply.content_type == "application/json"
    assert list(reply.json) == ["error"]
    assert says in reply.json["error"]


def test_the_server_and_its_models_describe_themselves(ask: Asking) -> None:
    get = ask.client.get
    assert get("/v2").json["version"] == __version__
    assert get("/v2/health/live").json == {"live": True}
    assert get("/v2/health/ready").json == {"ready": True}
    assert get("/v2/models").json == {"models": ["iris", "multi", "switches", "table", "texts"]}
    assert get("/v2/models/iris/ready").json == {"name": "iris", "ready": True}
    assert get("/v2/models/iris/versions/1/ready").status_code == 200
    refused(get("/v2/models/nobody/ready"), 404, "there is no model 'nobody'")
    refused(get("/v2/nothing"), 404, "there is no route")
    refused(get("/v2/models/iris/infer"), 405, "is not allowed")
    described = get("/v2/models/table/versions/1").json
    assert described["inputs"] == [
        {"name": "age", "datatype": "FP64", "shape": [-1]},
        {"name": "sex", "datatype": "BYTES", "shape": [-1]},
        {"name": "seen", "datatype": "BOOL", "shape": [-1]},
    ]
    assert described["outputs"][:2] == [
        {"name": "predict", "datatype": "INT64", "shape": [-1]},
        {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 2]},
    ]
    assert get("/v2/models/texts").json["outputs"][0] == {"name": "predict", "datatype": "BYTES", "shape": [-1]}
    names = [output["name"] for output in get("/v2/models/multi").json["outputs"]]
    assert names[:3] == ["predict", "predict_proba_0", "predict_proba_1"]


def test_a_float32_model_answers_in_fp32(serve: Callable[..., FlaskClient]) -> None:
    X, y = load_iris(return_X_y=True)
    X = X.astype(np.float32)
    model = LinearRegression().fit(X, y)
    client = serve(model, X)
    body = {"inputs": [tensor(X[:2].tolist(), [2, 4], "FP32")]}
    output = client.post("/v2/models/model/infer", json=body).json["outputs"][0]
    assert (output["datatype"], output["data"]) == ("FP32", model.predict(X[:2]).astype(float).tolist())
    assert client.get("/v2/models/model").json["inputs"] == [{"name": "X", "datatype": "FP32", "shape": [-1, 4]}]


def test_without_a_model_it_is_alive_and_not_ready(client_of: Callable[..., FlaskClient]) -> None:
    client = client_of()
    assert client.get("/v2/health/live").status_code == 200
    refused(client.get("/v2/health/ready"), 503, "no model answers")


def test_the_repository_unloads_and_loads(
    serve: Callable[..., FlaskClient], iris: Any, tmp_path: Path, root: Path
) -> None:
    key = add_key(tmp_path / "keys.json", "ada", ["predict", "admin"])
    client = serve(*iris, name="iris", api_keys_file=tmp_path / "keys.json")
    admin = {"Authorization": f"Bearer {key}"}
    body = {"inputs": [GOOD]}

    def index(**options: bool) -> Any:
        return [state["state"] for state in client.post("/v2/repository/index", json=options, headers=admin).json]

    assert index() == ["READY"]
    refused(client.post("/v2/repository/index"), 401, "send an API key")
    refused(client.post("/v2/repository/models/iris/unload"), 401, "send an API key")
    refused(client.post("/v2/repository/models/nobody/load", headers=admin), 404, "there is no model 'nobody'")
    assert client.post("/v2/repository/models/iris/unload", headers=admin).status_code == 200
    refused(client.post("/v2/models/iris/infer", json=body, headers=admin), 404, "there is no model 'iris'")
    assert (index(), index(ready=True)) == (["UNAVAILABLE"], [])
    assert client.post("/v2/repository/models/iris/load", headers=admin).status_code == 200
    assert client.post("/v2/models/iris/infer", json=body, headers=admin).status_code == 200
    assert index(ready=True) == ["READY"]
    assert store.ModelStore(root).serving("iris").history == (1,)
