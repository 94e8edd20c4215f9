"""Tables: every step that is replayed gives scikit-learn's own answers, and what is not replayed says why."""

from __future__ import annotations

import ast
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.tree import DecisionTreeClassifier

from app import store
from app.engines import ChosenEngine, table
from app.engines.base import NotReplayed
from app.store import LoadedModel
from app.store.inference import infer_signature
from app.store.samples import take_sample
from app.training.estimators import families_of, find_family
from app.training.preprocess import build_pipeline
from app.training.problem import Task, frame_problem
from app.training.table import Table
from app.training.transformers import DateParts
from app.wire.rows import from_records
from tests.engines.tables import check_parity, passengers

JACK = {
    "age": 20.0,
    "fare": 0.0,
    "sibsp": 0,
    "pclass": 3,
    "alone": True,
    "embarked": "S",
    "sex": "male",
    "boarded": "1912-04-10",
}
NUMBERS = ["age", "fare", "sibsp"]
WORDS = ["embarked", "sex"]
EVERY_ENCODER = {
    "ignore": OneHotEncoder(handle_unknown="ignore"),
    "dense": OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    "error": OneHotEncoder(),
    "drop first": OneHotEncoder(handle_unknown="ignore", drop="first"),
    "drop if binary": OneHotEncoder(drop="if_binary"),
    "drop named": OneHotEncoder(drop=["C", "male"], handle_unknown="error"),
    "infrequent": OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=40),
    "infrequent, ignore": OneHotEncoder(handle_unknown="ignore", min_frequency=0.1),
    "at most": OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=3),
    "at most, dropping": OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=3, drop="first"),
    "warn": OneHotEncoder(handle_unknown="warn", max_categories=3),
    "given": OneHotEncoder(categories=[["S", "C", "Q"], ["male", "female"]], handle_unknown="ignore"),
    "whole numbers": OneHotEncoder(handle_unknown="ignore", dtype=np.int8),
    "float32": OneHotEncoder(handle_unknown="ignore", dtype=np.float32),
    "ordinal": OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    "ordinal, error": OrdinalEncoder(),
    "ordinal, missing": OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=99, encoded_missing_value=-2),
    "ordinal, at most": OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, max_categories=3),
    "ordinal, rare": OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, min_frequency=30),
    "target": TargetEncoder(random_state=0),
}
EVERY_SCALER = {
    "standard": StandardScaler(),
    "no mean": StandardScaler(with_mean=False),
    "no deviation": StandardScaler(with_std=False),
    "nothing": StandardScaler(with_std=False, with_mean=False),
    "range": MinMaxScaler(),
    "range, clipped": MinMaxScaler((-1, 2), clip=True),
    "robust": RobustScaler(),
    "robust, not centred": RobustScaler(with_centering=False, quantile_range=(10, 90)),
    "robust, not scaled": RobustScaler(with_scaling=False),
    "largest": MaxAbsScaler(),
    "largest, clipped": MaxAbsScaler(clip=True),
}
EVERY_IMPUTER = {
    "mean": SimpleImputer(),
    "median": SimpleImputer(strategy="median"),
    "frequent": SimpleImputer(strategy="most_frequent"),
    "constant": SimpleImputer(strategy="constant", fill_value=-1),
    "zero": SimpleImputer(strategy="constant"),
    "indicator": SimpleImputer(add_indicator=True),
    "callable": SimpleImputer(strategy=np.max),
}


def fitted(front: Any, final: Any = None, rows: int = 300) -> tuple[Any, pd.DataFrame]:
    frame, target = passengers(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make_pipeline(
            front, DecisionTreeClassifier(max_depth=6, random_state=0) if final is None else final
        ).fit(frame, target), frame


def on_columns(numbers: Any, words: Any, **options: Any) -> ColumnTransformer:
    return ColumnTransformer([("numbers", numbers, NUMBERS), ("words", words, WORDS)], **options)


def filled_words() -> Any:
    return make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))


def assert_answered(model: Any, frame: pd.DataFrame, share: float = 0.25, **options: Any) -> None:
    for name, counts in check_parity(model, frame, **options).items():
        assert counts.answered >= share * (counts.answered + counts.left), (name, counts)


def why_not(model: Any, frame: pd.DataFrame) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signature = infer_signature(model, take_sample(frame))
    with pytest.raises(NotReplayed) as refused:
        table.forms(model, signature)
    return str(refused.value)


