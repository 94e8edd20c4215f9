"""Which raw column each feature comes from that a pipeline's steps hand to the model.

Steps are known by their exact class, without importing it; a subclass may do anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from app.explain.base import NotExplained

# By feature its raw column; or one raw column for all features, however many they are.
Origins = list[str] | str

_ONE_TO_ONE = frozenset(
    (
        "sklearn.StandardScaler",
        "sklearn.RobustScaler",
        "sklearn.MinMaxScaler",
        "sklearn.MaxAbsScaler",
        "sklearn.PowerTransformer",
        "sklearn.QuantileTransformer",
        "sklearn.OrdinalEncoder",
        "sklearn.Binarizer",
        "app.Densify",
    )
)


def follow(step: Any, origins: Origins) -> Origins:
    """Return the raw columns of what a fitted step gives, from those of what it takes.

    Raises
    ------
    NotExplained
        The step mixes columns, or is not one of those below.
    """
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return origins
    if isinstance(origins, str):
        # Whatever is made of one column comes from it.
        return origins
    if len(set(origins)) == 1:
        return origins[0]
    name = f"{type(step).__module__.split('.')[0]}.{type(step).__name__}"
    if name in _ONE_TO_ONE:
        return origins
    if name not in _STEPS:
        raise NotExplained(f"{type(step).__name__} may mix columns")
    return _STEPS[name](step, origins)


def spread(origins: Origins, width: int) -> list[str]:
    """Return the raw column of each of `width` features; raises NotExplained where they are not as many."""
    found = [origins] * width if isinstance(origins, str) else origins
    if len(found) != width:
        raise NotExplained(f"{width} features come from {len(found)} columns")
    return found


def _pipeline(step: Any, origins: Origins) -> Origins:
    for _, part in step.steps:
        origins = follow(part, origins)
    return origins


def _column_transformer(step: Any, origins: Sequence[str]) -> Origins:
    places = {name: range(*place.indices(1 << 62)) for name, place in step.output_indices_.items()}
    found: dict[int, str] = {}
    for name, part, _ in step.transformers_:
        place = places.get(name, range(0))
        taken = [origins[index] for index in step._transformer_to_input_indices.get(name, ())]
        if len(place) == 0 or (isinstance(part, str) and part == "drop"):
            continue
        found.update(zip(place, spread(follow(part, taken), len(place)), strict=True))
    return [found[index] for index in sorted(found)]


def _feature_union(step: Any, origins: Sequence[str]) -> Origins:
    parts = [follow(part, list(origins)) for _, part in step.transformer_list if part != "drop"]
    if any(isinstance(part, str) for part in parts):
        raise NotExplained("FeatureUnion has parts of unknown width")
    return [origin for part in parts for origin in part]


def _imputer(step: Any, origins: Sequence[str]) -> Origins:
    kept = list(origins)
    if not step.keep_empty_features:
        empty = [value != value for value in np.asarray(step.statistics_, dtype=object).tolist()]  # noqa: PLR0124  # NaN
        kept = [origin for origin, gone in zip(origins, empty, strict=True) if not gone]
    if step.indicator_ is not None:
        kept += [origins[index] for index in step.indicator_.features_]
    return kept


def _indicator(step: Any, origins: Sequence[str]) -> Origins:
    return [origins[index] for index in step.features_]


def _one_hot(step: Any, origins: Sequence[str]) -> Origins:
    return _repeated(origins, step._n_features_outs)


def _target_encoder(step: Any, origins: Sequence[str]) -> Origins:
    several = len(step.classes_) if step.target_type_ == "multiclass" else 1
    return _repeated(origins, [several] * len(origins))


def _bins(step: Any, origins: Sequence[str]) -> Origins:
    return list(origins) if step.encode == "ordinal" else _repeated(origins, step.n_bins_)


def _splines(step: Any, origins: Sequence[str]) -> Origins:
    return _repeated(origins, [step.n_features_out_ // len(origins)] * len(origins))


def _date_parts(step: Any, origins: Sequence[str]) -> Origins:
    return _repeated(origins, [len(step.get_feature_names_out()) // len(origins)] * len(origins))


def _selector(step: Any, origins: Sequence[str]) -> Origins:
    return [origin for origin, kept in zip(origins, step.get_support(), strict=True) if kept]


def _function(step: Any, origins: Sequence[str]) -> Origins:
    if step.func is None or isinstance(step.func, np.ufunc) or step.feature_names_out == "one-to-one":
        return list(origins)
    raise NotExplained(f"FunctionTransformer's {getattr(step.func, '__name__', 'function')} may mix columns")


def _repeated(origins: Sequence[str], counts: Sequence[int]) -> Origins:
    return [origin for origin, count in zip(origins, counts, strict=True) for _ in range(count)]


_STEPS: dict[str, Callable[[Any, Any], Origins]] = {
    "sklearn.Pipeline": _pipeline,
    "sklearn.ColumnTransformer": _column_transformer,
    "sklearn.FeatureUnion": _feature_union,
    "sklearn.SimpleImputer": _imputer,
    "sklearn.MissingIndicator": _indicator,
    "sklearn.OneHotEncoder": _one_hot,
    "sklearn.TargetEncoder": _target_encoder,
    "sklearn.KBinsDiscretizer": _bins,
    "sklearn.SplineTransformer": _splines,
    "sklearn.FunctionTransformer": _function,
    "sklearn.VarianceThreshold": _selector,
    "sklearn.SelectKBest": _selector,
    "sklearn.SelectPercentile": _selector,
    "sklearn.SelectFromModel": _selector,
    "app.DateParts": _date_parts,
}
