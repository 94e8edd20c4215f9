"""Every form gives scikit-learn's own answers, and raises where it raises."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    ElasticNet,
    Lasso,
    LinearRegression,
    LogisticRegression,
    Perceptron,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    SGDRegressor,
)
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.svm import LinearSVC, LinearSVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeRegressor

from app.engines import SklearnEngine
from tests.engines.helpers import assert_same, batch_of, chosen_for, names_of, signature_of

THREE, THREE_Y = load_iris(return_X_y=True)
TWO, TWO_Y = load_breast_cancer(return_X_y=True)
NUMBERS, NUMBERS_Y = load_diabetes(return_X_y=True)
TWO, TWO_Y = TWO[::2, :12], TWO_Y[::2]
WORDS = np.array(["setosa", "versicolor", "virginica"])[THREE_Y]
OBJECTS = WORDS.astype(object)
TRUTH = TWO_Y == 1
SEVERAL_Y = np.column_stack([NUMBERS_Y, -NUMBERS_Y])
HOLES = np.where(np.random.default_rng(0).random(TWO.shape) < 0.2, np.nan, TWO)
WEIGHTS = np.random.default_rng(0).random(len(TWO))

pytestmark = pytest.mark.filterwarnings("ignore")


def fitted(estimator: Any, X: Any, y: Any, **options: Any) -> tuple[Any, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(X, y, **options), X


def seeded(cls: Any, **options: Any) -> Any:
    return cls(random_state=0, **options)


LINEAR = {
    "least squares": lambda: fitted(LinearRegression(), NUMBERS, NUMBERS_Y),
    "least squares of several outputs": lambda: fitted(LinearRegression(), NUMBERS, SEVERAL_Y),
    "least squares of one column": lambda: fitted(LinearRegression(), NUMBERS, NUMBERS_Y[:, None]),
    "no intercept": lambda: fitted(Ridge(fit_intercept=False), NUMBERS, NUMBERS_Y),
    "lasso": lambda: fitted(Lasso(alpha=0.5), NUMBERS, NUMBERS_Y),
    "elastic net": lambda: fitted(ElasticNet(), NUMBERS, NUMBERS_Y),
    "sgd regressor": lambda: fitted(seeded(SGDRegressor), NUMBERS, NUMBERS_Y),
    "linear svr": lambda: fitted(seeded(LinearSVR), NUMBERS, NUMBERS_Y),
    "whole numbers": lambda: fitted(LinearRegression(), (NUMBERS * 1000).astype(np.int64), NUMBERS_Y),
    "logistic, two classes": lambda: fitted(LogisticRegression(), TWO, TRUTH),
    "logistic, words": lambda: fitted(LogisticRegression(), THREE, WORDS),
    "logistic, objects": lambda: fitted(LogisticRegression(), THREE, OBJECTS),
    "ridge classifier": lambda: fitted(RidgeClassifier(), THREE, WORDS),
    "ridge classifier, two classes": lambda: fitted(RidgeClassifier(), TWO, TRUTH),
    "perceptron": lambda: fitted(Perceptron(), THREE, THREE_Y),
    "svc": lambda: fitted(seeded(LinearSVC), TWO, TWO_Y),
    "sgd, log loss": lambda: fitted(seeded(SGDClassifier, loss="log_loss"), THREE, THREE_Y),
    "sgd, two classes": lambda: fitted(seeded(SGDClassifier), TWO, TWO_Y),
    "network": lambda: fitted(seeded(MLPClassifier, hidden_layer_sizes=(16, 8), max_iter=20), THREE, WORDS),
    "network, two classes": lambda: fitted(seeded(MLPClassifier, activation="tanh", max_iter=20), TWO, TRUTH),
    "network, regressor": lambda: fitted(seeded(MLPRegressor, activation="logistic", max_iter=20), NUMBERS, NUMBERS_Y),
    "network, several outputs": lambda: fitted(
        seeded(MLPRegressor, hidden_layer_sizes=(8,), max_iter=9), NUMBERS, SEVERAL_Y
    ),
    "scaled": lambda: fitted(make_pipeline(StandardScaler(), LogisticRegression()), TWO, TWO_Y),
    "imputed": lambda: fitted(make_pipeline(SimpleImputer(strategy="median"), MinMaxScaler(), Ridge()), HOLES, TWO_Y),
    "clipped": lambda: fitted(make_pipeline(MinMaxScaler(clip=True), Ridge()), NUMBERS, NUMBERS_Y),
    "robust": lambda: fitted(make_pipeline(RobustScaler(), MaxAbsScaler(), Ridge()), NUMBERS, NUMBERS_Y),
    "projected": lambda: fitted(make_pipeline(StandardScaler(), PCA(5, whiten=True), LogisticRegression()), TWO, TWO_Y),
    "selected": lambda: fitted(make_pipeline(SelectKBest(k=5), LogisticRegression()), TWO, TWO_Y),
    "logarithms": lambda: fitted(make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()), TWO, TWO_Y),
    "pipelines in a search": lambda: fitted(
        GridSearchCV(make_pipeline(make_pipeline(StandardScaler()), "passthrough", Ridge()), {"ridge__alpha": [1, 2]}),
        NUMBERS,
        NUMBERS_Y,
    ),
}
TREES = {
    "tree": lambda: fitted(seeded(DecisionTreeClassifier), TWO, TRUTH),
    "tree of one leaf": lambda: fitted(seeded(DecisionTreeClassifier), TWO, np.zeros(len(TWO), dtype=int)),
    "tree, several outputs": lambda: fitted(seeded(DecisionTreeRegressor, max_depth=4), NUMBERS, SEVERAL_Y),
    "deep tree": lambda: fitted(seeded(DecisionTreeRegressor), NUMBERS, NUMBERS_Y),
    "extra tree": lambda: fitted(seeded(ExtraTreeRegressor), NUMBERS, NUMBERS_Y),
    "forest": lambda: fitted(seeded(RandomForestClassifier, n_estimators=20), THREE, WORDS),
    "forest of objects": lambda: fitted(seeded(RandomForestClassifier, n_estimators=5), THREE, OBJECTS),
    "forest with holes": lambda: fitted(seeded(RandomForestClassifier, n_estimators=20, max_depth=4), HOLES, TWO_Y),
    "weighted, out of bag": lambda: fitted(
        seeded(RandomForestClassifier, n_estimators=30, oob_score=True, class_weight="balanced"),
        TWO,
        TWO_Y,
        sample_weight=WEIGHTS,
    ),
    "leaves of several": lambda: fitted(
        seeded(RandomForestClassifier, n_estimators=20, min_samples_leaf=7), THREE, THREE_Y
    ),
    "large forest": lambda: fitted(seeded(RandomForestRegressor, n_estimators=20), NUMBERS, NUMBERS_Y),
    "forest, several outputs": lambda: fitted(seeded(RandomForestRegressor, n_estimators=9), NUMBERS, SEVERAL_Y),
    "forest of float32": lambda: fitted(
        seeded(RandomForestClassifier, n_estimators=9), THREE.astype(np.float32), THREE_Y
    ),
    "extra trees": lambda: fitted(seeded(ExtraTreesClassifier, n_estimators=20), THREE, THREE_Y),
    "extra trees, regressor": lambda: fitted(
        seeded(ExtraTreesRegressor, n_estimators=9, max_depth=5), NUMBERS, NUMBERS_Y
    ),
    "boosting, two classes": lambda: fitted(seeded(GradientBoostingClassifier, n_estimators=20), TWO, TRUTH),
    "boosting, three classes": lambda: fitted(seeded(GradientBoostingClassifier, n_estimators=10), THREE, WORDS),
    "boosting, exponential": lambda: fitted(
        seeded(GradientBoostingClassifier, loss="exponential", n_estimators=9), TWO, TWO_Y
    ),
    "boosting from zero": lambda: fitted(
        seeded(GradientBoostingRegressor, init="zero", n_estimators=9), NUMBERS, NUMBERS_Y
    ),
    "boosting by halves": lambda: fitted(
        seeded(GradientBoostingRegressor, subsample=0.5, loss="huber", max_depth=7), NUMBERS, NUMBERS_Y
    ),
    "histograms, two classes": lambda: fitted(seeded(HistGradientBoostingClassifier, max_iter=20), TWO, TRUTH),
    "histograms, three classes": lambda: fitted(seeded(HistGradientBoostingClassifier, max_iter=10), THREE, WORDS),
    "histograms with holes": lambda: fitted(seeded(HistGradientBoostingClassifier, max_iter=20), HOLES, TWO_Y),
    "histograms, regressor": lambda: fitted(seeded(HistGradientBoostingRegressor, max_iter=20), NUMBERS, NUMBERS_Y),
    "histograms, many leaves": lambda: fitted(
        seeded(HistGradientBoostingRegressor, max_iter=9, max_leaf_nodes=64, min_samples_leaf=2), NUMBERS, NUMBERS_Y
    ),
    "histograms, too many leaves": lambda: fitted(
        seeded(HistGradientBoostingRegressor, max_iter=9, max_leaf_nodes=None, min_samples_leaf=1), NUMBERS, NUMBERS_Y
    ),
    "histograms, poisson": lambda: fitted(seeded(HistGradientBoostingRegressor, loss="poisson"), NUMBERS, NUMBERS_Y),
    "scaled forest": lambda: fitted(
        make_pipeline(StandardScaler(), seeded(RandomForestClassifier, n_estimators=9)), TWO, TWO_Y
    ),
    "imputed forest": lambda: fitted(
        make_pipeline(SimpleImputer(), seeded(RandomForestClassifier, n_estimators=9)), HOLES, TWO_Y
    ),
}


def grown_later() -> tuple[Any, Any]:
    forest = seeded(RandomForestClassifier, n_estimators=5, warm_start=True).fit(THREE, THREE_Y)
    return forest.set_params(n_estimators=12).fit(THREE, THREE_Y), THREE


TREES["grown later"] = grown_later


@pytest.mark.parametrize("case", LINEAR)
def test_linear_forms_and_networks_agree_and_are_taken(case: str) -> None:
    estimator, X = LINEAR[case]()
    chosen = chosen_for(estimator, X)
    assert names_of(chosen)["one"] == "numpy"
    assert [told["why_not"] for told in chosen.record["candidates"] if told["why_not"]] == []
    assert_same(chosen, estimator, X)


@pytest.mark.parametrize("case", TREES)
def test_forms_of_trees_agree_and_are_taken(case: str) -> None:
    estimator, X = TREES[case]()
    chosen = chosen_for(estimator, X)
    assert names_of(chosen)["one"] in ("masks", "merged trees", "trees")
    assert [told["why_not"] for told in chosen.record["candidates"] if told["why_not"]] == []
    assert_same(chosen, estimator, X)


def test_a_method_that_a_form_answers_otherwise_stays_scikit_learns() -> None:
    # Its logarithms stop at the smallest number, where a logistic regression's go on to minus infinity.
    estimator, X = fitted(LinearDiscriminantAnalysis(), THREE, THREE_Y)
    chosen = chosen_for(estimator, X)
    assert set(names_of(chosen, "predict_log_proba").values()) == {"sklearn"}
    assert names_of(chosen, "predict_proba")["one"] == "numpy"
    assert_same(chosen, estimator, X)


WITHOUT = {
    "forest of several labels": (
        seeded(RandomForestClassifier, n_estimators=5),
        np.column_stack([THREE_Y, THREE_Y > 0]),
    ),
    "histograms of categories": (
        seeded(HistGradientBoostingRegressor, max_iter=5, categorical_features=[0]),
        THREE_Y.astype(float),
    ),
    "network of several labels": (seeded(MLPClassifier, max_iter=5), np.column_stack([THREE_Y > 0, THREE_Y > 1])),
    "neighbours": (KNeighborsClassifier(), WORDS),
}


@pytest.mark.parametrize("case", WITHOUT)
def test_what_has_no_form_is_scikit_learns(case: str) -> None:
    estimator, X = fitted(WITHOUT[case][0], np.round(THREE), WITHOUT[case][1])
    chosen = chosen_for(estimator, X)
    assert set(names_of(chosen).values()) == {"sklearn"}
    assert chosen.files == {}
    assert_same(chosen, estimator, X)


@pytest.mark.parametrize("case", [LINEAR["logistic, words"], TREES["forest"], TREES["boosting, two classes"]])
@pytest.mark.parametrize("value", [1e300, np.nan, np.inf])
@pytest.mark.parametrize("rows", [1, 5])
def test_what_scikit_learn_refuses_is_refused_in_its_words(case: Any, value: float, rows: int) -> None:
    estimator, sample = case()
    X = sample[:rows].copy()
    X[0, 0] = value
    native = SklearnEngine(estimator, signature_of(estimator, sample))
    chosen = chosen_for(estimator, sample)
    try:
        expected = native.run(batch_of(X), "predict")
    except ValueError as fault:
        with pytest.raises(ValueError, match=str(fault).splitlines()[0][:40].replace("(", r"\(")):
            chosen.engine.run(batch_of(X), "predict")
    else:
        assert np.array_equal(chosen.engine.run(batch_of(X), "predict"), expected)