@pytest.mark.parametrize("encoder", EVERY_ENCODER.values(), ids=EVERY_ENCODER.keys())
def test_every_encoder_is_replayed_on_columns_with_missing_and_unknown_categories(encoder: Any) -> None:
    assert_answered(*fitted(on_columns(SimpleImputer(), encoder)))


@pytest.mark.parametrize("encoder", EVERY_ENCODER.values(), ids=EVERY_ENCODER.keys())
def test_every_encoder_is_replayed_behind_an_imputer(encoder: Any) -> None:
    filled = make_pipeline(SimpleImputer(strategy="most_frequent"), encoder)
    assert_answered(*fitted(on_columns(SimpleImputer(), filled), LogisticRegression(max_iter=300)))


@pytest.mark.parametrize("scaler", EVERY_SCALER.values(), ids=EVERY_SCALER.keys())
def test_every_scaler_is_replayed_to_the_last_bit(scaler: Any) -> None:
    assert_answered(*fitted(on_columns(make_pipeline(SimpleImputer(), scaler), filled_words())))


@pytest.mark.parametrize("imputer", EVERY_IMPUTER.values(), ids=EVERY_IMPUTER.keys())
def test_every_imputer_is_replayed(imputer: Any) -> None:
    assert_answered(*fitted(on_columns(imputer, filled_words())))


@pytest.mark.parametrize(
    "scaler", [StandardScaler(with_mean=False), MaxAbsScaler(), RobustScaler(with_centering=False)]
)
@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_a_scaler_behind_the_columns_divides_as_it_does_for_sparse_and_for_dense(scaler: Any, threshold: float) -> None:
    columns = on_columns(SimpleImputer(), filled_words(), sparse_threshold=threshold)
    assert_answered(*fitted(make_pipeline(columns, scaler)))


def test_missing_words_can_be_a_category_of_their_own() -> None:
    for words in (
        make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), OneHotEncoder(handle_unknown="ignore")),
        make_pipeline(
            SimpleImputer(strategy="constant"), OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
        ),
        OneHotEncoder(handle_unknown="error"),
    ):
        assert_answered(*fitted(on_columns("passthrough", words)))


def test_numbers_and_booleans_are_categories_by_their_value() -> None:
    for encoder in (OneHotEncoder(handle_unknown="ignore"), OneHotEncoder(), OrdinalEncoder()):
        columns = ColumnTransformer([("codes", encoder, ["pclass", "alone", "sibsp"])], remainder="drop")
        assert_answered(*fitted(columns), share=0.1)


def test_numbers_beside_words_are_one_table_of_objects() -> None:
    columns = ColumnTransformer([("all", filled_words(), ["pclass", "embarked", "sibsp"])])
    assert_answered(*fitted(columns))


def test_words_that_fill_a_column_of_numbers_are_categories_too() -> None:
    filled = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="none"), OneHotEncoder(handle_unknown="ignore")
    )
    assert_answered(*fitted(ColumnTransformer([("all", filled, ["pclass", "embarked"])])))


@pytest.mark.parametrize(
    "columns",
    [
        ["age", "fare"],
        [0, 1],
        slice(0, 3),
        slice("age", "sibsp"),
        [True, True, False, False, False, False, False, False],
        np.array([True, False, True, False, False, False, False, False]),
        make_column_selector(dtype_include="float64"),
        lambda frame: [name for name in frame.columns if name.startswith("a") and name != "alone"],
    ],
    ids=["names", "positions", "slice", "slice of names", "list mask", "array mask", "selector", "function"],
)
def test_columns_are_selected_in_every_way(columns: Any) -> None:
    assert_answered(*fitted(ColumnTransformer([("words", filled_words(), WORDS), ("n", SimpleImputer(), columns)])))


def test_the_remainder_passes_or_goes_through_a_step_or_is_dropped() -> None:
    for remainder in ("drop", "passthrough", SimpleImputer()):
        columns = ColumnTransformer(
            [("words", filled_words(), WORDS), ("gone", "drop", ["boarded"])], remainder=remainder, sparse_threshold=0.0
        )
        assert_answered(*fitted(columns))


