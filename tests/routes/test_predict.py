"""``POST /predict``: each shape of a request is answered in its own shape."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from flask.testing import FlaskClient
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from app import store
from tests.conftest import ClientMaker

ROW = [5.1, 3.5, 1.4, 0.2]
NAMES = ["x0", "x1", "x2", "x3"]
RECORD = dict(zip(NAMES, ROW, strict=True))
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture
def client(serve: ClientMaker, iris: Any) -> FlaskClient:
    return serve(*iris)


@pytest.fixture
def table() -> tuple[Any, pd.DataFrame]:
    """A pipeline on a DataFrame with numbers, text, missing values and a column it drops."""
    frame = pd.DataFrame(
        {
            "age": [22.0, 38.0, np.nan, 35.0, 54.0, 2.0],
            "sex": ["male", "female", "female", "female", "male", None],
            "ticket": ["a", "b", "c", "d", "e", "f"],
            "pclass": [3, 1, 3, 1, 1, 3],
        }
    )
    columns = ColumnTransformer(
        [
            ("numbers", SimpleImputer(), ["age", "pclass"]),
            (
                "words",
                make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
                ["sex"],
            ),
        ]
    )
    return make_pipeline(columns, RandomForestClassifier(5, random_state=0)).fit(frame, [0, 1, 1, 1, 0, 0]), frame


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        ({"X": [ROW, ROW]}, {"y_pred": [0, 0]}),
        ({"x": [ROW]}, {"y_pred": [0]}),
        ({"X": ROW}, {"y_pred": 0}),
        ({"features": [ROW]}, {"prediction": [0]}),
        ({"features": ROW}, {"prediction": 0}),
        ({"features": [RECORD, RECORD]}, {"prediction": [0, 0]}),
        ({"features": RECORD}, {"prediction": 0}),
        ({"features": {name: {"0": value, "7": value} for name, value in RECORD.items()}}, {"prediction": [0, 0]}),
        ({"features": {name: [value, value] for name, value in RECORD.items()}}, {"prediction": [0, 0]}),
        ({"instances": [ROW, ROW]}, {"predictions": [0, 0]}),
        ({"instances": [RECORD]}, {"predictions": [0]}),
        ({"inputs": [ROW]}, {"outputs": [0]}),
        ({"inputs": {name: [value] for name, value in RECORD.items()}}, {"outputs": [0]}),
        ({"dataframe_records": [RECORD]}, {"predictions": [0]}),
        ({"dataframe_split": {"columns": NAMES, "data": [ROW]}}, {"predictions": [0]}),
        ({"dataframe_split": {"columns": [0, 1, 2, 3], "data": [ROW]}}, {"predictions": [0]}),
        ({"dataframe_split": {"columns": NAMES[::-1], "index": [3], "data": [ROW[::-1]]}}, {"predictions": [0]}),
    ],
)
def test_a_shape_is_answered_in_its_own(client: FlaskClient, body: Any, reply: Any) -> None:
    answered = client.post("/predict", json=body)
    assert (answered.status_code, answered.json) == (200, reply)


def test_numbers_of_columns_are_positions_in_an_array_and_names_in_a_table(
    client: FlaskClient, serve: ClientMaker
) -> None:
    reply = client.post("/predict", json={"dataframe_split": {"columns": [0, 1], "data": [[1, 2]]}})
    assert (reply.status_code, reply.json["errors"][0]["pointer"]) == (422, "/dataframe_split/data/0")
    frame = pd.DataFrame({0: [1.0, 2.0], 1: ["a", "b"]})
    table = serve(DummyClassifier().fit(frame, [0, 0]), frame, "numbered")
    for columns, row in (([1, 0], ["a", 1]), (["0", 1], [1, "a"])):
        body = {"dataframe_split": {"columns": columns, "data": [row]}}
        assert table.post("/models/numbered/predict", json=body).json == {"predictions": [0]}
    body = {"dataframe_split": {"columns": [0, "0"], "data": [[1, 1]]}}
    assert "different column names" in table.post("/models/numbered/predict", json=body).json["detail"]


def test_named_columns_may_come_in_any_order(client: FlaskClient) -> None:
    rows = load_iris().data[50:55]
    records = [dict(zip(NAMES[::-1], row[::-1].tolist(), strict=True)) for row in rows]
    by_name = client.post("/predict_proba", json={"features": records}).json["prediction"]
    assert by_name == client.post("/predict_proba", json={"X": rows.tolist()}).json["y_pred"]


def test_probabilities_come_with_their_classes(serve: ClientMaker) -> None:
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    model = LogisticRegression(max_iter=500).fit(X, names)
    reply = serve(model, X).post("/predict_proba", json={"X": [ROW]}).json
    assert reply == {"y_pred": model.predict_proba([ROW]).tolist(), "classes": ["setosa", "versicolor", "virginica"]}


@pytest.mark.parametrize(
    "labels",
    [np.array([True, False] * 10), np.array(["ja", "nein"] * 10), np.array([7, -3] * 10)],
    ids=["bool", "str", "int"],
)
def test_labels_keep_their_type(serve: ClientMaker, labels: Any) -> None:
    X = np.arange(20.0).reshape(-1, 1) % 2
    reply = serve(LogisticRegression().fit(X, labels), X).post("/predict", json={"X": [[0.0], [1.0]]}).json
    assert reply == {"y_pred": labels[:2].tolist()}


def test_several_outputs_are_answered_row_by_row(serve: ClientMaker) -> None:
    X = np.random.default_rng(0).normal(size=(40, 2))
    model = MultiOutputClassifier(LogisticRegression()).fit(X, (X > 0).astype(int))
    client = serve(model, X)
    assert client.post("/predict", json={"X": X[:3].tolist()}).json == {"y_pred": model.predict(X[:3]).tolist()}
    reply = client.post("/predict_proba", json={"X": X[:3].tolist()}).json
    assert reply["y_pred"] == [part.tolist() for part in model.predict_proba(X[:3])]
    assert reply["classes"] == [[0, 1], [0, 1]]


def test_a_float32_model_gets_float32(serve: ClientMaker) -> None:
    X, y = load_iris(return_X_y=True)
    X = X.astype(np.float32)
    model = LinearRegression().fit(X, y)
    reply = serve(model, X).post("/predict", json={"X": X[:4].tolist()}).json
    assert model.predict(X[:4]).dtype == np.float32
    assert reply["y_pred"] == model.predict(X[:4]).astype(float).tolist()


def test_a_table_is_answered_by_column(serve: ClientMaker, table: Any) -> None:
    model, frame = table
    client = serve(model, frame)
    row = {"age": 30.5, "sex": "male", "pclass": 2}
    expected = model.predict_proba(pd.DataFrame([row | {"ticket": "x"}]))[:, :].tolist()
    # The ticket reaches no step of the pipeline: it may be there, of any kind, or not.
    for ticket in ({}, {"ticket": "x"}, {"ticket": 5}):
        assert client.post("/predict_proba", json={"features": [row | ticket]}).json["prediction"] == expected


def test_null_is_a_missing_value_where_an_imputer_takes_it(serve: ClientMaker, table: Any) -> None:
    model, frame = table
    row = {"age": None, "sex": None, "pclass": None}
    reply = serve(model, frame).post("/predict", json={"features": [row]})
    assert reply.status_code == 200, reply.text
    own = pd.DataFrame({"age": [np.nan], "sex": [np.nan], "pclass": [np.nan], "ticket": ["x"]})
    assert reply.json["prediction"] == model.predict(own).tolist()


def test_texts_come_as_strings(serve: ClientMaker) -> None:
    texts = ["win cash now", "see you at lunch", "cash prize now", "lunch tomorrow"]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, ["spam", "ham", "spam", "ham"])
    client = serve(model, texts)
    assert client.post("/predict", json={"text": "cash now"}).json == {"prediction": "spam"}
    assert client.post("/predict", json={"text": ["cash now", "lunch"]}).json == {"prediction": ["spam", "ham"]}
    assert client.post("/predict", json={"X": ["lunch"]}).json == {"y_pred": ["ham"]}
    score = model.predict_proba(["cash now"]).max()
    assert client.post("/classify", json={"text": "cash now"}).json == {"label": "spam", "score": score}
    assert client.post("/classify", json={"text": ["cash now"]}).json == [{"label": "spam", "score": score}]


def test_classify_finds_the_only_model_that_classifies_texts(serve: ClientMaker, root: Any, iris: Any) -> None:
    texts = ["good", "bad", "good good", "bad bad"]
    store.save(TfidfVectorizer().fit(texts), texts, "terms", root=root)
    store.save(
        make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [1, 0, 1, 0]), texts, "moods", root=root
    )
    client = serve(*iris, name="iris")
    assert client.post("/classify", json={"text": "good"}).json["label"] == 1
    assert client.post("/models/iris/classify", json={"text": "good"}).status_code == 404


def test_csv_means_what_json_means(serve: ClientMaker, table: Any) -> None:
    model, frame = table
    client = serve(model, frame)
    records = frame.astype(object).where(frame.notna(), None).to_dict("records")
    expected = client.post("/predict_proba", json={"features": records}).json["prediction"]
    body = frame[["sex", "pclass", "age", "ticket"]].to_csv(index=False)
    reply = client.post("/predict_proba", data=body, content_type="text/csv", headers={"Accept": "application/json"})
    assert reply.json["y_pred"] == expected
    without_header = frame.to_csv(index=False, header=False)
    reply = client.post("/predict_proba", data=without_header, content_type="text/csv; charset=utf-8")
    assert reply.content_type == "text/csv"
    assert pd.read_csv(io.StringIO(reply.text)).to_numpy().tolist() == expected


@pytest.mark.parametrize("dtype", [">f8", "<f4", "i2", "u1", "f2"])
def test_npy_of_any_number_type_is_read(client: FlaskClient, iris: Any, dtype: str) -> None:
    rows = np.array([[5, 3, 1, 0], [7, 3, 6, 2]], dtype=dtype)
    reply = client.post("/predict_proba", data=npy(rows), content_type="application/x-npy")
    assert np.load(io.BytesIO(reply.data)).tolist() == iris[0].predict_proba(rows.astype(float)).tolist()


def test_npy_in_column_order_is_read(client: FlaskClient, iris: Any) -> None:
    rows = np.asfortranarray(load_iris().data[:50])
    reply = client.post("/predict_proba", data=npy(rows), content_type="application/x-npy", headers={"Accept": "*/*"})
    assert np.array_equal(np.load(io.BytesIO(reply.data)), iris[0].predict_proba(np.ascontiguousarray(rows)))


def test_arrow_is_read_by_column(serve: ClientMaker, table: Any) -> None:
    model, frame = table
    client = serve(model, frame)
    arrow = pa.Table.from_pandas(frame[["sex", "pclass", "age"]], preserve_index=False)
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, arrow.schema) as writer:
        writer.write_table(arrow)
    reply = client.post("/predict_proba", data=stream.getvalue(), content_type=ARROW)
    answered = pa.ipc.open_stream(reply.data).read_all()
    assert answered.column_names == ["0", "1"]
    assert np.column_stack([answered["0"], answered["1"]]).tolist() == model.predict_proba(frame).tolist()


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("text/csv", "text/csv"),
        ("application/json;q=0.5, application/x-npy", "application/x-npy"),
        ("text/*", "text/csv"),
        ("text/html, */*;q=0.1", "application/json"),
        ("application/json;q=0, */*", "text/csv"),
        (ARROW, ARROW),
    ],
)
def test_accept_chooses_the_reply(client: FlaskClient, accept: str, content_type: str) -> None:
    reply = client.post("/predict", json={"X": [ROW]}, headers={"Accept": accept})
    assert (reply.status_code, reply.content_type) == (200, content_type)


def test_a_method_route_asks_that_method(client: FlaskClient, iris: Any) -> None:
    for path in ("/decision_function", "/models/model/decision_function", "/models/model/versions/1/decision_function"):
        reply = client.post(path, json={"X": [ROW]})
        assert reply.json == {"y_pred": iris[0].decision_function([ROW]).tolist()}
    assert client.post("/transform", json={"X": [ROW]}).status_code == 404


def test_every_prediction_names_its_model_and_its_request(client: FlaskClient) -> None:
    reply = client.post("/predict", json={"X": [ROW]}, headers={"X-Request-Id": "mine-7"})
    headers = [reply.headers[name] for name in ("X-Model-Name", "X-Model-Version", "X-Request-Id")]
    assert headers == ["model", "1", "mine-7"]


@pytest.mark.parametrize("given", ["x" * 129, "with space", "", "ümlaut"])
def test_an_unfit_request_id_is_replaced(client: FlaskClient, given: str) -> None:
    reply = client.post("/predict", json={"X": [ROW]}, headers={"X-Request-Id": given})
    assert len(reply.headers["X-Request-Id"]) == 32


def test_infinite_answers_are_null(serve: ClientMaker) -> None:
    from sklearn.tree import DecisionTreeClassifier

    X, y = load_iris(return_X_y=True)
    reply = serve(DecisionTreeClassifier().fit(X, y), X).post("/predict_log_proba", json={"X": [ROW]})
    assert reply.json["y_pred"] == [[0.0, None, None]]


def test_a_wide_table_is_checked_column_by_column(serve: ClientMaker) -> None:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 600)), columns=[f"c{index}" for index in range(600)])
    model = LinearRegression().fit(frame, frame["c0"])
    client = serve(model, frame)
    record = frame.iloc[0].to_dict()
    assert (
        client.post("/predict", json={"features": record}).json["prediction"]
        == model.predict(pd.DataFrame([record]))[0]
    )
    reply = client.post("/predict", json={"features": [record, record | {"c599": "x"}]})
    assert reply.json["errors"][0]["pointer"] == "/features/1/c599"


def npy(rows: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, rows)
    return stream.getvalue()
