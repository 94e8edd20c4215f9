"""Every estimator of scikit-learn that has ``predict`` is served, with the very answers it gives in process."""

from __future__ import annotations

import inspect
import itertools
import json
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401  # it brings two more estimators
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils import get_tags
from sklearn.utils.discovery import all_estimators

from app.engines.chosen import BULK_ROWS
from app.engines.native import as_arrays
from app.signature import METHODS
from tests.conftest import ClientMaker

ESTIMATORS = {name: cls for name, cls in all_estimators() if hasattr(cls, "predict")}
REGRESSING = ("MultiOutputRegressor", "RegressorChain", "StackingRegressor", "VotingRegressor")
SEVERAL_OUTPUTS = (
    "CCA",
    "ClassifierChain",
    "MultiOutputClassifier",
    "MultiOutputRegressor",
    "PLSCanonical",
    "RegressorChain",
)

# Rows with labels of three classes, three numbers, and counts; small, so that all of them fit within a minute.
X, LABELS = load_iris(return_X_y=True)
X, LABELS = X[::2], LABELS[::2]
TARGETS = X[:, 3] + 0.1 * LABELS
X = X[:, :3]
# One row, several, and as many as are answered by what was chosen for bulk: another engine for each, perhaps.
SIZES = (1, 7, BULK_ROWS)


def build(name: str, cls: type) -> Any:
    """Make an estimator with what it cannot do without, and a seed where it takes one."""
    inner: Any = Ridge() if name in REGRESSING else LogisticRegression()
    choices = {
        "estimator": inner,
        "estimators": [("one", inner), ("two", inner)],
        "steps": [("inner", inner)],
        "param_grid": {"C": [0.5, 1.0]},
        "param_distributions": {"C": [0.5, 1.0]},
        "random_state": 0,
    }
    parameters = inspect.signature(cls).parameters
    needed = {
        key: value
        for key, value in choices.items()
        if key in parameters and (key == "random_state" or parameters[key].default is inspect.Parameter.empty)
    }
    # How well it is fitted is of no interest here, and these take long.
    if name == "LogisticRegressionCV":
        needed["Cs"] = 2
    if name.startswith("HistGradientBoosting"):
        needed["max_iter"] = 20
    if name == "SelfTrainingClassifier":
        needed["estimator"] = inner
    if name == "LocalOutlierFactor":
        needed["novelty"] = True
    if name == "QuantileRegressor":
        needed["solver"] = "highs"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return cls(**needed)


def fit(name: str, estimator: Any) -> tuple[Any, Any]:
    """Fit an estimator on what its tags say it takes; returns it with its rows."""
    tags = get_tags(estimator)
    rows: Any = X
    if name == "IsotonicRegression":
        rows = X[:, 0]
    elif tags.input_tags.positive_only or tags.input_tags.categorical:
        rows = np.round(X)
    y: Any = LABELS if tags.classifier_tags is not None else TARGETS
    if name in ("FixedThresholdClassifier", "TunedThresholdClassifierCV"):
        y = (LABELS > 0).astype(int)
    elif name == "CategoricalNB":
        rows = rows.astype(int)
    elif name in SEVERAL_OUTPUTS or (tags.target_tags.multi_output and not tags.target_tags.single_output):
        y = np.column_stack([y > np.median(y), y > np.mean(y)]) if tags.classifier_tags else np.column_stack([y, -y])
    if tags.target_tags.positive_only:
        y = np.abs(y) + 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(rows, y), rows


@pytest.mark.filterwarnings("ignore:Class PassiveAggressive:FutureWarning")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_its_answers_over_http_are_its_own(name: str, serve: ClientMaker) -> None:
    estimator, rows = fit(name, build(name, ESTIMATORS[name]))
    client = serve(estimator, rows)
    answered = client.get("/models/model").json["methods"]
    assert "predict" in answered
    for method, count in itertools.product(METHODS, SIZES):
        if method not in answered:
            continue
        asked = rows[np.arange(count) % len(rows)]
        reply = client.post(f"/{method}", json={"instances": asked.tolist()})
        assert reply.status_code == 200, reply.text
        with np.errstate(all="ignore"):
            own = getattr(estimator, method)(asked)
        assert_same(reply.json["predictions"], as_json(own))


def assert_same(answer: Any, own: Any) -> None:
    """Compare as the exactness contract says: labels, and whatever is no float, exactly; floats within 1e-9."""
    if isinstance(own, list):
        assert isinstance(answer, list)
        assert len(answer) == len(own)
        for part, other in zip(answer, own, strict=True):
            assert_same(part, other)
    elif isinstance(own, float) and isinstance(answer, float):
        # Written alike by scikit-learn itself; another engine may add up in another order.
        assert answer == pytest.approx(own, rel=1e-9, abs=1e-12)
    else:
        assert (answer, type(answer)) == (own, type(own))


def as_json(answer: Any) -> Any:
    """Write an answer as JSON does, every float with all of its digits; NaN and infinities as null."""
    answer = as_arrays(answer)
    values = [part.tolist() for part in answer] if isinstance(answer, list) else answer.tolist()
    return json.loads(json.dumps(values), parse_constant=lambda _: None)


def test_none_is_left_out() -> None:
    # The list grows with scikit-learn; it must never shrink unseen.
    assert len(ESTIMATORS) >= 119