def test_a_column_may_be_used_twice_and_a_selection_may_be_empty() -> None:
    columns = ColumnTransformer(
        [
            ("first", make_pipeline(SimpleImputer(), StandardScaler()), ["age", "fare"]),
            ("again", SimpleImputer(add_indicator=True), ["fare", "age"]),
            ("none", StandardScaler(), []),
            ("words", filled_words(), WORDS),
        ]
    )
    assert_answered(*fitted(columns))


def test_pipelines_unions_and_searches_may_be_nested() -> None:
    inner = ColumnTransformer([("n", SimpleImputer(), ["age"]), ("s", OneHotEncoder(), ["sex"])])
    outer = ColumnTransformer([("inner", Pipeline([("columns", inner), ("scale", MaxAbsScaler())]), ["sex", "age"])])
    union = FeatureUnion([("a", outer), ("b", on_columns(SimpleImputer(), filled_words())), ("c", "drop")])
    final = Pipeline([("scale", StandardScaler(with_mean=False)), ("model", LogisticRegression(max_iter=300))])
    model = Pipeline([("front", Pipeline([("union", union)])), ("back", final)])
    search = GridSearchCV(model, {"back__model__C": [0.1, 1.0]}, cv=2)
    frame, target = passengers()
    assert_answered(search.fit(frame, target), frame)


@pytest.mark.parametrize("function", [np.log1p, np.sqrt, np.exp, np.cbrt, np.square, np.abs, None])
def test_functions_of_numpy_are_replayed(function: Any) -> None:
    numbers = make_pipeline(SimpleImputer(), FunctionTransformer(function), StandardScaler())
    assert_answered(*fitted(on_columns(numbers, filled_words())))


def test_functions_may_come_first() -> None:
    numbers = make_pipeline(FunctionTransformer(np.log1p), SimpleImputer())
    columns = ColumnTransformer([("n", numbers, ["age", "fare"]), ("words", filled_words(), WORDS)])
    assert_answered(*fitted(columns), share=0.2)


def test_selected_features_are_kept() -> None:
    for selector in (SelectKBest(k=4), VarianceThreshold(0.1)):
        columns = on_columns(make_pipeline(SimpleImputer(), StandardScaler()), filled_words())
        assert_answered(*fitted(make_pipeline(columns, selector)))


def test_a_column_that_was_always_missing_is_left_out_or_kept() -> None:
    frame, target = passengers()
    frame["age"] = np.nan
    for keep in (True, False):
        numbers = SimpleImputer(strategy="median", keep_empty_features=keep)
        model = make_pipeline(on_columns(numbers, filled_words()), DecisionTreeClassifier(max_depth=4))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(frame, target)
        seen = frame.assign(age=passengers()[0]["age"])
        assert_answered(model, seen)


def test_dates_are_taken_apart_as_pandas_does() -> None:
    for unit in ("s", "ms", "us", "ns"):
        frame, target = passengers()
        frame["boarded"] = frame["boarded"].astype(f"datetime64[{unit}]")
        dates = make_pipeline(DateParts(), SimpleImputer(strategy="median"), StandardScaler())
        columns = ColumnTransformer([("dates", dates, ["boarded"]), ("numbers", SimpleImputer(), NUMBERS)])
        assert_answered(make_pipeline(columns, LinearRegression()).fit(frame, target), frame, batches=16)


def test_a_table_of_numbers_needs_no_column_transformer() -> None:
    frame, target = passengers()
    frame = frame[["age", "fare", "sibsp", "pclass", "alone"]]
    for model in (
        DecisionTreeClassifier(max_depth=4),
        make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()),
        make_pipeline(SimpleImputer(), RandomForestClassifier(10, random_state=0)),
    ):
        assert_answered(model.fit(frame, target), frame)
    assert_answered(LinearRegression().fit(frame.dropna(), target[frame["age"].notna()]), frame.dropna())


def test_native_categories_of_boosting_are_coded_as_it_codes_them() -> None:
    frame, target = passengers(rows=800)
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=4)
    columns = ColumnTransformer(
        [("words", codes, ["embarked", "sex", "pclass"]), ("numbers", "passthrough", NUMBERS)], sparse_threshold=0.0
    )
    coded = HistGradientBoostingClassifier(max_iter=15, categorical_features=[0, 2], random_state=0)
    named = HistGradientBoostingClassifier(max_iter=15, random_state=0)
    typed = frame[["age", "embarked", "sibsp", "sex"]].astype({"embarked": "category", "sex": "category"})
    for model, rows in ((make_pipeline(columns, coded), frame), (named, typed)):
        judged = check_parity(model.fit(rows, target), rows)
        assert {"table+merged trees", "table+trees"} <= judged.keys()
        assert all(counts.answered and not counts.left for counts in judged.values()), judged


