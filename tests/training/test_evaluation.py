"""The metrics are scikit-learn's, as plain JSON values; those that cannot be had are left out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics
from sklearn.datasets import load_diabetes, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import SVC

from app.training.evaluation import ask, evaluate


def test_classification_metrics_of_several_classes() -> None:
    X, y = load_wine(return_X_y=True)
    X = X[:, :3]
    model = LogisticRegression(max_iter=5000).fit(X, y)
    measured = evaluate(ask(model, X), y, "classification")
    predicted, probabilities = model.predict(X), model.predict_proba(X)
    assert measured["accuracy"] == pytest.approx(metrics.accuracy_score(y, predicted))
    assert measured["f1"] == pytest.approx(metrics.f1_score(y, predicted, average="macro"))
    assert measured["roc_auc"] == pytest.approx(metrics.roc_auc_score(y, probabilities, multi_class="ovr"))
    assert measured["log_loss"] == pytest.approx(metrics.log_loss(y, probabilities))
    assert list(measured["per_class"]) == ["0", "1", "2"]
    assert measured["per_class"]["1"]["recall"] == pytest.approx(metrics.recall_score(y == 1, predicted == 1))
    assert measured["per_class"]["1"]["rows"] == 71
    assert json.loads(json.dumps(measured, allow_nan=False)) == measured


def test_decisions_give_roc_auc_where_there_are_no_probabilities() -> None:
    X, y = load_wine(return_X_y=True)
    model = SVC().fit(X, y == 0)
    measured = evaluate(ask(model, X), y == 0, "classification")
    assert measured["roc_auc"] == pytest.approx(metrics.roc_auc_score(y == 0, model.decision_function(X)))
    assert "log_loss" not in measured


def test_a_class_that_is_not_held_out_leaves_roc_auc_out() -> None:
    X, y = load_wine(return_X_y=True)
    model = LogisticRegression(max_iter=5000).fit(X, y)
    measured = evaluate(ask(model, X[y < 2]), y[y < 2], "classification")
    assert "roc_auc" not in measured
    assert measured["log_loss"] > 0


def test_regression_metrics() -> None:
    X, y = load_diabetes(return_X_y=True)
    model = LinearRegression().fit(X, y)
    measured = evaluate(ask(model, X), y, "regression")
    predicted = model.predict(X)
    assert measured == {
        "mse": pytest.approx(metrics.mean_squared_error(y, predicted)),
        "rmse": pytest.approx(metrics.root_mean_squared_error(y, predicted)),
        "mae": pytest.approx(metrics.mean_absolute_error(y, predicted)),
        "r2": pytest.approx(metrics.r2_score(y, predicted)),
        "mape": pytest.approx(metrics.mean_absolute_percentage_error(y, predicted)),
    }
    assert "mape" not in evaluate(ask(model, X), np.where(y > 100, y, 0.0), "regression")
