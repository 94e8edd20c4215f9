"""Contributions add up to what the model answers, whatever its family, and stand under the raw columns' names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, SplineTransformer, StandardScaler, TargetEncoder
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from app.explain import NotExplained
from tests.explain.helpers import explained

IRIS, SPECIES = load_iris(return_X_y=True)
CANCER, MALIGNANT = load_breast_cancer(return_X_y=True)
DIABETES, PROGRESS = load_diabetes(return_X_y=True)
TWO = np.column_stack([PROGRESS, -2 * PROGRESS])

FAMILIES: dict[str, tuple[Any, Any, Any, str, str]] = {
    "linear": (LinearRegression(), DIABETES, PROGRESS, "linear", "value"),
    "two outputs": (Ridge(), DIABETES, TWO, "linear", "value"),
    "scaled": (make_pipeline(StandardScaler(), LogisticRegression()), CANCER, MALIGNANT, "linear", "log_odds"),
    "three classes": (LogisticRegression(max_iter=500), IRIS, SPECIES, "linear", "score"),
    "margins": (make_pipeline(StandardScaler(), LinearSVC(dual=False)), CANCER, MALIGNANT, "linear", "score"),
    "a search": (GridSearchCV(Ridge(), {"alpha": [1.0, 2.0]}), DIABETES, PROGRESS, "linear", "value"),
    "splines": (make_pipeline(SplineTransformer(), Ridge()), DIABETES, PROGRESS, "linear", "value"),
    "bins": (make_pipeline(KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf"), Ridge()), IRIS, SPECIES,
             "linear", "value"),
    "tree": (DecisionTreeRegressor(max_depth=4), DIABETES, PROGRESS, "tree", "value"),
    "tree of two outputs": (DecisionTreeRegressor(max_depth=4), DIABETES, TWO, "tree", "value"),
    "forest": (RandomForestRegressor(10), DIABETES, PROGRESS, "tree", "value"),
    "extra trees": (ExtraTreesClassifier(10), IRIS, SPECIES, "tree", "probability"),
    "boosting": (GradientBoostingClassifier(n_estimators=5), IRIS, SPECIES, "tree", "score"),
    "boosting of two": (GradientBoostingClassifier(n_estimators=5), CANCER, MALIGNANT, "tree", "log_odds"),
    "boosting from another": (GradientBoostingClassifier(n_estimators=5, init=DecisionTreeClassifier(max_depth=2)),
                              CANCER, MALIGNANT, "permutations", "probability"),
    "histograms": (HistGradientBoostingClassifier(max_iter=5), IRIS, SPECIES, "tree", "score"),
    "counts": (HistGradientBoostingRegressor(max_iter=5, loss="poisson"), DIABETES, PROGRESS, "tree", "log_value"),
    "mixed columns": (make_pipeline(PCA(2), RandomForestRegressor(5)), DIABETES, PROGRESS, "permutations", "value"),
    "neighbours": (KNeighborsClassifier(), IRIS, SPECIES, "permutations", "probability"),
    "support vectors": (SVC(), IRIS, SPECIES, "permutations", "score"),
    "a link": (PoissonRegressor(), DIABETES, PROGRESS, "permutations", "value"),
    "outliers": (IsolationForest(n_estimators=5, random_state=0), IRIS, None, "permutations", "score"),
}  # fmt: skip


@pytest.mark.parametrize("which", FAMILIES)
def test_contributions_add_up_to_the_output(which: str) -> None:
    model, X, y, method, output = FAMILIES[which]
    model.fit(X, y)
    rows = X[::40]
    explainer, explanation = explained(model, X, rows)
    assert (explainer.method, explainer.explained.output) == (method, output)
    answer = getattr(model, explainer.explained.method)(rows)
    expected = np.log(answer) if output == "log_value" else answer
    expected = expected.reshape(len(rows), -1)[:, -explanation.values.shape[1] :]
    np.testing.assert_allclose(explanation.values, expected, rtol=1e-9, atol=1e-9)
    assert {len(row) for row in explanation.contributions} == {X.shape[1]}


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    chance = np.random.default_rng(0)
    age, fare = chance.normal(40, 10, 120), chance.exponential(20, 120)
    age[::7] = np.nan
    sex = pd.Series(["male", "female", None, "female"] * 30, dtype="str")
    return pd.DataFrame({"note": ["x"] * 120, "sex": sex, "age": age, "port": list("ABC") * 40, "fare": fare})


def preparing() -> Any:
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    return make_column_transformer((words, ["port", "sex"]), (numbers, ["age", "fare"]))


STRANGE = {"note": "y", "sex": "unheard of", "age": np.nan, "port": "Z", "fare": 7.0}


@pytest.mark.parametrize(
    "model", [LogisticRegression(), ExtraTreesClassifier(10, random_state=0)], ids=["linear", "tree"]
)
def test_features_count_for_the_raw_column_they_were_made_of(people: pd.DataFrame, model: Any) -> None:
    target = (people["fare"] > 15) ^ (people["port"] == "A")
    pipeline = make_pipeline(preparing(), model).fit(people, target)
    rows = pd.concat([people.head(8), pd.DataFrame([STRANGE])], ignore_index=True)
    explainer, explanation = explained(pipeline, people, rows)
    ask = getattr(pipeline, explainer.explained.method)
    expected = ask(rows).reshape(len(rows), -1)[:, -1:]
    np.testing.assert_allclose(explanation.values, expected, rtol=1e-9, atol=1e-12)
    assert [list(row) for row in explanation.contributions] == [["sex", "age", "port", "fare"]] * 9
    told = np.abs([[row["fare"][0], row["port"][0], row["sex"][0]] for row in explanation.contributions[:8]]).mean(
        axis=0
    )
    assert told[2] < min(told[:2])


def test_a_linear_models_contributions_are_its_coefficients(people: pd.DataFrame) -> None:
    pipeline = make_pipeline(preparing(), LinearRegression()).fit(people, people["fare"] * 3)
    _, explanation = explained(pipeline, people, people.head(4))
    mean = people.iloc[np.unique(np.linspace(0, 119, 100).astype(int))]["fare"].mean()
    for row, fare in zip(explanation.contributions, people["fare"], strict=False):
        assert row["fare"][0] == pytest.approx(3 * (fare - mean))
        assert row["sex"][0] == pytest.approx(0, abs=1e-9)


def test_encoders_by_the_target_keep_columns_apart(people: pd.DataFrame) -> None:
    encoded = make_column_transformer((TargetEncoder(cv=2), ["port", "sex"]), remainder="drop")
    target = np.array(["low", "mid", "high"])[np.arange(120) % 3]
    explainer, explanation = explained(make_pipeline(encoded, LogisticRegression()).fit(people, target), people, people)
    assert explainer.method == "linear"
    assert set(explanation.contributions[0]) == {"port", "sex"}


def test_native_categories_of_boosting_are_followed(people: pd.DataFrame) -> None:
    X = people[["fare", "port", "age"]].astype({"port": "category"})
    boosting = HistGradientBoostingRegressor(max_iter=10, categorical_features="from_dtype", min_samples_leaf=5)
    boosting.fit(X, (people["port"] == "B") * 500.0 + people["fare"])
    explainer, explanation = explained(boosting, X, X.head(20))
    assert explainer.method == "tree"
    np.testing.assert_allclose(explanation.values[:, 0], boosting.predict(X.head(20)), rtol=1e-9)
    is_b = (people["port"].head(20) == "B").to_numpy()
    port = np.array([row["port"][0] for row in explanation.contributions])
    assert port[is_b].min() > 1
    assert port[~is_b].max() < 0


def test_sampled_contributions_of_a_sum_are_exact() -> None:
    """Where columns only add up, an order is as good as another; this PCA keeps all there is."""
    model = make_pipeline(PCA(4), LinearRegression()).fit(IRIS, IRIS @ [1.0, 2.0, 3.0, 4.0])
    explainer, explanation = explained(model, IRIS, IRIS[:3])
    assert explainer.method == "permutations"
    for row, x in zip(explanation.contributions, IRIS, strict=False):
        ratios = [value[0] / weight for value, weight in zip(row.values(), (1, 2, 3, 4), strict=True)]
        background = x - np.array(ratios)
        np.testing.assert_allclose(background, IRIS.mean(axis=0), atol=0.2)


def test_a_rows_explanation_does_not_depend_on_its_neighbours() -> None:
    model = KNeighborsClassifier().fit(IRIS, SPECIES)
    _, alone = explained(model, IRIS, IRIS[7:8])
    _, among = explained(model, IRIS, IRIS[5:9])
    np.testing.assert_array_equal(list(alone.contributions[0].values()), list(among.contributions[2].values()))


TEXTS = ["win a prize now", "see you at lunch", "a prize awaits", "lunch is at noon"] * 5
SPAM = [1, 0, 1, 0] * 5
TEXTS[0] = "win a prize now with this very long letter about money for nothing"


def test_texts_are_explained_by_their_terms() -> None:
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), SGDClassifier(loss="log_loss", random_state=0))
    model.fit(TEXTS, SPAM)
    long = " ".join(TEXTS)
    explainer, explanation = explained(model, TEXTS, ["a prize for you", "unheard of", long])
    assert explainer.explained.output == "log_odds"
    np.testing.assert_allclose(
        explanation.values[:, 0], model.decision_function(["a prize for you", "unheard of", long])
    )
    assert next(iter(explanation.contributions[0])) == "prize"
    assert explanation.contributions[1] == {}
    assert len(explanation.contributions[2]) == 20
    assert explanation.rest is not None
    assert explanation.rest[2][0] != 0


@pytest.mark.parametrize(
    ("model", "X", "y", "why"),
    [
        (make_pipeline(HashingVectorizer(n_features=64), LogisticRegression()), TEXTS, SPAM, "does not name the terms"),
        (make_pipeline(TfidfVectorizer(), DecisionTreeRegressor()), TEXTS, SPAM, "not a known linear model"),
    ],
    ids=["hashed texts", "trees of texts"],
)
def test_what_cannot_be_explained_says_why(model: Any, X: Any, y: Any, why: str) -> None:
    with pytest.raises(NotExplained, match=why):
        explained(model.fit(X, y), X, X[:1])
