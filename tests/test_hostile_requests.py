"""Whatever a client sends, it gets a problem document that says what is wrong, and never a 5xx."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from flask.testing import FlaskClient
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import CategoricalNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier

from app import create_app, store
from app.settings import Settings
from app.store import ModelStore
from tests.tracing import peak_of

JSON = "application/json"
NPY = "application/x-npy"
ARROW = "application/vnd.apache.arrow.stream"
NAMES = ("x0", "x1", "x2", "x3")
ROW = b"[5.1,3.5,1.4,0.2]"


def npy(array: Any, *, allow_pickle: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=allow_pickle)
    return stream.getvalue()


def npy_header(header: str) -> bytes:
    padded = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded


def npy_of(descr: str, shape: str, size: int, fill: bytes = b"\0") -> bytes:
    return npy_header(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}") + fill * size


def arrow(columns: dict[str, Any], compression: str | None = None) -> bytes:
    table = pa.table(columns)
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table)
    return stream.getvalue()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, iris: Any) -> Iterator[FlaskClient]:
    """A service with a model for each container, ``iris`` being the default."""
    root = tmp_path_factory.mktemp("models")
    store.save(*iris, name="iris", root=root)
    store.ModelStore(root).label("iris", 1, "stable")
    frame = pd.DataFrame(
        {
            "age": [1.0, 2.0, 3.0, 4.0] * 6,
            "level": pd.Categorical(["low", "high"] * 12),
            "count": [1, 2, 3, 4] * 6,
            "ok": [True, False, False, True] * 6,
        }
    )
    boosting = HistGradientBoostingRegressor(categorical_features="from_dtype").fit(frame, frame["age"])
    store.save(boosting, frame, "table", root=root)
    texts = ["good", "bad", "good good", "bad bad"]
    store.save(
        make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [1, 0, 1, 0]), texts, "text", root=root
    )
    codes = frame.assign(code=pd.Categorical([1, 2, 3] * 8))[["age", "code"]]
    coded = HistGradientBoostingRegressor(categorical_features="from_dtype").fit(codes, frame["age"])
    store.save(coded, codes, "codes", root=root)
    words = pd.DataFrame({"city": ["Bonn", "Kiel"] * 6, "plan": ["a", "b", "c"] * 4})
    encoder = OneHotEncoder(handle_unknown="ignore")
    store.save(make_pipeline(encoder, LogisticRegression()).fit(words, [0, 1] * 6), words, "words", root=root)
    days = pd.DataFrame({"day": pd.date_range("2026-01-01", periods=24)})
    store.save(make_pipeline(OrdinalEncoder(), LinearRegression()).fit(days, range(24)), days, "days", root=root)
    large = np.array([[0, 1], [2**64 - 1, 0], [5, 2**63], [7, 8]], dtype=np.uint64)
    store.save(DecisionTreeClassifier().fit(large, [0, 1, 0, 1]), large, "large", root=root)
    switches = np.array([[True, False], [False, True], [True, True], [False, False]])
    store.save(LogisticRegression().fit(switches, [0, 1, 0, 1]), switches, "switches", root=root)
    counts = np.array([[0, 1], [1, 0], [2, 1], [1, 1]])
    store.save(CategoricalNB().fit(counts, [0, 1, 0, 1]), counts, "counts", root=root)
    ModelStore(root).label("iris", 1, "stable")
    app = create_app(
        Settings(
            model_store=root,
            default_model="iris",
            max_rows=50,
            max_body_bytes=100_000,
            aip_predict_route="/vertex/endpoint:predict",
            aip_health_route="/vertex/health",
        )
    )
    yield app.test_client()
    app.extensions["service"].models.stop()


BODIES: list[tuple[str, bytes, int, str]] = [
    # What cannot be parsed
    ("empty", b"", 400, "not JSON"),
    ("not JSON", b"hello", 400, "not JSON"),
    ("half of it", b'{"X": [[1,2', 400, "not JSON"),
    ("two documents", b'{"X":[[1,2,3,4]]}{}', 400, "not JSON"),
    ("nested 100,000 deep", b"[" * 99_000, 400, "depth"),
    ("bare NaN", b'{"X":[[NaN,1,1,1]]}', 400, "not JSON"),
    ("bare Infinity", b'{"X":[[Infinity,1,1,1]]}', 400, "not JSON"),
    ("beyond float64", b'{"X":[[1e999,1,1,1]]}', 400, "infinity"),
    ("not UTF-8", b'{"X":"\xff\xfe"}', 400, "UTF-8"),
    ("half a surrogate", rb'{"X":"\ud800"}', 400, "not JSON"),
    ("UTF-16", '{"X":[[1,2,3,4]]}'.encode("utf-16"), 400, "not JSON"),
    ("a pickle", b"\x80\x04cos\nsystem\n(S'true'\ntR.", 400, "not JSON"),
    # What is no request
    ("a list", b"[[1,2,3,4]]", 422, "must be an object"),
    ("a string", b'"X"', 422, "must be an object"),
    ("null", b"null", 422, "must be an object"),
    ("no key", b"{}", 422, "exactly one of the keys"),
    ("an unknown key", b'{"rows":[[1,2,3,4]]}', 422, "it has 'rows'"),
    ("two keys", b'{"X":[[1,2,3,4]],"x":[[1,2,3,4]]}', 422, "it has 'X', 'x'"),
    ("X is null", b'{"X":null}', 422, "/X: must be a list of rows, not null"),
    ("X is a number", b'{"X":5}', 422, "not the number 5"),
    ("X is a string", b'{"X":"5"}', 422, "not the string '5'"),
    ("text for a model of numbers", b'{"text":"hello"}', 422, "takes no text"),
    # Rows of the wrong shape
    ("no rows", b'{"X":[]}', 422, "there are no rows"),
    ("an empty row", b'{"X":[[]]}', 422, "/X/0: a row must have 4 values, and this one has 0"),
    ("a short row", b'{"X":[[1,2,3]]}', 422, "/X/0: a row must have 4 values"),
    ("a long row", b'{"X":[[1,2,3,4,5]]}', 422, "and this one has 5"),
    ("ragged rows", b'{"X":[[1,2,3,4],[1,2]]}', 422, "/X/1"),
    ("a flat row too short", b'{"X":[1,2,3]}', 422, "must have 4 values"),
    ("nested rows", b'{"X":[[[1,2,3,4]]]}', 422, "/X/0: a row must have 4 values"),
    ("a list in a row", b'{"X":[[1,2,3,[4]]]}', 422, "/X/0/3: must be a number, not a list"),
    ("an object in a row", b'{"X":[[1,2,3,{"a":1}]]}', 422, "/X/0/3: must be a number, not an object"),
    ("a row that is none", b'{"X":[[1,2,3,4],5]}', 422, "/X/1: a row must be a list"),
    ("rows and records mixed", b'{"X":[{"x0":1,"x1":1,"x2":1,"x3":1},[1,2,3,4]]}', 422, "/X/1"),
    ("too many rows", b'{"X":[' + b",".join([ROW] * 51) + b"]}", 413, "51 rows are more than the 50"),
    ("too many bytes", b'{"X":[' + b" " * 100_000 + b"]}", 413, "larger than 100000 bytes"),
    # Values of the wrong kind
    ("a boolean", b'{"X":[[1,2,3,true]]}', 422, "/X/0/3: must be a number, not true"),
    ("a number as a string", b'{"X":[[1,2,3,"4"]]}', 422, "/X/0/3: must be a number, not the string '4'"),
    ("null where nothing may be missing", b'{"X":[[1,2,3,null]]}', 422, "/X/0/3: must not be missing"),
    ("only booleans", b'{"X":[[true,true,true,true]]}', 422, "must be a number, not true"),
    ("a long string", b'{"X":[[1,2,3,"' + b"a" * 9000 + b'"]]}', 422, "\u2026"),
    # Records and columns
    ("a missing column", b'{"features":[{"x0":1,"x1":1,"x2":1}]}', 422, "column 'x3' is missing"),
    ("an unknown column", b'{"features":[{"x0":1,"x1":1,"x2":1,"x3":1,"y":1}]}', 422, "column 'y' is not known"),
    ("an empty record", b'{"features":[{}]}', 422, "column 'x0' is missing"),
    ("no record", b'{"features":{}}', 422, "column 'x0' is missing"),
    ("columns of different lengths", b'{"inputs":{"x0":[1],"x1":[1],"x2":[1],"x3":[1,2]}}', 422, "differ in length"),
    ("columns without rows", b'{"inputs":{"x0":[],"x1":[],"x2":[],"x3":[]}}', 422, "there are no rows"),
    ("other row labels", b'{"features":{"x0":{"0":1},"x1":{"1":1},"x2":{"0":1},"x3":{"0":1}}}', 422, "row labels"),
    ("instances that are none", b'{"instances":{"x0":1}}', 422, "/instances: must be a list"),
    ("a split without data", b'{"dataframe_split":{"columns":["x0"]}}', 422, "'columns' and 'data'"),
    (
        "a split that is ragged",
        b'{"dataframe_split":{"columns":["x0","x1"],"data":[[1]]}}',
        422,
        "/dataframe_split/data/0",
    ),
    ("a split with a name twice", b'{"dataframe_split":{"columns":["x0","x0"],"data":[[1,1]]}}', 422, "different"),
    (
        "a split with numbers for names",
        b'{"dataframe_split":{"columns":[1],"data":[[1]]}}',
        422,
        "must be 0, 1, 2, …",
    ),
    ("a split with a number for a list", b'{"dataframe_split":{"columns":4,"data":[[1]]}}', 422, "column names"),
    ("a split with a word for a list", b'{"dataframe_split":{"columns":"x0","data":[[1]]}}', 422, "column names"),
    ("a split with a truth for a name", b'{"dataframe_split":{"columns":[true],"data":[[1]]}}', 422, "column names"),
    ("a pointer to escape", b'{"features":[{"x0":1,"x1":1,"x2":1,"x3":1,"a/b~c":1}]}', 422, "a/b~c"),
]


@pytest.mark.parametrize(("body", "status", "says"), [case[1:] for case in BODIES], ids=[case[0] for case in BODIES])
def test_json_that_does_not_fit(client: FlaskClient, body: bytes, status: int, says: str) -> None:
    refused(client.post("/predict", data=body, content_type=JSON), status, says)


OTHERS: list[tuple[str, str, str, bytes, int, str]] = [
    # Other formats
    ("CSV with words", "/predict", "text/csv", b"1,2,3,four\n", 422, "not the string 'four'"),
    ("CSV with NaN", "/predict", "text/csv", b"1,2,3,nan\n", 422, "must not be missing"),
    ("CSV with an infinity", "/predict", "text/csv", b"1,2,3,inf\n", 422, "finite"),
    ("CSV with underscores", "/predict", "text/csv", b"1,2,3,1_0\n", 422, "not the string '1_0'"),
    ("ragged CSV", "/predict", "text/csv", b"1,2,3,4\n1,2\n", 422, "line 2 has 2 values, and 4 are needed"),
    ("CSV with an open quote", "/predict", "text/csv", b'1,2,3,"4\n', 400, "not CSV"),
    ("CSV that is not UTF-8", "/predict", "text/csv", b"\xff\xfe1,2", 400, "not UTF-8"),
    ("CSV with a NUL", "/predict", "text/csv", b"1,2,3,\x00\n", 400, "NUL"),
    ("CSV of nothing", "/predict", "text/csv", b"", 422, "there are no rows"),
    ("CSV of a header", "/predict", "text/csv", b"x0,x1,x2,x3\n", 422, "there are no rows"),
    ("a CSV header in capitals", "/predict", "text/csv", b"X0,X1,X2,X3\n1,2,3,4\n", 422, "column 'X0' is not known"),
    (
        "a CSV header that is half right",
        "/models/words/predict",
        "text/csv",
        b"city,Plan name\nBonn,a\n",
        422,
        "column 'Plan name' is not known",
    ),
    ("CSV with a column twice", "/predict", "text/csv", b"x0,x1,x2,x3,x3\n1,2,3,4,5\n", 422, "twice"),
    ("a huge CSV cell", "/predict", "text/csv", b'1,2,3,"' + b"9" * 99_000 + b'"\n', 422, "finite"),
    ("NPY of objects", "/predict", NPY, npy(np.array([[1, "a"]], object), allow_pickle=True), 400, "plain numbers"),
    ("NPY cut short", "/predict", NPY, npy(np.ones((3, 4)))[:-8], 400, "the header promises"),
    ("NPY and more", "/predict", NPY, npy(np.ones((3, 4))) + b"more", 400, "the header promises"),
    ("NPY of the wrong width", "/predict", NPY, npy(np.ones((3, 5))), 422, "shape (3, 5); this model takes (n, 4)"),
    ("NPY of one dimension", "/predict", NPY, npy(np.ones(4)), 422, "shape (4,)"),
    ("NPY of a number", "/predict", NPY, npy(np.float64(1)), 422, "shape (1,)"),
    ("NPY of booleans", "/predict", NPY, npy(np.ones((1, 4), bool)), 422, "not true"),
    ("NPY of strings", "/predict", NPY, npy(np.array([["1", "2", "3", "4"]])), 422, "not the string '1'"),
    ("NPY of complex numbers", "/predict", NPY, npy(np.ones((1, 4), complex)), 422, "must be a number"),
    ("NPY with NaN", "/predict", NPY, npy(np.full((1, 4), np.nan)), 422, "must not be missing"),
    ("NPY with infinities", "/predict", NPY, npy(np.full((1, 4), np.inf)), 422, "finite"),
    ("NPY of no rows", "/predict", NPY, npy(np.ones((0, 4))), 422, "there are no rows"),
    ("NPY of many empty rows", "/predict", NPY, npy(np.ones((10**9, 0))), 413, "rows are more than"),
    (
        "NPY that promises a terabyte",
        "/predict",
        NPY,
        npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (200000000000, 4), }"),
        400,
        "the header promises",
    ),
    (
        "NPY of a negative shape",
        "/predict",
        NPY,
        npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 4), }"),
        400,
        "the header promises",
    ),
    ("NPY with code for a header", "/predict", NPY, npy_header("__import__('os').system('true')"), 400, "not NPY"),
    ("NPY of another version", "/predict", NPY, b"\x93NUMPY\x09\x00" + b"\0" * 90, 400, "not NPY"),
    ("no NPY", "/predict", NPY, b"hello", 400, "not NPY"),
    ("no Arrow", "/predict", ARROW, b"hello", 400, "not an Arrow IPC stream"),
    ("Arrow cut short", "/predict", ARROW, arrow({"x0": [1.0] * 40})[:-200], 400, "not an Arrow IPC stream"),
    ("compressed Arrow", "/predict", ARROW, arrow({"x0": [1.0] * 4096}, "zstd"), 400, "compressed"),
    ("Arrow without a column", "/predict", ARROW, arrow({"x0": [1.0]}), 422, "column 'x1' is missing"),
    ("nested Arrow", "/predict", ARROW, arrow({f"x{i}": [[1.0]] for i in range(4)}), 422, "has the type list"),
    (
        "Arrow with nulls",
        "/predict",
        ARROW,
        arrow({f"x{i}": [1.0, None] for i in range(4)}),
        422,
        "must not be missing",
    ),
    *[
        (f"NPY of the dtype {descr}", "/predict", NPY, npy_of(descr, "(1, 4)", size), 400, "plain numbers")
        for descr, size in (("'<M8[ns]'", 32), ("'<m8[s]'", 32), ("'V8'", 32), ("'<U0'", 0), ("('<f8', (2,))", 64))
    ],
    *[
        (f"NPY of the shape {shape}", "/predict", NPY, npy_of("'<f8'", shape, size), 400, "the header")
        for shape, size in (
            ("(-1, -1)", 8),
            ("(-4, -1)", 32),
            ("(-1, 0)", 0),
            (f"({2**70}, 0)", 0),
            (f"({'1,' * 80})", 8),
        )
    ],
    ("NPY of strings beyond Unicode", "/predict", NPY, npy_of("'<U1'", "(1, 4)", 16, b"\xff"), 400, "no Unicode"),
    *[
        (f"NPY with {header[:9]!r} for a header", "/predict", NPY, npy_header(header), 400, "not NPY")
        for header in ("(" * 5000, "'''", "{[]: 1}", "-" * 4000 + "1", "{'shape': (1, 4", "{'shape': (1L,), }")
    ],
    (
        "Arrow of many columns of nulls",
        "/predict",
        ARROW,
        arrow({f"n{i}": pa.nulls(9) for i in range(99)}),
        422,
        "column 'n0' is not known",
    ),
    (
        "Arrow of binary views",
        "/predict",
        ARROW,
        arrow(dict.fromkeys(NAMES, pa.array([b"1"], pa.binary_view()))),
        422,
        "has the type binary_view",
    ),
    ("Arrow of times", "/predict", ARROW, arrow(dict.fromkeys(NAMES, pa.array([1], pa.time32("s")))), 422, "time32"),
    (
        "Arrow in a zone that is none",
        "/models/days/predict",
        ARROW,
        arrow({"day": pa.array([1], pa.timestamp("us", "X/Y"))}),
        422,
        "cannot be read",
    ),
    *[
        (f"Arrow of the date {moment}", "/models/days/predict", ARROW, arrow({"day": moment}), 422, "cannot be read")
        for moment in (
            pa.array([2**62], pa.timestamp("us")),
            pa.array([2**62], pa.timestamp("s")),
            pa.array([2**31 - 1], pa.int32()).cast(pa.date32()),
        )
    ],
    (
        "a null among booleans",
        "/models/switches/predict",
        JSON,
        b'{"X":[[true,null]]}',
        422,
        "/X/0/1: must not be missing",
    ),
    # Columns of other kinds
    (
        "a boolean for a category",
        "/models/codes/predict",
        JSON,
        b'{"features":{"age":1,"code":true}}',
        422,
        "not a category",
    ),
    (
        "an unknown category",
        "/models/table/predict",
        JSON,
        b'{"features":{"age":1,"level":"mid","count":1,"ok":true}}',
        422,
        "not a category of this column; it has 'high', 'low'",
    ),
    (
        "a number for a category",
        "/models/table/predict",
        JSON,
        b'{"features":{"age":1,"level":3,"count":1,"ok":true}}',
        422,
        "not a category",
    ),
    (
        "an integer of 30 digits",
        "/models/table/predict",
        JSON,
        b'{"features":{"age":1,"level":"low","count":' + b"9" * 30 + b',"ok":true}}',
        422,
        "out of range",
    ),
    (
        "an integer of 64 bits and one",
        "/models/table/predict",
        JSON,
        b'{"features":{"age":1,"level":"low","count":9223372036854775808,"ok":true}}',
        422,
        "out of range",
    ),
    (
        "a number for a boolean",
        "/models/table/predict",
        JSON,
        b'{"features":{"age":1,"level":"low","count":1,"ok":1}}',
        422,
        "must be true or false",
    ),
    (
        "a category the model never saw",
        "/models/counts/predict",
        JSON,
        b'{"X":[[99,99]]}',
        422,
        "cannot take these rows",
    ),
    ("a negative count", "/models/counts/predict", JSON, b'{"X":[[-1,0]]}', 422, "cannot take these rows"),
    ("numbers for a text", "/models/text/predict", JSON, b'{"text":5}', 422, "not the number 5"),
    (
        "a list in a list of texts",
        "/models/text/predict",
        JSON,
        b'{"text":[["a","b"]]}',
        422,
        "must be a string, not a list",
    ),
    ("no text at all", "/models/text/predict", JSON, b'{"text":[]}', 422, "there are no rows"),
    ("classifying numbers", "/models/iris/classify", JSON, b'{"text":"good"}', 404, "takes no text"),
    ("classifying CSV", "/classify", "text/csv", b"good\n", 415, "/classify reads application/json"),
    # What is not there
    ("an unknown model", "/models/nobody/predict", JSON, b'{"X":[[1,2,3,4]]}', 404, "there is no model 'nobody'"),
    ("a model out of the store", "/models/..%2F..%2Fetc/predict", JSON, b"{}", 404, ""),
    ("an unknown version", "/models/iris/versions/9/predict", JSON, b'{"X":[[1,2,3,4]]}', 404, "no version 9"),
    ("a version of 4,000 digits", f"/models/iris/versions/{'9' * 4000}/predict", JSON, b"{}", 404, "no version"),
    (
        "an unknown method",
        "/models/iris/transform",
        JSON,
        b'{"X":[[1,2,3,4]]}',
        404,
        "has no transform; it has predict",
    ),
    ("an unknown route", "/predictions", JSON, b"{}", 404, "there is no route '/predictions'"),
    # What is not read
    (
        "a form",
        "/predict",
        "application/x-www-form-urlencoded",
        b'{"X":[[1,2,3,4]]}',
        415,
        "Content-Type: application/json",
    ),
    ("no type", "/predict", "", b'{"X":[[1,2,3,4]]}', 415, "the Content-Type is missing"),
    ("another charset", "/predict", "application/json; charset=latin-1", b'{"X":[[1,2,3,4]]}', 415, "send UTF-8"),
    ("a multipart form", "/predict", "multipart/form-data; boundary=x", b"--x--", 415, "multipart/form-data"),
]


@pytest.mark.parametrize(
    ("path", "content_type", "body", "status", "says"), [case[1:] for case in OTHERS], ids=[case[0] for case in OTHERS]
)
def test_what_does_not_fit_elsewhere(
    client: FlaskClient, path: str, content_type: str, body: bytes, status: int, says: str
) -> None:
    refused(client.post(path, data=body, content_type=content_type), status, says)


def test_integers_of_64_bits_stay_whole_beside_others(client: FlaskClient) -> None:
    for body, content_type in (
        (b'{"X":[[18446744073709551615,0],[9223372036854775808,-1],[9223372036854775808,0.5]]}', JSON),
        (b"18446744073709551615,0\n9223372036854775808,8\n", "text/csv"),
    ):
        reply = client.post("/models/large/predict", data=body, content_type=content_type)
        assert reply.status_code == 200, reply.text


def test_what_a_client_made_up_is_not_told_back_at_length(client: FlaskClient) -> None:
    name = "n" * 90_000
    for body in ({name: 1}, {"features": {name: 1}}, {"X": [{name: 1}]}, {"inputs": {name: [1]}}):
        reply = client.post("/predict", json=body)
        assert reply.status_code == 422
        assert len(reply.data) < 3000


def test_one_long_cell_does_not_widen_the_others(client: FlaskClient) -> None:
    body = b"1,2,3," + b"0" * 30_000 + b"4\n" + b"1,2,3,4\n" * 49
    reply, peak = peak_of(lambda: client.post("/predict", data=body, content_type="text/csv"))
    assert reply.status_code == 200, reply.text
    assert peak < 20 * len(body)


def test_a_string_that_many_rows_share_is_held_once(client: FlaskClient) -> None:
    shared = pa.DictionaryArray.from_arrays(pa.array([0] * 40, pa.int8()), ["good " * 2000])
    body = arrow({"level": shared, "age": [1.0] * 40, "count": [1] * 40, "ok": [True] * 40})
    reply, peak = peak_of(lambda: client.post("/models/table/predict", data=body, content_type=ARROW))
    refused(reply, 422, "not a category")
    assert peak < 300_000


def test_views_are_read_as_strings(client: FlaskClient) -> None:
    texts = pa.array(["good", "bad, and so on and on"], pa.string_view())
    reply = client.post(
        "/models/text/predict", data=arrow({"text": texts}), content_type=ARROW, headers={"Accept": JSON}
    )
    assert reply.get_json() == {"y_pred": [1, 0]}


def test_headers_that_do_not_fit(client: FlaskClient) -> None:
    body = b'{"X":[[1,2,3,4]]}'
    for headers, status, says in (
        ({"Accept": "text/html"}, 406, "the reply can be"),
        ({"Accept": "image/png;q=abc"}, 406, "the reply can be"),
        ({"Content-Encoding": "br"}, 415, "Content-Encoding is 'br'"),
        ({"Content-Encoding": "gzip"}, 400, "the body is not gzip"),
    ):
        refused(client.post("/predict", data=body, content_type=JSON, headers=headers), status, says)


def test_a_method_that_is_not_allowed_names_those_that_are(client: FlaskClient) -> None:
    reply = client.get("/predict")
    refused(reply, 405, "use OPTIONS, POST")
    assert reply.headers["Allow"] == "OPTIONS, POST"


def test_every_bad_place_of_the_first_ten_is_listed(client: FlaskClient) -> None:
    rows = [[1, 2, 3, "x"]] * 12
    problem = client.post("/predict", json={"X": rows}).json
    assert [bad["pointer"] for bad in problem["errors"]] == [f"/X/{row}/3" for row in range(10)]
    assert problem["errors"][0] == {
        "pointer": "/X/0/3",
        "row": 0,
        "column": "x3",
        "detail": "must be a number, not the string 'x'",
    }


def test_the_good_rows_around_them_are_still_answered(client: FlaskClient) -> None:
    assert client.post("/predict", data=b'{"X":[' + ROW + b"]}", content_type=JSON).json == {"y_pred": [0]}


def refused(reply: Any, status: int, says: str) -> None:
    assert reply.status_code == status, reply.text
    problem = reply.json
    assert reply.content_type == "application/problem+json"
    assert problem["status"] == status
    assert says in problem["detail"]
    assert problem["title"]
    assert problem["request_id"] == reply.headers["X-Request-Id"]
