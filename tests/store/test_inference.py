"""What a fitted estimator takes and gives, found out by asking it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from app.signature import Output, Signature
from app.store import load, save
from app.store.containers import find_fitted

X = np.random.default_rng(2).normal(size=(24, 3))
Y = np.array(["no", "yes"])[np.arange(24) % 2]
TEXTS = [f"spam {index}" if index % 2 else f"hello {index}" for index in range(24)]


def signature_of(estimator: Any, rows: Any, root: Path) -> Signature:
    save(estimator, rows, "m", root=root)
    return load("m", root=root).signature


@pytest.mark.parametrize(
    ("estimator", "rows", "task"),
    [
        (LogisticRegression().fit(X, Y), X, "classification"),
        (LinearRegression().fit(X, X[:, 0]), X, "regression"),
        (KMeans(2, random_state=0, n_init=1).fit(X), X, "clustering"),
        (IsolationForest(n_estimators=5, random_state=0).fit(X), X, "outlier"),
        (PCA(2).fit(X), X, "transform"),
        (make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, Y), TEXTS, "text-classification"),
        (make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y), X, "classification"),
    ],
)
def test_the_task_is_the_estimators_own(estimator: Any, rows: Any, task: str, root: Path) -> None:
    save(estimator, rows, "m", root=root)
    assert load("m", root=root).manifest.task == task


def test_outputs_tell_dtype_shape_and_classes(root: Path) -> None:
    outputs = signature_of(LogisticRegression().fit(X, Y), X, root).outputs
    assert list(outputs) == ["predict", "predict_proba", "predict_log_proba", "decision_function"]
    assert outputs["predict_proba"] == Output("float64", (-1, 2), ("no", "yes"))
    assert outputs["decision_function"] == Output("float64", (-1,))


def test_each_of_several_outputs_has_its_own_classes(root: Path) -> None:
    targets = np.stack([np.arange(24) % 2, np.arange(24) % 3], axis=1)
    outputs = signature_of(RandomForestClassifier(3, random_state=0).fit(X, targets), X, root).outputs
    assert outputs["predict"] == Output("int64", (-1, 2))
    assert outputs["predict_proba"] == (Output("float64", (-1, 2), (0, 1)), Output("float64", (-1, 3), (0, 1, 2)))


def test_only_the_columns_that_are_imputed_may_be_missing(root: Path) -> None:
    frame = pd.DataFrame(X, columns=["imputed", "plain", "dropped"]).assign(word=Y)
    prepare = ColumnTransformer(
        [
            ("imputed", SimpleImputer(), ["imputed"]),
            ("plain", StandardScaler(), ["plain"]),
            ("word", OneHotEncoder(handle_unknown="error"), ["word"]),
        ]
    )
    # StandardScaler passes missing values on, and the regression refuses them.
    model = make_pipeline(prepare, LogisticRegression()).fit(frame, Y)
    inputs = signature_of(model, frame, root).by_name
    assert [inputs[name].nullable for name in ("imputed", "plain", "word")] == [True, False, False]
    assert not inputs["dropped"].used


def test_columns_that_are_chosen_by_position_are_all_used(root: Path) -> None:
    frame = pd.DataFrame(X, columns=list("abc"))
    model = make_pipeline(ColumnTransformer([("first", "passthrough", [0])]), LinearRegression()).fit(frame, X[:, 0])
    inputs = signature_of(model, frame, root).by_name
    assert inputs["a"].used
    expected = model.predict(frame)
    assert load("m", root=root).estimator.predict(frame).tolist() == expected.tolist()


def test_a_model_that_looks_at_nothing_still_takes_its_columns(root: Path) -> None:
    frame = pd.DataFrame(X, columns=list("abc"))
    inputs = signature_of(DummyClassifier(strategy="prior").fit(frame, Y), frame, root).inputs
    assert all(column.used for column in inputs)


def test_a_few_words_are_listed_and_many_are_not(root: Path) -> None:
    frame = pd.DataFrame({"few": Y.repeat(3), "many": [f"w{index}" for index in range(72)]})
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LinearRegression()).fit(frame, np.arange(72.0))
    inputs = signature_of(model, frame, root).by_name
    assert inputs["few"].categories == ("no", "yes")
    assert inputs["many"].categories is None


def with_bonus(frame: pd.DataFrame) -> pd.DataFrame:
    return frame if "bonus" in frame else frame.assign(bonus=0.0)


def test_numbers_tell_roughly_where_they_lie(root: Path) -> None:
    frame = pd.DataFrame(
        {
            "age": [np.nan, *np.linspace(17.96, 70.14, 200)],
            "pixel": np.array([0] * 101 + [254] * 100, dtype="uint8"),
            "signed": np.array([-128] * 101 + [127] * 100, dtype="int8"),
            "half": np.array([-65504] * 101 + [65504] * 100, dtype="float16"),
            "huge": [-1e308] * 101 + [1.7e308] * 100,
            "year": pd.array([None, *range(1800, 2000)], dtype="Int64"),
            "big": np.array([0] * 101 + [2**64 - 1] * 100, dtype="uint64"),
            "word": ["a"] * 201,
            "nothing": [np.nan] * 201,
            "constant": [5.1] * 201,
        }
    )
    signature = signature_of(DummyClassifier().fit(frame, [0, 1, 1] * 67), frame, root)
    assert {name: column.range for name, column in signature.by_name.items()} == {
        "age": (18.0, 70.0),
        "pixel": (0, 250),
        "signed": (-128, 127),
        "half": (-65504.0, 65504.0),
        "huge": None,
        "year": (1800, 2000),
        "big": (0, 18 * 10**18),
        "word": None,
        "nothing": None,
        "constant": None,
    }
    assert Signature.from_dict(signature.as_dict()) == signature


def test_so_few_rows_that_an_end_would_be_one_of_them_tell_no_range(root: Path) -> None:
    frame = pd.DataFrame({"age": np.linspace(18, 97, 99)})
    inputs = signature_of(DummyClassifier().fit(frame, [0, 1, 1] * 33), frame, root).inputs
    assert inputs[0].range is None


def test_words_that_name_their_row_are_not_listed(root: Path) -> None:
    frame = pd.DataFrame({"name": [f"patient {index}" for index in range(40)], "ward": ["north", "south"] * 20})
    inputs = signature_of(DummyClassifier().fit(frame, [0, 1] * 20), frame, root).by_name
    assert inputs["name"].categories is None
    assert inputs["ward"].categories == ("north", "south")


def test_a_column_that_the_estimator_takes_when_it_is_there_is_used(root: Path) -> None:
    frame = pd.DataFrame({"pay": np.arange(24.0), "bonus": [0.0] * 20 + [50.0] * 4})
    trained = make_pipeline(FunctionTransformer(with_bonus), DecisionTreeRegressor(random_state=0))
    trained.fit(frame, frame.sum(axis=1))
    signature = signature_of(trained, frame.head(10), root)
    assert [column.used for column in signature.inputs] == [True, True]


def test_texts_are_seen_through_what_is_put_around_a_pipeline() -> None:
    texts = ["win a prize", "see you at lunch"] * 6
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression())
    calibrated = CalibratedClassifierCV(pipeline, cv=2, ensemble=False)
    model = FixedThresholdClassifier(calibrated, threshold=0.3).fit(texts, [1, 0] * 6)
    found = find_fitted(model, pd.DataFrame({"text": texts}))
    assert texts == found.X
