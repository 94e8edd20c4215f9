"""Calibrated classifiers, thresholds and transformed targets have forms too, which give scikit-learn's own answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from app import store
from app.engines import SklearnEngine, matrix, state
from app.engines.base import Doubt
from app.engines.gate import compare, each_row
from app.training.estimators import find_family
from app.training.preprocess import build_pipeline
from app.training.problem import frame_problem
from app.training.table import Table
from tests.engines.helpers import batch_of, signature_of
from tests.engines.tables import check_parity, passengers

TWO, TWO_Y = load_breast_cancer(return_X_y=True)
TWO, TWO_Y = TWO[::2, :12], TWO_Y[::2]
THREE, THREE_Y = load_iris(return_X_y=True)
WORDS = np.array(["setosa", "versicolor", "virginica"], dtype=object)[THREE_Y]

pytestmark = pytest.mark.filterwarnings("ignore")


def forest(**options: Any) -> Any:
    return RandomForestClassifier(n_estimators=15, random_state=0, **options)


def histograms() -> Any:
    return HistGradientBoostingClassifier(max_iter=15, random_state=0)


def scaled(final: Any) -> Any:
    return make_pipeline(SimpleImputer(), StandardScaler(), final)


def calibrated(estimator: Any, method: str, ensemble: bool = False) -> Any:
    return CalibratedClassifierCV(estimator, method=method, ensemble=ensemble, cv=3)


INNER = {
    "linear": lambda: LogisticRegression(max_iter=500),
    "scaled linear": lambda: scaled(LogisticRegression()),
    "margins": lambda: scaled(LinearSVC(random_state=0)),
    "network": lambda: scaled(MLPClassifier((8,), max_iter=30, random_state=0)),
    "forest": forest,
    "imputed forest": lambda: make_pipeline(SimpleImputer(), forest(min_samples_leaf=4)),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=15, random_state=0),
    "histograms": histograms,
}


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("inner", INNER)
def test_calibrated_forms_answer_as_scikit_learn_does(inner: str, method: str) -> None:
    assert_forms_agree(calibrated(INNER[inner](), method).fit(TWO, TWO_Y), TWO)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("inner", ["scaled linear", "forest", "histograms"])
def test_so_they_do_for_several_classes(inner: str, method: str) -> None:
    assert_forms_agree(calibrated(INNER[inner](), method).fit(THREE, WORDS), THREE)


@pytest.mark.parametrize("inner", ["linear", "forest", "histograms"])
def test_the_mean_of_several_calibrated_classifiers_has_forms_too(inner: str) -> None:
    assert_forms_agree(calibrated(INNER[inner](), "isotonic", ensemble=True).fit(THREE, WORDS), THREE)


@pytest.mark.parametrize("positive", [0, 1])
@pytest.mark.parametrize("inner", INNER)
def test_forms_go_by_a_threshold(inner: str, positive: int) -> None:
    assert_forms_agree(FixedThresholdClassifier(INNER[inner](), threshold=0.2, pos_label=positive).fit(TWO, TWO_Y), TWO)


@pytest.mark.parametrize("inner", ["scaled linear", "forest"])
def test_a_row_at_the_threshold_is_labelled_as_scikit_learn_does(inner: str) -> None:
    plain = INNER[inner]().fit(TWO, TWO_Y)
    threshold = float(plain.predict_proba(TWO)[3, 1])
    estimator = FixedThresholdClassifier(FrozenEstimator(plain), threshold=threshold).fit(TWO, TWO_Y)
    signature = signature_of(estimator, TWO)
    form, native = matrix.forms(estimator, signature)[0], SklearnEngine(estimator, signature)
    if inner == "forest":
        assert form.kernels["predict"](TWO[3:4]) == native.run(batch_of(TWO[3:4]), "predict")
    else:
        with pytest.raises(Doubt):
            form.kernels["predict"](TWO[3:4])


def test_covers_of_covers_and_tuned_ones_have_forms() -> None:
    assert_forms_agree(TunedThresholdClassifierCV(forest(), cv=3, random_state=0).fit(TWO, TWO_Y), TWO)
    both = FixedThresholdClassifier(calibrated(scaled(forest()), "isotonic"), threshold=0.3)
    assert_forms_agree(both.fit(TWO, TWO_Y), TWO)
    assert_forms_agree(make_pipeline(StandardScaler(), calibrated(forest(), "sigmoid")).fit(TWO, TWO_Y), TWO)


@pytest.mark.parametrize("inner", ["ridge", "network", "forest", "histograms"])
def test_a_target_that_was_transformed_has_forms_that_lead_back(inner: str) -> None:
    regressors = {
        "ridge": scaled(Ridge()),
        "network": scaled(MLPRegressor(hidden_layer_sizes=(8,), max_iter=30, random_state=0)),
        "forest": RandomForestRegressor(15, random_state=0),
        "histograms": HistGradientBoostingRegressor(max_iter=15, random_state=0),
    }
    y = np.abs(TWO[:, 3]) + TWO_Y
    model = TransformedTargetRegressor(regressors[inner], func=np.log1p, inverse_func=np.expm1).fit(TWO, y)
    assert_forms_agree(model, TWO)
    form = matrix.forms(model, signature_of(model, TWO))[0]
    if form.state is not None:
        again = matrix.rebuild(state.load(state.dump(form.state) or b""))
        assert np.array_equal(again.kernels["predict"](TWO[:1]), form.kernels["predict"](TWO[:1]))


def test_a_target_that_was_transformed_by_anothers_code_has_none() -> None:
    model = TransformedTargetRegressor(Ridge(), transformer=StandardScaler()).fit(TWO, TWO[:, 3])
    assert matrix.forms(model, signature_of(model, TWO)) == []


@pytest.mark.parametrize("method", ["temperature", "sigmoid"])
def test_what_has_no_form_stays_scikit_learns(method: str) -> None:
    inner = KNeighborsClassifier() if method == "sigmoid" else LogisticRegression(max_iter=500)
    estimator = calibrated(inner, method).fit(THREE, WORDS)
    assert matrix.forms(estimator, signature_of(estimator, THREE)) == []


@pytest.mark.parametrize("family", ["logistic", "forest", "boosting", "knn"])
def test_tables_under_covers_are_replayed(family: str) -> None:
    frame, target = passengers(300)
    problem = frame_problem(Table(frame.assign(y=target), "t.csv"), "y")
    pipeline = build_pipeline(problem, find_family(family, "classification"), 0)
    if family == "forest":
        pipeline.set_params(model__n_estimators=10)
    model = FixedThresholdClassifier(calibrated(pipeline, "isotonic"), threshold=0.4, pos_label=problem.y[0])
    judged = check_parity(model.fit(problem.X, problem.y), problem.X, batches=6)
    assert judged
    assert all(name.startswith("table+") for name in judged)


@pytest.mark.parametrize("inner", ["scaled linear", "network", "forest", "histograms"])
def test_forms_are_built_again_from_their_state(inner: str) -> None:
    both = FixedThresholdClassifier(calibrated(INNER[inner](), "isotonic"), threshold=0.3).fit(TWO, TWO_Y)
    signature = signature_of(both, TWO)
    form = matrix.forms(both, signature)[0]
    assert form.state is not None
    content = state.dump(form.state)
    assert content is not None
    again = matrix.rebuild(state.load(content), signature)
    assert again.name == form.name
    for method, kernel in form.kernels.items():
        assert np.array_equal(again.kernels[method](TWO), kernel(TWO))


def test_a_saved_version_answers_by_them(root: Path) -> None:
    model = FixedThresholdClassifier(calibrated(scaled(LogisticRegression()), "sigmoid"), threshold=0.3).fit(TWO, TWO_Y)
    store.save(model, TWO, "m", root=root)
    loaded = store.load("m", 1, root=root)
    assert {sizes["one"] for sizes in loaded.manifest.engine["choice"].values()} == {"numpy"}
    assert np.array_equal(loaded.engine.run(batch_of(TWO[:7]), "predict"), model.predict(TWO[:7]))


def assert_forms_agree(estimator: Any, X: Any) -> None:
    """Hold every form against scikit-learn for one row, seven and 512; forms of single rows take them one by one."""
    signature = signature_of(estimator, X)
    native = SklearnEngine(estimator, signature)
    forms = matrix.forms(estimator, signature)
    rows = X[np.random.default_rng(2).integers(len(X), size=512)]
    assert {"one", "any"} & {form.rows for form in forms}
    assert {method for form in forms for method in form.kernels} >= set(signature.methods)
    for form in forms:
        for method in signature.methods:
            kernel = form.kernels[method]
            for size in (1, 7, 512):
                batch = batch_of(rows[:size])
                if form.rows == "one":
                    answer = np.concatenate([kernel(row.data) for row in each_row(batch_of(rows[: min(7, size)]))])
                else:
                    answer = kernel(batch.data)
                assert compare(answer, native.run(batch, method)[: len(answer)])[0] is None
