"""Saving: whatever a data scientist has becomes a version that answers the same, or is refused in one line."""

from __future__ import annotations

import resource
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from app.errors import StoreError
from app.store import ModelStore, Saved, load, save
from tests.store.helpers import names_in

N = 20
Y = np.arange(N) % 2
NUMBERS = np.random.default_rng(0).normal(size=(N, 3))
TEXTS = [f"word{index % 3} and {index % 2}" for index in range(N)]
WORDS = np.array(["a", "b", "c"], dtype=object)[np.arange(N) % 3]


def _numbers(X: Any) -> Any:
    return LogisticRegression().fit(X, Y)


def _words(X: Any) -> Any:
    return make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(X, Y)


def _texts(X: Any) -> Any:
    return make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(X, Y)


def _imputing(X: Any) -> Any:
    return make_pipeline(SimpleImputer(), LogisticRegression()).fit(X, Y)


def _dates(X: Any) -> Any:
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return make_pipeline(encoder, DecisionTreeClassifier()).fit(X, Y)


def _frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


CASES: dict[str, tuple[Callable[[Any], Any], Any, str]] = {
    "a list of texts": (_texts, TEXTS, "texts"),
    "a Series of texts": (_texts, pd.Series(TEXTS), "texts"),
    "a categorical Series of texts": (_texts, pd.Series(TEXTS, dtype="category"), "texts"),
    "an array of texts": (_texts, np.array(TEXTS), "texts"),
    "lists of numbers": (_numbers, NUMBERS.tolist(), "array"),
    "lists of strings and numbers": (_words, [["a", 1], ["b", 2]] * 10, "objects"),
    "float32": (_numbers, NUMBERS.astype("f4"), "array"),
    "big-endian": (_numbers, NUMBERS.astype(">f8"), "array"),
    "booleans": (_numbers, NUMBERS > 0, "array"),
    "small integers": (_numbers, (NUMBERS * 9).astype("i1"), "array"),
    "numbers as objects": (_numbers, NUMBERS.astype(object), "objects"),
    "strings as objects": (_words, np.array([["a", "x"], ["b", "y"]] * 10, dtype=object), "objects"),
    "a vector": (lambda X: IsotonicRegression().fit(X, Y), NUMBERS[:, 0], "vector"),
    "a Series of numbers": (lambda X: IsotonicRegression().fit(X, Y), pd.Series(NUMBERS[:, 0]), "vector"),
    "a frame of numbers": (_numbers, pd.DataFrame(NUMBERS, columns=list("abc")), "frame"),
    "a frame without names": (_numbers, pd.DataFrame(NUMBERS), "array"),
    "a frame of words without names": (_words, pd.DataFrame({0: WORDS, 1: np.arange(N) % 3}), "objects"),
    "pandas' Int64": (_numbers, _frame(a=pd.array(np.arange(N), dtype="Int64"), b=NUMBERS[:, 0]), "frame"),
    "Int64 with missing": (_imputing, _frame(a=pd.array([1, None, 3, 4] * 5, dtype="Int64"), b=Y), "frame"),
    "pandas' boolean": (_numbers, _frame(a=pd.array(NUMBERS[:, 0] > 0, dtype="boolean"), b=Y), "frame"),
    "Arrow's numbers": (_numbers, _frame(a=pd.array(np.arange(N), dtype="int64[pyarrow]"), b=Y), "frame"),
    "categories": (_words, _frame(a=pd.Categorical(WORDS)), "frame"),
    "categories of numbers": (_words, _frame(a=pd.Categorical(np.arange(N) % 3)), "frame"),
    "words with missing ones": (_words, _frame(a=[*WORDS[:-1], None]), "frame"),
    "dates": (_dates, _frame(a=pd.date_range("2026-01-01", periods=N)), "frame"),
    "dates in a time zone": (_dates, _frame(a=pd.date_range("2026-01-01", periods=N, tz="Europe/Berlin")), "frame"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_data_scientist_has_is_saved_and_answers_the_same(root: Path, case: str) -> None:
    fit, X, container = CASES[case]
    estimator = fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save(estimator, X, "m", root=root)
        model = load("m", root=root)
    assert model.signature.container == container
    assert np.array_equal(model.estimator.predict(X), estimator.predict(X))


REFUSED: dict[str, tuple[Any, str]] = {
    "no rows": ([], "has no rows"),
    "a sparse matrix": (sparse.csr_matrix(NUMBERS), "sparse matrix.*toarray"),
    "one string": ("text", "the sample is a str; give a DataFrame"),
    "a dict": ({"a": [1.0]}, "the sample is a dict; give a DataFrame"),
    "nothing": (None, "the sample is a NoneType"),
    "ragged rows": ([[1.0, 2.0, 3.0], [1.0]], "differ in length"),
    "a text that is missing": (["a", None], "text 1 of the sample is missing"),
    "three dimensions": (NUMBERS.reshape(1, N, 3), r"shape \(1, 20, 3\)"),
    "complex numbers": (NUMBERS.astype(complex), "dtype is complex128"),
    "numbers of 128 bits": (NUMBERS.astype("longdouble"), "dtype is float128.*64 bits"),
    "columns of the same name": (pd.DataFrame(NUMBERS, columns=["a", "a", "b"]), "different names"),
    "intervals": (_frame(a=pd.cut(NUMBERS[:, 0], 3)), "column 'a' holds values of the type Interval"),
    "durations": (_frame(a=pd.to_timedelta(np.arange(N), unit="D")), "column 'a' holds values of the type Timedelta"),
    "too few columns": (NUMBERS[:, :2], "X has 2 features, but LogisticRegression is expecting 3"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_served_is_refused_in_one_line_and_leaves_nothing(root: Path, case: str) -> None:
    X, told = REFUSED[case]
    with pytest.raises(StoreError, match=told) as raised:
        save(_numbers(NUMBERS), X, "m", root=root)
    assert "\n" not in str(raised.value)
    assert not root.exists()


@pytest.mark.parametrize(
    ("estimator", "told"),
    [
        (LogisticRegression(), "NotFittedError"),
        ({"a": 1}, "dict gives no answer.*it has none of predict"),
        (make_pipeline(FunctionTransformer(lambda X: X), StandardScaler()).fit(NUMBERS), "cannot be saved.*lambda"),
    ],
)
def test_what_is_no_fitted_estimator_that_can_be_pickled_is_refused(root: Path, estimator: Any, told: str) -> None:
    with pytest.raises(StoreError, match=told):
        save(estimator, NUMBERS, "m", root=root)
    assert not root.exists()


def test_a_frame_in_another_order_or_with_more_columns_is_brought_into_the_fitted_one(root: Path) -> None:
    frame = pd.DataFrame(NUMBERS, columns=list("abc"))
    save(_numbers(frame), frame[list("cab")].assign(target=Y), "m", root=root)
    assert load("m", root=root).signature.names == ("a", "b", "c")
    with pytest.raises(StoreError, match=r"no column 'b'.*it has 'a', 'c'"):
        save(_numbers(frame), frame[["a", "c"]], "m", root=root)


def test_names_go_with_an_array_and_rows_without_names_with_a_frame(root: Path) -> None:
    frame = pd.DataFrame(NUMBERS, columns=list("abc"))
    save(_numbers(NUMBERS), frame, "m", root=root)
    signature = load("m", root=root).signature
    assert (signature.container, signature.names) == ("array", ("a", "b", "c"))
    save(_numbers(frame), NUMBERS, "m", root=root)
    assert load("m", root=root).signature.container == "frame"


def test_metrics_are_kept_and_must_be_what_json_can_hold(root: Path, catalog: ModelStore) -> None:
    estimator = _numbers(NUMBERS)
    save(estimator, NUMBERS, "m", root=root, metrics={"accuracy": np.float64(0.5), "nan": float("nan"), 1: [2]})
    assert catalog.manifest("m", 1).metrics == {"accuracy": 0.5, "nan": None, "1": [2]}
    with pytest.raises(StoreError, match="metrics must be what JSON can hold"):
        save(estimator, NUMBERS, "m", root=root, metrics={"model": estimator})


def test_imputers_make_inputs_nullable_and_dropped_columns_are_not_used(root: Path) -> None:
    frame = _frame(word=WORDS, age=NUMBERS[:, 0], size=NUMBERS[:, 1], note=TEXTS)
    prepare = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["word"]),
        (SimpleImputer(), ["age"]),
        (StandardScaler(), ["size"]),
    )
    save(make_pipeline(prepare, LogisticRegression()).fit(frame, Y), frame, "m", root=root)
    inputs = load("m", root=root).signature.by_name
    assert {name: (column.nullable, column.used) for name, column in inputs.items()} == {
        "word": (True, True),
        "age": (True, True),
        "size": (False, True),
        "note": (True, False),
    }
    assert inputs["word"].categories == ("a", "b", "c")


def test_an_estimator_that_takes_missing_values_is_nullable_though_the_sample_has_none(root: Path) -> None:
    save(HistGradientBoostingClassifier(min_samples_leaf=2).fit(NUMBERS, Y), NUMBERS, "m", root=root)
    assert load("m", root=root).signature.nullable.all()
    save(_numbers(NUMBERS), NUMBERS, "m", root=root)
    assert not load("m", root=root).signature.nullable.any()


def test_a_full_disk_leaves_nothing_behind(root: Path, publish: Callable[..., Saved]) -> None:
    """A limit on file sizes stands for the full disk: writing the model fails half-way."""
    publish()
    before = names_in(root / "m")
    serving = (root / "m" / "serving.json").read_bytes()
    X = np.random.default_rng(0).normal(size=(2000, 5))
    forest = DecisionTreeClassifier().fit(X, np.arange(2000) % 7)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(StoreError, match="cannot be written: File too large"):
            save(forest, X, "m", root=root)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names_in(root / "m") == before
    assert (root / "m" / "serving.json").read_bytes() == serving
    assert save(forest, X, "m", root=root).version == 2


def test_where_the_last_write_fails_the_version_is_taken_back(root: Path, publish: Callable[..., Saved]) -> None:
    publish()
    (root / "m" / "serving.json").unlink()
    (root / "m" / "serving.json").mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        publish()
    assert ModelStore(root).versions("m") == [1]
    assert names_in(root / "m") == [".lock", "1", "serving.json"]


def test_a_store_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written: File exists"):
        save(_numbers(NUMBERS), NUMBERS, "m", root=tmp_path / "file")