def test_narrow_numbers_beside_wide_ones_are_widened() -> None:
    frame, target = passengers()
    frame = frame.astype({"fare": np.float32, "sibsp": np.int8, "pclass": np.uint16})
    columns = ColumnTransformer(
        [("n", make_pipeline(SimpleImputer(), StandardScaler()), NUMBERS), ("p", "passthrough", ["pclass"])]
    )
    model = make_pipeline(columns, RandomForestClassifier(5, random_state=0)).fit(frame, target)
    assert_answered(model, frame)


def test_categories_of_pandas_are_words() -> None:
    frame, target = passengers()
    frame = frame.astype({"embarked": "category", "sex": "category"})
    model = make_pipeline(on_columns(SimpleImputer(), filled_words()), LogisticRegression(max_iter=300))
    assert_answered(model.fit(frame, target), frame)


def test_outputs_as_dataframes_change_nothing() -> None:
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(sparse_output=False))
    columns = on_columns(make_pipeline(SimpleImputer(), StandardScaler()), words).set_output(transform="pandas")
    frame, target = passengers()
    model = make_pipeline(columns, LogisticRegression(max_iter=300)).fit(frame, target)
    assert_answered(model, frame, share=0.1)


def test_steps_that_are_not_replayed_are_asked_on_the_matrix() -> None:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    model = make_pipeline(
        on_columns(numbers, filled_words(), sparse_threshold=0.0), PCA(3, random_state=0), KNeighborsClassifier()
    )
    frame, target = passengers()
    assert_answered(model.fit(frame, target), frame, batches=16)


def test_only_a_column_that_is_not_used_may_be_absent() -> None:
    frame, target = passengers()
    columns = ColumnTransformer([("words", filled_words(), WORDS), ("gone", "drop", NUMBERS)])
    model = make_pipeline(columns, DecisionTreeClassifier()).fit(frame, target)
    signature = infer_signature(model, take_sample(frame))
    assert {column.name for column in signature.required} == set(WORDS)
    assert_answered(model, frame)


@pytest.mark.parametrize(
    ("front", "told"),
    [
        (on_columns(KNNImputer(), filled_words()), "KNNImputer is not among the steps that are replayed"),
        (
            ColumnTransformer([("n", SimpleImputer(missing_values=0), ["fare", "sibsp"])]),
            "other missing values than NaN",
        ),
        (
            on_columns(make_pipeline(SimpleImputer(), FunctionTransformer(np.nan_to_num)), filled_words()),
            "not a plain NumPy function",
        ),
        (
            on_columns(FunctionTransformer(np.log1p), filled_words()),
            "np.log1p is given column 'sibsp', which is no float64",
        ),
        (
            ColumnTransformer([("n", SimpleImputer(), NUMBERS), ("t", TfidfVectorizer(), "sex")]),
            "'t' takes the one column 'sex' as a vector",
        ),
        (
            on_columns(SimpleImputer(), filled_words(), transformer_weights={"numbers": 2.0}),
            "ColumnTransformer has transformer_weights",
        ),
        (
            on_columns(make_pipeline(StandardScaler(), OrdinalEncoder()), filled_words()),
            "OrdinalEncoder encodes computed numbers of column 'age'",
        ),
    ],
)
def test_what_is_not_replayed_is_not_built_and_says_why(front: Any, told: str) -> None:
    model, frame = fitted(front, DecisionTreeClassifier(max_depth=3))
    assert told in why_not(model, frame)


def test_a_subclass_of_a_step_is_left_to_scikit_learn() -> None:
    class Doubling(StandardScaler):  # type: ignore[misc]
        def transform(self, X: Any, copy: Any = None) -> Any:
            return super().transform(X) * 2

    model, frame = fitted(on_columns(make_pipeline(SimpleImputer(), Doubling()), filled_words()))
    assert "Doubling is not among the steps" in why_not(model, frame)


