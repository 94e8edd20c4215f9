"""``POST …/explain``: the same bodies as ``/predict``, answered with what each input adds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

from app.keys import add_key
from app.store import save
from tests.conftest import ClientMaker

X, y = load_iris(return_X_y=True)
ROW = X[0].tolist()


def test_one_row_gets_a_number_for_each_input_which_add_up(serve: ClientMaker) -> None:
    model = LinearRegression().fit(X[:, :2], X[:, 2])
    reply = serve(model, X[:, :2]).post("/explain", json={"X": [ROW[:2]]})
    told = reply.json
    assert reply.status_code == 200
    assert (told["method"], told["output"]) == ("linear", "value")
    assert told["background"] == "the mean of the rows that are kept with the version"
    (added,) = told["contributions"]
    assert list(added) == ["x0", "x1"]
    assert told["base_value"] + sum(added.values()) == pytest.approx(told["prediction"][0], rel=1e-9)
    assert told["value"] == pytest.approx(told["prediction"])


def test_a_flat_row_is_answered_without_lists(serve: ClientMaker) -> None:
    told = serve(LinearRegression().fit(X, y), X).post("/explain", json={"features": ROW}).json
    assert isinstance(told["contributions"], dict)
    assert isinstance(told["prediction"], float)


def test_of_two_classes_the_second_is_explained(serve: ClientMaker) -> None:
    told = serve(LogisticRegression().fit(X, y > 0), X).post("/explain", json={"X": [ROW]}).json
    assert (told["output"], told["class"], told["prediction"]) == ("log_odds", True, [False])
    assert told["value"][0] < 0


def test_of_several_classes_each_has_a_number(serve: ClientMaker) -> None:
    forest = RandomForestClassifier(5, random_state=0).fit(X, y)
    told = serve(forest, X).post("/explain", json={"X": X[::50].tolist()}).json
    assert (told["method"], told["output"], told["classes"]) == ("tree", "probability", [0, 1, 2])
    np.testing.assert_allclose(told["value"], forest.predict_proba(X[::50]), rtol=1e-9, atol=1e-12)
    assert {len(value) for row in told["contributions"] for value in row.values()} == {3}


def test_texts_get_their_terms(serve: ClientMaker) -> None:
    texts, spam = ["win a prize", "see you at lunch"] * 5, [1, 0] * 5
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, spam)
    told = serve(model, texts).post("/explain", json={"text": "a prize"}).json
    assert list(told["contributions"]) == ["prize"]
    assert (told["background"], told["other_terms"]) == ("an empty text", 0.0)


def test_every_way_to_name_the_model_and_every_format_works(serve: ClientMaker) -> None:
    client = serve(LinearRegression().fit(X, y), X)
    expected = client.post("/explain", json={"X": [ROW]}).json
    for path in ("/models/model/explain", "/models/model/versions/1/explain"):
        assert client.post(path, json={"X": [ROW]}).json == expected
    table = ",".join(map(str, ROW))
    reply = client.post("/explain", data=table, content_type="text/csv")
    assert (reply.json, reply.content_type) == (expected, "application/json")
    assert reply.headers["X-Model-Version"] == "1"


def test_faults_are_told_as_those_of_predictions(serve: ClientMaker) -> None:
    client = serve(LinearRegression().fit(X, y), X)
    reply = client.post("/explain", json={"X": [[1, 2, 3, "a"]]})
    assert (reply.status_code, reply.json["errors"][0]["pointer"]) == (422, "/X/0/3")
    assert client.post("/explain", json={"X": []}).status_code == 422
    assert client.post("/models/other/explain", json={"X": [ROW]}).status_code == 404
    reply = client.post("/explain", json={"X": [ROW]}, headers={"Accept": "text/csv"})
    assert reply.status_code == 406


def test_more_rows_than_are_explained_at_once_are_413(serve: ClientMaker) -> None:
    client = serve(LinearRegression().fit(X, y), X)
    assert client.post("/explain", json={"X": [ROW] * 100}).status_code == 200
    reply = client.post("/explain", json={"X": [ROW] * 101})
    assert reply.status_code == 413
    assert "101 rows are more than the 100 taken at once" in reply.json["detail"]


def test_a_model_that_cannot_be_explained_says_why(serve: ClientMaker) -> None:
    client = serve(KMeans(2, n_init=1, random_state=0).fit(X), X)
    reply = client.post("/explain", json={"X": [ROW]})
    assert reply.status_code == 404
    assert reply.json["detail"] == (
        "model 'model' cannot be explained: none of its methods answers one output in numbers"
    )


def test_it_takes_a_key_that_may_predict(root: Any, client_of: ClientMaker, tmp_path: Any) -> None:
    save(LinearRegression().fit(X, y), X, "model", root=root)
    keys = tmp_path / "keys.json"
    good, bad = add_key(keys, "ada", ("predict",)), add_key(keys, "bob", ("admin",))
    client = client_of(api_keys_file=keys)
    statuses = [
        client.post("/explain", json={"X": [ROW]}, headers=headers).status_code
        for headers in ({}, {"X-API-Key": bad}, {"X-API-Key": good})
    ]
    assert statuses == [401, 403, 200]


def test_a_version_saved_without_a_background_is_explained_by_its_golden_rows(
    root: Any, client_of: ClientMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.saving.background_of", lambda *_: None)
    saved = save(LinearRegression().fit(X, y), X, "model", root=root)
    assert not (saved.path / "background.json").exists()
    told = client_of().post("/explain", json={"X": [ROW]}).json
    assert told["base_value"] + sum(told["contributions"][0].values()) == pytest.approx(told["prediction"][0])
