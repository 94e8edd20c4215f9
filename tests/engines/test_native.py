"""The engine that is always there: scikit-learn itself, asked in the container it was fitted on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from app.engines import SklearnEngine
from app.engines.native import as_arrays, to_frame
from app.errors import TooLarge
from app.signature import Batch, Input, Signature
from app.wire.rows import from_rows
from tests.tracing import peak_of

X = np.random.default_rng(4).normal(size=(20, 2))
Y = np.array(["no", "yes"])[np.arange(20) % 2]
NUMBERS = Signature("array", (Input("a", "float64"), Input("b", "float64")), {})


def frame_of(*inputs: Input, rows: list[list[Any]]) -> pd.DataFrame:
    """Return the DataFrame that an estimator gets for these rows."""
    signature = Signature("frame", inputs, {})
    return to_frame(from_rows(signature, rows), signature)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_answers_are_the_estimators_own_bit_for_bit(method: str) -> None:
    estimator = LogisticRegression().fit(X, Y)
    answer = SklearnEngine(estimator, NUMBERS).run(Batch(len(X), X), method)
    assert isinstance(answer, np.ndarray)
    assert answer.tobytes() == getattr(estimator, method)(X).tobytes()


def test_several_outputs_stay_a_list_of_arrays() -> None:
    estimator = MultiOutputClassifier(LogisticRegression()).fit(X, np.stack([Y, Y[::-1]], axis=1))
    answer = SklearnEngine(estimator, NUMBERS).run(Batch(len(X), X), "predict_proba")
    assert isinstance(answer, list)
    assert [part.shape for part in answer] == [(20, 2), (20, 2)]


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int8", "bool", "str", "string", "Int64", "Float64"])
def test_a_column_has_the_dtype_it_was_fitted_on(dtype: str) -> None:
    value: Any = {"b": True, "s": "a"}.get(dtype[0], 1)
    frame = frame_of(Input("a", dtype), Input("b", "float64"), rows=[[value, 0.5]])
    assert str(frame["a"].dtype) == dtype
    assert frame["a"].tolist() == [value]


def test_categories_dates_and_missing_values_are_pandas_own() -> None:
    frame = frame_of(
        Input("port", "category", nullable=True, categories=("C", "S")),
        Input("day", "datetime64[ns]", nullable=True),
        Input("moment", "datetime64[us, Europe/Berlin]", nullable=True),
        Input("count", "Int64", nullable=True),
        rows=[["S", "2026-11-22", "2026-11-22T08:30:00Z", 3], [None, None, None, None]],
    )
    assert frame["port"].cat.categories.tolist() == ["C", "S"]
    assert frame["day"].iloc[0] == pd.Timestamp("2026-11-22")
    assert frame["moment"].iloc[0] == pd.Timestamp("2026-11-22 09:30", tz="Europe/Berlin")
    assert frame.iloc[1].isna().all()
    assert [str(dtype) for dtype in frame.dtypes] == [
        "category",
        "datetime64[ns]",
        "datetime64[us, Europe/Berlin]",
        "Int64",
    ]


def test_columns_that_are_not_used_do_not_reach_the_estimator() -> None:
    frame = frame_of(Input("a", "float64"), Input("b", "str", used=False), rows=[[1.0, "x"]])
    assert list(frame.columns) == ["a"]


def test_sparse_answers_are_made_dense_up_to_a_bound() -> None:
    assert np.array_equal(as_arrays(sparse.csr_array(np.eye(3))), np.eye(3))
    wide = sparse.csr_array((100, 2**20))

    def densify() -> None:
        with pytest.raises(TooLarge, match=r"the answer has 100 x 1048576 values, more than 16777216"):
            as_arrays(wide)

    assert peak_of(densify)[1] < 2**20


def test_a_text_pipeline_gets_texts() -> None:
    texts = ["good day", "bad day"] * 5
    estimator = make_pipeline(HashingVectorizer(n_features=16), LogisticRegression()).fit(texts, ["+", "-"] * 5)
    signature = Signature("texts", (Input("text", "str"),), {})
    answer = SklearnEngine(estimator, signature).run(Batch(2, texts[:2]), "predict")
    assert answer.tolist() == estimator.predict(texts[:2]).tolist()


def test_a_dataframe_that_an_estimator_answers_becomes_an_array() -> None:
    estimator = FunctionTransformer(pd.DataFrame).fit(X)
    answer = SklearnEngine(estimator, NUMBERS).run(Batch(len(X), X), "transform")
    assert isinstance(answer, np.ndarray)
    assert np.array_equal(answer, X)


def test_what_the_estimator_raises_is_let_through() -> None:
    with pytest.raises(ValueError, match="3 features"):
        SklearnEngine(LogisticRegression().fit(X, Y), NUMBERS).run(Batch(1, np.zeros((1, 3))), "predict")


def test_every_estimator_inside_runs_on_one_core() -> None:
    forest = RandomForestClassifier(3, n_jobs=-1, random_state=0).fit(X, Y)
    model = make_pipeline(FunctionTransformer(), MultiOutputClassifier(forest, n_jobs=2)).fit(
        X, np.stack([Y, Y], axis=1)
    )
    expected = model.predict(X)
    engine = SklearnEngine(model, NUMBERS)
    inner = model[-1]
    assert [inner.n_jobs, inner.estimator.n_jobs, *(part.n_jobs for part in inner.estimators_)] == [1, 1, 1, 1]
    answer = engine.run(Batch(len(X), X), "predict")
    assert isinstance(answer, np.ndarray)
    assert np.array_equal(answer, expected)


@pytest.mark.parametrize(
    ("dtype", "values", "becomes"),
    [
        ("Int64", np.array([1.0, np.nan]), "Int64"),
        ("Int64", np.array([1.5, np.nan]), "Float64"),
        ("Int8", np.array([1, 300]), "Int64"),
        ("UInt8", np.array([1, -1]), "Int64"),
        ("boolean", np.array([True, False]), "boolean"),
        ("boolean", np.array([True, np.nan], dtype=object), "boolean"),
    ],
)
def test_a_column_of_pandas_own_widens_where_it_must(dtype: str, values: Any, becomes: str) -> None:
    signature = Signature("frame", (Input("c", dtype, nullable=True),), {})
    column = to_frame(Batch(2, {"c": values}), signature)["c"]
    assert column.dtype.name == becomes
    assert [None if pd.isna(value) else value for value in column] == [
        None if pd.isna(value) else value for value in values
    ]
