"""The front of the pipeline: from the client's raw columns to the numbers an estimator takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from app.training.columns import Columns
from app.training.estimators import Family
from app.training.problem import Problem
from app.training.transformers import DateParts, Densify, FillText

# More distinct values than this and the rarest share one column.
_MOST_CATEGORIES = 50
# Histogram boosting holds at most 255 categories, the rare ones' shared one among them.
_MOST_NATIVE_CATEGORIES = 200
_MOST_CODES = 1000
_MOST_WORDS_OF_DENSE_TEXT = 300
_MOST_CHARACTERS = 200_000
# Words, and the few signs that tell a bargain from a chat.
TOKENS = r"(?u)\b\w+\b|[£$€!?]"


@dataclass(frozen=True)
class Preparation:
    """What may be chosen of the steps before an estimator.

    Attributes
    ----------
    scale: to mean 0 and variance 1, or into the range from 0 to 1 (pixels, counts); of families that want it scaled.
    encode: categories one-hot, as codes (which trees can split), or as the mean of the target beside them
        (scikit-learn's TargetEncoder, cross-fitted; for many values).
    words: texts by words and pairs of words, by groups of 2 to 5 characters inside words, or by both.
    components: the share of variance that principal components keep, which then take the columns' place; 1 is none.
    """

    scale: Literal["standard", "range"] = "standard"
    encode: Literal["one-hot", "codes", "target"] = "one-hot"
    words: Literal["words", "characters", "both"] = "words"
    components: float = 1.0


PLAIN = Preparation()


def build_pipeline(problem: Problem, family: Family, seed: int, preparation: Preparation = PLAIN) -> Any:
    """Return the unfitted Pipeline that carries everything from raw columns to the answer.

    Missing values and unseen categories are taken in every column. Features that are all numbers
    go through no ColumnTransformer unless one of them is left out, for speed when serving.
    """
    from sklearn.decomposition import PCA
    from sklearn.pipeline import Pipeline

    estimator = family.make(seed)
    if problem.container == "texts":
        steps = text_steps(preparation, dense=not family.sparse)
    elif problem.container == "array" and not problem.columns.dropped:
        steps = number_steps(family, preparation)
    else:
        steps = [("columns", build_columns(problem, family, preparation, seed))]
        codes = len(problem.columns.of("category") + problem.columns.of("boolean"))
        if family.native and codes:
            estimator.set_params(categorical_features=list(range(codes)))
    if preparation.components < 1:
        steps = [*steps, ("components", PCA(preparation.components, svd_solver="full"))]
    return Pipeline([*steps, ("model", estimator)])


def number_steps(family: Family, preparation: Preparation = PLAIN) -> list[tuple[str, Any]]:
    """Return the steps for columns of numbers."""
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    if family.native:
        return []
    impute = [("impute", SimpleImputer(strategy="median", keep_empty_features=True))]
    scaler = StandardScaler() if preparation.scale == "standard" else MinMaxScaler()
    return [*impute, ("scale", scaler)] if family.scaled else impute


def text_steps(preparation: Preparation = PLAIN, *, dense: bool) -> list[tuple[str, Any]]:
    """Return the steps for texts alone."""
    vectorize = ("tfidf", make_tfidf(preparation, dense=dense))
    return [vectorize, ("dense", Densify())] if dense else [vectorize]


def make_tfidf(preparation: Preparation = PLAIN, *, dense: bool = False) -> Any:
    """Return a vectorizer of words, characters or both; of the most frequent only where the result is dense."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import FeatureUnion

    most = _MOST_WORDS_OF_DENSE_TEXT if dense else None
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), token_pattern=TOKENS, max_features=most)
    if preparation.words == "words":
        return words
    characters = TfidfVectorizer(
        sublinear_tf=True, analyzer="char_wb", ngram_range=(2, 5), min_df=2, max_features=most or _MOST_CHARACTERS
    )
    return characters if preparation.words == "characters" else FeatureUnion([("words", words), ("chars", characters)])


def build_columns(problem: Problem, family: Family, preparation: Preparation = PLAIN, seed: int = 0) -> Any:
    """Return the ColumnTransformer: codes first, so that their places are known; the rest is dropped."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    columns = problem.columns
    parts: list[tuple[str, Any, Any]] = []
    if codes := columns.of("category") + columns.of("boolean"):
        parts.append(("categories", make_encoder(family, preparation, seed), codes))
    if numbers := columns.of("number"):
        steps = number_steps(family, preparation)
        parts.append(("numbers", Pipeline(steps) if steps else "passthrough", _places(problem, columns, numbers)))
    if dates := columns.of("date"):
        parts.append(("dates", Pipeline([("parts", DateParts()), *number_steps(family, preparation)]), dates))
    for name in columns.of("text"):
        tfidf = make_tfidf(preparation, dense=not family.sparse)
        parts.append((f"text_{name}", Pipeline([("fill", FillText()), ("tfidf", tfidf)]), name))
    sparse = bool(columns.of("text")) and family.sparse
    return ColumnTransformer(parts, sparse_threshold=1.0 if sparse else 0.0)


def make_encoder(family: Family, preparation: Preparation = PLAIN, seed: int = 0) -> Any:
    """Return the encoder of categories; one that was not seen, or is missing, is encoded as such."""
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

    if not family.native and preparation.encode == "codes":
        return OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2, max_categories=_MOST_CODES
        )
    if not family.native and preparation.encode == "target":
        return TargetEncoder(random_state=seed)
    if family.native:
        return OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=_MOST_NATIVE_CATEGORIES
        )
    return OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=_MOST_CATEGORIES, sparse_output=False)


def name_of(pipeline: Any) -> str:
    """Return the class name of what a pipeline ends in, or of an estimator that is none."""
    return type(pipeline.steps[-1][1] if hasattr(pipeline, "steps") else pipeline).__name__


def describe_pipeline(pipeline: Any) -> str:
    """Return the pipeline in one line: its steps' classes, those of a ColumnTransformer by column kind.

    What is around pipelines, as a blend or a threshold is, comes before what it is of.
    """
    if hasattr(pipeline, "steps"):
        return " → ".join(_describe(step) for _, step in pipeline.steps)
    within = [part for _, part in getattr(pipeline, "estimators", ())]
    within += [pipeline.estimator] if getattr(pipeline, "estimator", None) is not None else []
    parts = "] and [".join(map(describe_pipeline, within))
    return f"{name_of(pipeline)} of [{parts}]" if within else name_of(pipeline)


def _describe(step: Any) -> str:
    if step == "passthrough":
        return "as they are"
    if hasattr(step, "transformers"):
        kinds: dict[str, str] = {}
        for name, part, _ in step.transformers:
            kinds.setdefault(name.split("_")[0], _describe(part))
        return "(" + " | ".join(f"{name}: {part}" for name, part in kinds.items()) + ")"
    if hasattr(step, "steps"):
        return describe_pipeline(step)
    return type(step).__name__


def _places(problem: Problem, columns: Columns, names: list[str]) -> list[str] | list[int]:
    """Return the columns by name, or by position where they stand in an array."""
    if problem.container == "frame":
        return names
    places = {name: index for index, name in enumerate(columns.names)}
    return [places[name] for name in names]
