"""Steps that make numbers of texts, replayed on a document-term matrix: counting, weighing, selecting.

Every number is computed by scikit-learn's operations in scikit-learn's order, a document's terms by their column, so
that the last bit agrees and with it the label of a text between two classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any

import numpy as np

from app.engines import fronts
from app.engines.base import NotReplayed
from app.engines.texts import analysis
from app.signature import Array

State = Mapping[str, Any]

_VECTORIZERS = ("CountVectorizer", "TfidfVectorizer")


@dataclass(frozen=True, slots=True)
class TermMatrix:
    """A sparse matrix of documents and terms, in which a document's terms stand in the order of their columns.

    Attributes
    ----------
    shape: the number of documents and of terms.
    rows: the document of each value, shape (n_values,), dtype intp.
    columns: the term of each value, likewise.
    values: counts or weights, shape (n_values,), dtype float64.
    """

    shape: tuple[int, int]
    rows: Array
    columns: Array
    values: Array

    def sums(self, values: Array) -> Array:
        """Add up `values`, one for each of the matrix', by document and one after another; shape (documents,)."""
        return np.bincount(self.rows, weights=values, minlength=self.shape[0])


Vectorize = Callable[[Sequence[str]], TermMatrix]
Stage = Callable[[TermMatrix], TermMatrix]


def describe(steps: Sequence[Any]) -> State:
    """Return the state of the fitted steps that turn texts into a document-term matrix.

    Raises
    ------
    NotReplayed
        The first step makes no terms of texts, or one is not replayed, or not with its parameters.
    """
    first, *others = (step for step in _flat(steps) if step is not None and step != "passthrough")
    name = _name_of(first)
    if name == "FeatureUnion":
        return {"source": _describe_union(first), "stages": list(map(_describe_stage, others))}
    if name not in _VECTORIZERS:
        raise NotReplayed(f"{type(first).__name__} is not among the steps that are replayed on texts")
    weighing = [first._tfidf] if name == "TfidfVectorizer" else []
    return {"source": _describe_vectorizer(first), "stages": list(map(_describe_stage, [*weighing, *others]))}


def build(state: State) -> Vectorize:
    """Return the function that makes a document-term matrix of texts."""
    source = _build_union(state["source"]) if "parts" in state["source"] else _build_vectorizer(state["source"])
    stages = [_STAGES[stage["kind"]](stage) for stage in state["stages"]]

    def vectorize(texts: Sequence[str]) -> TermMatrix:
        matrix = source(texts)
        for stage in stages:
            matrix = stage(matrix)
        return matrix

    return vectorize


def _flat(steps: Sequence[Any]) -> list[Any]:
    """Return the steps, those of pipelines among them one by one."""
    flat: list[Any] = []
    for step in steps:
        flat += _flat([inner for _, inner in step.steps]) if _name_of(step) == "Pipeline" else [step]
    return flat


def _name_of(step: Any) -> str:
    own = type(step)
    return own.__name__ if own.__module__.startswith("sklearn.") else ""


# Counting


def _describe_vectorizer(vectorizer: Any) -> State:
    if np.dtype(vectorizer.dtype) not in (np.int64, np.float64):
        raise NotReplayed(f"{type(vectorizer).__name__} counts in {np.dtype(vectorizer.dtype)}")
    vocabulary = vectorizer.vocabulary_
    terms = np.array(sorted(vocabulary, key=vocabulary.__getitem__), dtype=object)
    return {"analyzer": analysis.describe(vectorizer), "terms": terms, "binary": bool(vectorizer.binary)}


