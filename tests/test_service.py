"""The corridor's own rules: deadlines, bounds, and whose fault it is."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer
from sklearn.pipeline import make_pipeline

from app import create_app, store
from app.engines import ChosenEngine
from app.errors import InvalidRows
from app.service import Call
from app.settings import Settings
from app.signature import Batch
from tests.conftest import ClientMaker

GATE = threading.Event()


class Moody(BaseEstimator):
    """Answers 0 for every row, and misbehaves for the numbers that ask for it."""

    def fit(self, X: Any, y: Any = None) -> Moody:
        return self

    def predict(self, X: Any) -> Any:
        mood = float(np.max(X))
        if mood == 1:
            GATE.wait(10)
        if mood == 2:
            raise ValueError("2 is not to my taste\nand more that is not for clients")
        if mood == 3:
            raise IndexError("a table ended")
        if mood == 4:
            raise MemoryError
        if mood == 5:
            return np.zeros(len(X) + 1)
        return np.zeros(len(X))


@pytest.fixture
def client(serve: ClientMaker) -> FlaskClient:
    return serve(Moody(), np.zeros((3, 1)), request_timeout=5.0)


def test_an_answer_that_takes_too_long_is_504(serve: ClientMaker) -> None:
    client = serve(Moody(), np.zeros((3, 1)), request_timeout=0.5)
    reply = client.post("/predict", json={"X": [[1.0]]})
    GATE.set()
    assert reply.status_code == 504
    assert reply.json["detail"] == "the answer was not ready within 0.5 seconds"


def test_the_estimators_own_refusal_is_422_with_its_first_line(client: FlaskClient) -> None:
    reply = client.post("/predict", json={"X": [[2.0]]})
    assert reply.status_code == 422
    assert reply.json["detail"] == "the model cannot take these rows: 2 is not to my taste"


def test_an_accident_is_the_rows_fault_while_the_model_answers_its_golden_rows(client: FlaskClient) -> None:
    reply = client.post("/predict", json={"X": [[3.0]]})
    assert reply.status_code == 422
    assert reply.json["detail"] == "the model cannot take these rows: IndexError"


def test_an_accident_is_ours_once_it_does_not(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.post("/predict", json={"X": [[0.0]]}).json == {"y_pred": [0.0]}

    def broken(self: Moody, X: Any) -> Any:
        raise AttributeError("lost an attribute")

    monkeypatch.setattr(Moody, "predict", broken)
    reply = client.post("/predict", json={"X": [[0.0]]})
    assert reply.status_code == 500
    assert "attribute" not in reply.text


def test_rows_that_need_too_much_memory_are_413(client: FlaskClient) -> None:
    assert client.post("/predict", json={"X": [[4.0]]}).status_code == 413


def test_an_answer_of_another_length_is_never_sent(client: FlaskClient) -> None:
    assert client.post("/predict", json={"X": [[5.0]]}).status_code == 500


def test_calls_that_come_together_share_one_of_the_engine_and_get_their_own_answers(
    serve: ClientMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    forest = RandomForestClassifier(20, random_state=0).fit(X, y)
    client = serve(forest, X)
    assert client.post("/predict", json={"X": X[:1].tolist()}).status_code == 200
    service = client.application.extensions["service"]
    asked: list[int] = []
    run = ChosenEngine.run

    def counted(self: ChosenEngine, batch: Batch, method: str) -> Any:
        asked.append(batch.rows)
        return run(self, batch, method)

    # Nothing that a client gets tells whether a call was shared.
    monkeypatch.setattr(ChosenEngine, "run", counted)
    bodies = [json.dumps({"X": X[start : start + 1 + start % 3].tolist()}).encode() for start in range(9)]
    bodies.insert(4, b'{"X": [[1, 2]]}')
    replies = service.answer_all([Call("predict", body, content_type="application/json") for body in bodies])
    assert isinstance(replies.pop(4), InvalidRows)
    assert asked == [18]
    for start, reply in enumerate(replies):
        rows = X[start : start + 1 + start % 3]
        answer = json.loads(reply.body)["y_pred"]
        assert answer == forest.predict(rows).tolist()


def test_a_call_that_fails_hurts_none_of_those_it_came_with(client: FlaskClient) -> None:
    service = client.application.extensions["service"]
    bodies = [b'{"X": [[0.0]]}'] * 40
    bodies[7] = b'{"X": [[3.0]]}'
    replies = service.answer_all([Call("predict", body, content_type="application/json") for body in bodies])
    assert isinstance(replies.pop(7), InvalidRows)
    assert {reply.body for reply in replies} == {b'{"y_pred":[0.0]}'}


def test_a_sparse_answer_is_made_dense(serve: ClientMaker) -> None:
    texts = ["a b", "b c", "c c"]
    vectors = CountVectorizer(token_pattern=r"\w").fit(texts)
    assert sparse.issparse(vectors.transform(texts))
    client = serve(make_pipeline(vectors), texts)
    assert client.post("/transform", json={"text": ["c c b"]}).json == {"prediction": [[0, 1, 2]]}


def test_an_answer_too_wide_is_refused_before_it_is_computed(serve: ClientMaker) -> None:
    wide = HashingVectorizer(n_features=2**20).fit(["a"])
    client = serve(make_pipeline(wide), ["a", "b"])
    assert client.post("/transform", json={"text": ["a"]}).status_code == 200
    reply = client.post("/transform", json={"text": ["a"] * 17})
    assert reply.status_code == 413
    assert "send at most 16 rows at a time" in reply.json["detail"]


def test_what_a_row_takes_is_known_from_saving(root: Path, iris: tuple[Any, Any]) -> None:
    saved = store.save(*iris, "m", root=root)
    service = create_app(Settings(model_store=root), watch=False).extensions["service"]
    cost = store.ModelStore(root).manifest("m", saved.version).engine["cost_us"]["predict"]
    assert service.row_seconds("predict", "m", None) == pytest.approx((cost["call"] + cost["row"]) / 1e6)
    assert service.row_seconds("classify", None, None) == 0.0


@pytest.mark.parametrize("data", [np.arange(10.0).reshape(5, 2), {"a": np.arange(5)}, list("abcde")])
def test_a_batch_is_split_in_order(data: Any) -> None:
    parts = list(Batch(5, data).split(2))
    assert [part.rows for part in parts] == [2, 2, 1]
    assert str(Batch.join(parts).data) == str(data)