def test_float32_throughout_is_left_to_scikit_learn() -> None:
    frame, target = passengers()
    frame = frame[["age", "fare"]].astype(np.float32)
    model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(frame, target)
    assert "float32" in why_not(model, frame)


def test_pandas_own_missing_values_are_left_to_scikit_learn() -> None:
    frame, target = passengers()
    frame["sibsp"] = frame["sibsp"].astype("Int64")
    model = make_pipeline(on_columns(SimpleImputer(), filled_words()), DecisionTreeClassifier()).fit(frame, target)
    assert "'sibsp' is Int64" in why_not(model, frame)


def test_an_array_is_no_table() -> None:
    frame, target = passengers()
    rows = frame[["fare", "sibsp"]].to_numpy()
    assert "no table" in why_not(LinearRegression().fit(rows, target), rows)


FAMILIES = [(task, name) for task in ("classification", "regression") for name in families_of(task)]


@pytest.mark.parametrize(("task", "name"), FAMILIES)
def test_what_our_own_training_builds_is_replayed(task: Task, name: str) -> None:
    frame, target = passengers()
    labels = np.array(["no", "yes"])[target] if task == "classification" else target + frame["fare"] / 10
    problem = frame_problem(Table(frame.assign(survived=labels), "passengers.csv"), "survived", task)
    assert isinstance(problem.X, pd.DataFrame)
    assert set(problem.columns.kinds.values()) == {"number", "boolean", "category", "date"}
    model = build_pipeline(problem, find_family(name, task), 0)
    if name in ("boosting", "forest", "extra-trees", "mlp"):
        model.set_params(**{"model__n_estimators" if hasattr(model[-1], "n_estimators") else "model__max_iter": 15})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(problem.X, problem.y)
    assert_answered(model, problem.X, batches=8)


def save_and_load(model: Any, frame: pd.DataFrame, root: Path) -> LoadedModel:
    store.save(model, frame, "titanic", root=root)
    return store.load("titanic", root=root)


def test_a_saved_table_is_answered_by_its_form_and_the_manifest_says_so(root: Path) -> None:
    words, numbers = filled_words(), make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    for final in (LogisticRegression(max_iter=300), RandomForestClassifier(20, random_state=0)):
        model, frame = fitted(on_columns(numbers, words), final)
        loaded = save_and_load(model, frame, root)
        record = loaded.manifest.engine
        assert record["choice"]["predict"]["one"].startswith("table+"), record
        assert all(candidate["why_not"] is None for candidate in record["candidates"]), record
        assert isinstance(loaded.engine, ChosenEngine)
        assert not loaded.engine.fallbacks


def test_a_table_that_has_no_form_says_why_in_the_manifest(root: Path) -> None:
    model, frame = fitted(on_columns(KNNImputer(), filled_words()))
    record = save_and_load(model, frame, root).manifest.engine
    assert record["why_not"] == "KNNImputer is not among the steps that are replayed"
    assert record["choice"]["predict"] == {"one": "sklearn", "many": "sklearn", "bulk": "sklearn"}


def test_what_scikit_learn_refuses_is_refused_with_its_own_words(root: Path) -> None:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    model, frame = fitted(on_columns(numbers, OneHotEncoder()), LogisticRegression(max_iter=300))
    loaded = save_and_load(model, frame, root)
    batch = from_records(loaded.signature, [{**JACK, "embarked": "Nowhere"}])
    with pytest.raises(ValueError, match="Found unknown categories"):
        loaded.engine.run(batch, "predict")


def test_a_linear_table_is_served_without_importing_scikit_learn_or_pandas(root: Path) -> None:
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    model, frame = fitted(on_columns(numbers, filled_words()), LogisticRegression(max_iter=300))
    expected = model.predict_proba(pd.DataFrame([JACK]))
    store.save(model, frame, "titanic", root=root)
    program = (
        "import sys, pathlib; from app import store; from app.wire.rows import from_records;"
        f"loaded = store.load('titanic', root=pathlib.Path({str(root)!r}));"
        f"batch = from_records(loaded.signature, [{JACK!r}]);"
        "print(loaded.engine.run(batch, 'predict_proba').tolist());"
        "print(sorted({'sklearn', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    answer, imported = told.splitlines()
    assert np.allclose(ast.literal_eval(answer), expected, rtol=1e-9, atol=1e-12)
    assert imported == "[]"