def _build_vectorizer(state: State) -> Vectorize:
    analyze, binary = analysis.build(state["analyzer"]), state["binary"]
    width = len(state["terms"])
    column_of = dict(zip(state["terms"].tolist(), range(width), strict=True)).get

    def columns_of(text: str) -> Array:
        """Return the column of each known term, as often as it is there."""
        terms = analyze(text)
        columns = np.fromiter(map(column_of, terms, repeat(-1)), np.intp, len(terms))
        return columns[columns >= 0]

    def vectorize(texts: Sequence[str]) -> TermMatrix:
        if len(texts) == 1:
            columns, counts = _counted(columns_of(texts[0]))
            rows = np.zeros_like(columns)
        else:
            # A document and a term are one number, so that one sort does for all documents.
            found = list(map(columns_of, texts))
            cells = np.repeat(np.arange(len(texts)) * width, list(map(len, found)))
            cells += np.concatenate(found)
            cells, counts = _counted(cells)
            rows, columns = np.divmod(cells, width)
        values = np.ones(len(counts)) if binary else counts.astype(np.float64)
        return TermMatrix((len(texts), width), rows, columns, values)

    return vectorize


def _counted(numbers: Array) -> tuple[Array, Array]:
    """Sort integers in place; return the distinct ones and how often each is there, in a third of np.unique's time."""
    numbers.sort()
    changes = np.empty(len(numbers) + 1, dtype=bool)
    changes[0] = changes[-1] = True
    np.not_equal(numbers[1:], numbers[:-1], out=changes[1:-1])
    (bounds,) = changes.nonzero()
    return numbers[bounds[:-1]], bounds[1:] - bounds[:-1]


# Side by side


def _describe_union(union: Any) -> State:
    if union.transformer_weights:
        raise NotReplayed("FeatureUnion has transformer_weights")
    return {"parts": [describe([part]) for _, part in union.transformer_list if part != "drop"]}


def _build_union(state: State) -> Vectorize:
    parts = list(map(build, state["parts"]))

    def vectorize(texts: Sequence[str]) -> TermMatrix:
        matrices = [part(texts) for part in parts]
        columns, width = [], 0
        for matrix in matrices:
            columns.append(matrix.columns + width)
            width += matrix.shape[1]
        return TermMatrix(
            (len(texts), width),
            np.concatenate([matrix.rows for matrix in matrices]),
            np.concatenate(columns),
            np.concatenate([matrix.values for matrix in matrices]),
        )

    return vectorize


# Weighing and selecting


def _describe_stage(step: Any) -> State:
    name = _name_of(step)
    if name == "TfidfTransformer":
        return _describe_tfidf(step)
    state = fronts.describe(step)
    if state is None or state["kind"] != "select":
        raise NotReplayed(f"{type(step).__name__} is not among the steps that are replayed on terms")
    return state


def _describe_tfidf(step: Any) -> State:
    idf = getattr(step, "idf_", None)
    if idf is not None and not (idf.dtype == np.float64 and np.isfinite(idf).all()):
        raise NotReplayed("the idf is not of finite numbers in float64")
    return {"kind": "tfidf", "sublinear": bool(step.sublinear_tf), "idf": idf, "norm": step.norm}


def _build_tfidf(state: State) -> Stage:
    """Make the stage of ``tf * idf / norm``, where tf is ``1 + log(tf)`` if it is sublinear."""
    sublinear, idf, norm = state["sublinear"], state["idf"], state["norm"]

    def weigh(matrix: TermMatrix) -> TermMatrix:
        values = matrix.values
        if sublinear:
            values = np.log(values)
            values += 1.0
        if idf is not None:
            values = values * idf[matrix.columns]
        if norm is not None:
            norms = np.sqrt(matrix.sums(values * values)) if norm == "l2" else matrix.sums(np.abs(values))
            # A document without a known term, or of terms that weigh nothing, stays as it is.
            norms[norms == 0.0] = 1.0
            values = values / norms[matrix.rows]
        return replace(matrix, values=values)

    return weigh


def _build_select(state: State) -> Stage:
    kept: Array = state["columns"]
    new = np.full(int(state["width"]), -1, dtype=np.intp)
    new[kept] = np.arange(len(kept))

    def select(matrix: TermMatrix) -> TermMatrix:
        columns = new[matrix.columns]
        there = columns >= 0
        shape = matrix.shape[0], len(kept)
        return TermMatrix(shape, matrix.rows[there], columns[there], matrix.values[there])

    return select


_STAGES: Mapping[str, Callable[[State], Stage]] = {"tfidf": _build_tfidf, "select": _build_select}
