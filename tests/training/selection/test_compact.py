"""Networks whose file is smaller: the same answers after saving, about as good, at a fraction of the size."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits
from sklearn.neural_network import MLPClassifier

from app import store
from app.training.compact import CompactMLPClassifier, CompactMLPRegressor

SETTINGS: dict[str, Any] = {"hidden_layer_sizes": (32,), "max_iter": 20, "random_state": 0}


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X / 16, y


def fitted(model: Any, X: np.ndarray, y: np.ndarray) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clone(model).fit(X, y)


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_a_saved_network_answers_as_it_did(weights: str, digits: tuple[np.ndarray, np.ndarray]) -> None:
    model = fitted(CompactMLPClassifier(weights=weights, **SETTINGS), *digits)
    loaded = pickle.loads(pickle.dumps(model))
    assert np.array_equal(loaded.predict_proba(digits[0]), model.predict_proba(digits[0]))
    assert loaded.get_params() == model.get_params()


def test_it_is_about_as_good_and_much_smaller(digits: tuple[np.ndarray, np.ndarray]) -> None:
    plain = fitted(MLPClassifier(**SETTINGS), *digits)
    half = fitted(CompactMLPClassifier(weights="float32", **SETTINGS), *digits)
    eighth = fitted(CompactMLPClassifier(weights="int8", **SETTINGS), *digits)
    sizes = [len(pickle.dumps(model)) for model in (plain, half, eighth)]
    assert sizes[0] > 4 * sizes[1] > 4 * sizes[2]
    assert half.score(*digits) == pytest.approx(plain.score(*digits), abs=0.002)
    assert eighth.score(*digits) == pytest.approx(plain.score(*digits), abs=0.01)


def test_the_fast_form_of_networks_serves_it(digits: tuple[np.ndarray, np.ndarray], tmp_path: Any) -> None:
    model = fitted(CompactMLPClassifier(weights="int8", **SETTINGS), *digits)
    saved = store.save(model, digits[0][:200], "m", root=tmp_path)
    engine = store.load("m", saved.version, root=tmp_path).manifest.engine
    assert engine["choice"]["predict"]["one"] == "numpy"


def test_a_regressor_too() -> None:
    X, y = load_diabetes(return_X_y=True)
    model = fitted(CompactMLPRegressor(weights="int8", **SETTINGS), X, y)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
