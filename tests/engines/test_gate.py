"""The parity gate lets nothing through that scikit-learn would not have said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from app.engines import SklearnEngine
from app.engines.base import Doubt
from app.engines.forest import split_points
from app.engines.gate import judge, row_independent
from app.engines.synthesis import array_batches
from app.signature import Array, Batch
from tests.engines.helpers import batch_of, signature_of

X, Y = load_iris(return_X_y=True)
MODEL = LogisticRegression(max_iter=500).fit(X, Y)
NATIVE = SklearnEngine(MODEL, signature_of(MODEL, X))
PROBA: Callable[[Array], Array] = MODEL.predict_proba


def batches(estimator: Any = MODEL, points: Any = ()) -> list[Batch]:
    return array_batches(signature_of(estimator, X), batch_of(X), points)


def finite(answer: Callable[[Array], Array]) -> Callable[[Array], Array]:
    def kernel(rows: Array) -> Array:
        if not np.isfinite(rows).all():
            raise Doubt
        return answer(rows)

    return kernel


def test_scikit_learns_own_answers_pass() -> None:
    for one_by_one in (False, True):
        verdict = judge(NATIVE, PROBA, "predict_proba", batches(), one_by_one=one_by_one)
        assert verdict.why_not is None
        assert verdict.max_difference < 1e-12


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda rows: PROBA(rows) + 1e-8, "instead of"),
        (lambda rows: PROBA(rows).astype(np.float32), "dtype float32 instead of float64"),
        (lambda rows: PROBA(rows)[:, :2], "shape"),
        (lambda rows: PROBA(rows).tolist(), "outputs instead of 1"),
        (lambda rows: [PROBA(rows)], "instead of"),
        (lambda rows: np.where(PROBA(rows) == PROBA(rows).max(), np.nan, PROBA(rows)), "nan"),
    ],
)
def test_a_form_with_other_numbers_is_refused(wrong: Callable[[Array], Any], told: str) -> None:
    verdict = judge(NATIVE, wrong, "predict_proba", batches())
    assert verdict.why_not is not None
    assert told in verdict.why_not


def test_a_form_with_another_label_in_a_single_row_is_refused() -> None:
    def wrong(rows: Array) -> Array:
        labels = MODEL.predict(rows)
        labels[-1] = (labels[-1] + 1) % 3
        return labels

    assert judge(NATIVE, wrong, "predict", batches()).why_not is not None
    assert judge(NATIVE, wrong, "predict", batches(), one_by_one=True).why_not is not None


def test_a_form_that_answers_where_scikit_learn_raises_is_refused() -> None:
    tree = DecisionTreeClassifier(random_state=0).fit(X, Y)
    native = SklearnEngine(tree, signature_of(tree, X))

    def careless(rows: Array) -> Array:
        clipped = np.clip(rows, -3e38, 3e38)
        return np.asarray(tree.predict(clipped))

    told = judge(native, careless, "predict", batches(tree)).why_not
    assert told is not None
    assert "answers where scikit-learn raises ValueError" in told


def test_a_form_that_leaves_rows_to_scikit_learn_is_not_refused_for_it() -> None:
    def timid(rows: Array) -> Array:
        raise Doubt

    assert judge(NATIVE, timid, "predict", batches()).why_not is None


def test_a_form_that_is_wrong_at_a_split_point_alone_is_refused() -> None:
    tree = DecisionTreeClassifier(random_state=0).fit(X, Y)
    native = SklearnEngine(tree, signature_of(tree, X))

    def uncast(rows: Array) -> Array:
        # Descends with float64, where scikit-learn casts to float32: other only between a split point's neighbours.
        node = np.zeros(len(rows), dtype=int)
        inner = tree.tree_
        for _ in range(inner.max_depth):
            left = rows[np.arange(len(rows)), inner.feature[node]] <= inner.threshold[node]
            below = np.where(left, inner.children_left[node], inner.children_right[node])
            node = np.where(inner.children_left[node] == -1, node, below)
        return np.asarray(tree.classes_.take(inner.value[node, 0].argmax(axis=1)))

    kernel = finite(lambda rows: uncast(rows) if np.abs(rows).max() < 1e38 else tree.predict(rows))
    found = batches(tree, [split_points([tree.tree_])])
    assert judge(native, kernel, "predict", batches(tree)).why_not is None
    assert judge(native, kernel, "predict", found).why_not is not None


def test_rows_are_made_missing_only_where_they_may_be() -> None:
    assert not any(np.isnan(batch.data).any() for batch in batches())
    tree = DecisionTreeClassifier(random_state=0).fit(X, Y)
    assert any(np.isnan(batch.data).any() for batch in batches(tree))


def test_whole_numbers_stay_whole_numbers() -> None:
    rows = np.round(X).astype(np.int32)
    model = LogisticRegression(max_iter=500).fit(rows, Y)
    made = array_batches(signature_of(model, rows), batch_of(rows), [{0: np.array([1.5, 2.5])}])
    assert {batch.data.dtype for batch in made} == {np.dtype(np.int32)}


def test_an_answer_that_depends_on_the_neighbours_is_found_out() -> None:
    class Centred:
        name = "centred"

        def run(self, batch: Batch, method: str) -> Array:
            return np.asarray(batch.data - batch.data.mean(axis=0))

    assert row_independent(NATIVE, "predict_proba", batch_of(X[:16]))
    assert not row_independent(Centred(), "transform", batch_of(X[:16]))
