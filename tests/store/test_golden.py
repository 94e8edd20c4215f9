"""Golden rows: proof that a version answers as it did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from app.engines import SklearnEngine
from app.errors import StoreError, VersionRefused
from app.store import ModelStore, load, save
from app.store.golden import check_golden, difference

X = np.random.default_rng(1).normal(size=(30, 3))
Y = np.array(["no", "yes"])[(X[:, 0] > 0).astype(int)]


def test_another_estimator_in_the_place_of_the_saved_one_is_refused(root: Path) -> None:
    save(LogisticRegression().fit(X, Y), X, "m", root=root)
    model = load("m", root=root)
    other = SklearnEngine(LogisticRegression(C=0.5).fit(X, Y), model.signature)
    with pytest.raises(VersionRefused, match=r"predict_proba of the golden rows is not what it was.*row 0"):
        check_golden(other, model.signature, model.manifest.golden)


def test_what_raises_for_the_golden_rows_is_refused(root: Path) -> None:
    save(LogisticRegression().fit(X, Y), X, "m", root=root)
    model = load("m", root=root)
    narrow = SklearnEngine(LogisticRegression().fit(X[:, :2], Y), model.signature)
    with pytest.raises(VersionRefused, match="predict of the golden rows raises ValueError"):
        check_golden(narrow, model.signature, model.manifest.golden)


def test_a_random_method_is_marked_and_only_its_shape_and_dtype_checked(root: Path, tmp_path: Path) -> None:
    code = tmp_path / "guessing.py"
    code.write_text(_SOURCE)
    from app.store.bundle import import_code

    guessing = import_code(code.read_bytes(), code).Guessing().fit(X, Y)
    save(guessing, X, "m", root=root, code=code)
    model = load("m", root=root)
    assert model.manifest.golden.random == ("predict",)
    words = SklearnEngine(LogisticRegression().fit(X, Y), model.signature)
    with pytest.raises(VersionRefused, match=r"predict of the golden rows.*dtype"):
        check_golden(words, model.signature, model.manifest.golden)


def test_rows_that_json_cannot_tell_apart_are_refused(root: Path) -> None:
    """In JSON a missing string is null, which is read as NaN; this estimator knows None as a category."""
    rows = np.array([["a"], [None], ["b"]] * 10, dtype=object)
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(rows, Y)
    with pytest.raises(StoreError, match="answers the sample's rows differently when they come as JSON"):
        save(model, rows, "m", root=root)
    assert ModelStore(root).names() == []


def test_several_outputs_and_labels_of_every_kind_survive_the_manifest(root: Path) -> None:
    several = np.stack([Y, np.where(X[:, 1] > 0, "left", "right")], axis=1)
    for target in (several, (X[:, 0] > 0), X[:, 0].astype(int)):
        save(RandomForestClassifier(3, random_state=0).fit(X, target), X, "m", root=root)
        load("m", root=root)


def test_float32_answers_are_compared_by_their_own_digits(root: Path) -> None:
    rows = X.astype("f4")
    save(KNeighborsRegressor().fit(rows, rows[:, 0]), rows, "m", root=root)
    assert load("m", root=root).signature.container == "array"


@pytest.mark.parametrize(
    ("answer", "expected", "told"),
    [
        (np.array([1.0, 2.0]), np.array([1.0, 2.0 + 1e-10]), None),
        (np.array([1.0, 2.0]), np.array([1.0, 2.0 + 1e-6]), "in row 1"),
        (np.array([np.nan]), np.array([np.nan]), None),
        (np.array([1.0]), np.array([np.nan]), "in row 0"),
        (np.array(["a", "b"]), np.array(["a", "c"], dtype=object), "in row 1"),
        (np.array([True]), np.array([True], dtype=object), None),
        (np.zeros((2, 1)), np.zeros(2), "shape"),
        ([np.zeros(2)], [np.zeros(2), np.zeros(2)], "1 outputs instead of 2"),
    ],
)
def test_labels_must_be_equal_and_numbers_close(answer: Any, expected: Any, told: str | None) -> None:
    found = difference(answer, expected)
    assert found is None if told is None else told in str(found)


_SOURCE = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class Guessing(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.random.default_rng().integers(0, 2**40, len(X))

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))
"""
