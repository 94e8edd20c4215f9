"""What a search may choose from: families of estimators, and for each the settings that are worth trying."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache, cached_property
from typing import Any

import numpy as np

from app.training.estimators import Family, find_family
from app.training.metrics import Metric
from app.training.preprocess import Preparation, build_pipeline
from app.training.problem import Problem, Task
from app.training.stopping import ROWS_TO_STOP_EARLY

Settings = dict[str, Any]
# How far a neighbour lies from what it is a neighbour of, as a share of a range.
_STEP = 0.2
_PREPARED = {each.name for each in fields(Preparation)}
# What is set beside the estimator's own parameters.
LOG_TARGET = "log_target"
BLEND = "blend"
WEIGHTS = "stored_as"
_ROWS_TO_SPARE = 2000
_SKEWNESS = 1.0


@dataclass(frozen=True)
class Between:
    """Numbers from `low` to `high`, evenly by their logarithm where `log`; integers where `whole`."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def at(self, share: float) -> Any:
        """Return the value that lies at `share`, 0 to 1, of the way."""
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        value = low + share * (high - low)
        value = math.exp(value) if self.log else value
        return round(value) if self.whole else float(f"{value:.4g}")

    def place(self, value: float) -> float:
        """Return the share at which a value lies."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class OneOf:
    """One of a few values, of which the first holds where none is named; or the only value."""

    values: tuple[Any, ...]


Range = Between | OneOf


@dataclass(frozen=True)
class Space:
    """One family's settings.

    Attributes
    ----------
    starts: what is tried first, one after another.
    ranges: what is drawn from after that.
    needs: which setting does nothing unless which other is named.
    """

    family: str
    starts: tuple[Settings, ...]
    ranges: Mapping[str, Range]
    needs: Mapping[str, str] = field(default_factory=dict)

    def draw(self, rng: np.random.Generator) -> Settings:
        """Return settings from anywhere in the ranges."""
        return self.telling({name: _drawn(among, rng) for name, among in self.ranges.items()})

    def neighbour(self, settings: Settings, rng: np.random.Generator) -> Settings:
        """Return `settings` with one to three of them changed, numbers by a little."""
        names = list(self.ranges)
        changed = {names[index] for index in rng.integers(0, len(names), size=1 + rng.integers(0, 3))}
        moved = {
            name: _moved(self.ranges[name], settings[name], rng) if name in settings else _drawn(self.ranges[name], rng)
            for name in sorted(changed)
        }
        return self.telling({**settings, **moved})

    def telling(self, settings: Settings) -> Settings:
        """Return `settings` without what changes nothing, lest the same estimator be tried under two names."""
        named = {name: value for name, value in settings.items() if value not in _defaults(self.ranges.get(name))}
        return {name: value for name, value in named.items() if self.needs.get(name, name) in named}


@dataclass(frozen=True)
class Candidate:
    """A family with its settings; the members are those of a blend."""

    family: str
    settings: Settings
    members: tuple[Candidate, ...] = ()

    @cached_property
    def key(self) -> str:
        """What tells it from all others, as text."""
        return json.dumps([self.family, self.settings, [member.key for member in self.members]], sort_keys=True)

    def __str__(self) -> str:
        if self.members:
            return f"{self.family} of {' and '.join(map(str, self.members))}"
        told = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        return f"{self.family} ({told})" if told else self.family


def _defaults(among: Range | None) -> tuple[Any, ...]:
    """Return the value that need not be named, if there is one."""
    return among.values[:1] if isinstance(among, OneOf) and len(among.values) > 1 else ()


def _drawn(among: Range, rng: np.random.Generator) -> Any:
    share = float(rng.random())
    return among.at(share) if isinstance(among, Between) else among.values[int(share * len(among.values))]


def _moved(among: Range, value: Any, rng: np.random.Generator) -> Any:
    # A start may say "sqrt" where a share is drawn otherwise.
    if isinstance(among, OneOf) or isinstance(value, str):
        return _drawn(among, rng)
    return among.at(float(np.clip(among.place(value) + rng.normal(0, _STEP), 0, 1)))


def build(candidate: Candidate, problem: Problem, seed: int) -> Any:
    """Return the unfitted Pipeline of a candidate; a blend's predictions are the mean of its members'."""
    if candidate.members:
        return _blend([build(member, problem, seed) for member in candidate.members], problem.task)
    settings = dict(candidate.settings)
    preparation = replace(Preparation(), **{name: settings.pop(name) for name in _PREPARED & settings.keys()})
    log_target = settings.pop(LOG_TARGET, False)
    plain = find_family(candidate.family, problem.task, texts=problem.container == "texts")
    family = replace(plain, make=lambda seed: _made(plain, settings, seed))
    pipeline = build_pipeline(problem, family, seed, preparation)
    if log_target:
        name, estimator = pipeline.steps[-1]
        pipeline.steps[-1] = (name, _on_logarithms(estimator))
    return pipeline


def _made(family: Family, settings: Settings, seed: int) -> Any:
    layers = (
        {"hidden_layer_sizes": _layers(settings["width"], settings.get("layers", 1))} if "width" in settings else {}
    )
    own = {name: value for name, value in settings.items() if name not in ("width", "layers", WEIGHTS)}
    estimator = family.make(seed).set_params(**own, **layers)
    return _compact(estimator, settings[WEIGHTS]) if WEIGHTS in settings else estimator


def _compact(network: Any, weights: str) -> Any:
    from app.training.compact import CompactMLPClassifier, CompactMLPRegressor

    kind = CompactMLPClassifier if hasattr(network, "predict_proba") else CompactMLPRegressor
    return kind(weights=weights, **network.get_params(deep=False))


def _layers(width: int, layers: int) -> tuple[int, ...]:
    """Return the widths of hidden layers, each half of the one before."""
    return tuple(max(8, width >> depth) for depth in range(layers))


def _on_logarithms(estimator: Any) -> Any:
    from sklearn.compose import TransformedTargetRegressor

    return TransformedTargetRegressor(estimator, func=np.log1p, inverse_func=np.expm1, check_inverse=False)


def _blend(pipelines: list[Any], task: Task) -> Any:
    from sklearn.ensemble import VotingClassifier, VotingRegressor

    named = [(f"model_{number}", pipeline) for number, pipeline in enumerate(pipelines, start=1)]
    return VotingClassifier(named, voting="soft") if task == "classification" else VotingRegressor(named)


def gives_probabilities(family: str, problem: Problem) -> bool:
    """Tell whether a family's estimator has ``predict_proba``."""
    texts = problem.container == "texts"
    return hasattr(find_family(family, problem.task, texts=texts).make(0), "predict_proba")


def spaces(problem: Problem, n_rows: int, metric: Metric) -> list[Space]:
    """Return the spaces worth searching for a problem with so many rows to learn from, the cheapest first.

    A family that cannot give what `metric` needs is left out.
    """
    if problem.container == "texts" and problem.task == "classification":
        found = _text_spaces()
    else:
        found = _table_spaces(problem, n_rows)
    if metric.needs == "probabilities":
        found = [space for space in found if gives_probabilities(space.family, problem)]
    return found


@cache
def _text_spaces() -> list[Space]:
    words = OneOf(("words", "characters", "both"))
    balance = OneOf((None, "balanced"))
    alpha = Between(1e-6, 1e-2, log=True)
    return [
        Space("dummy", ({},), {}),
        Space(
            "naive-bayes",
            ({"alpha": 0.1}, {"alpha": 0.1, "words": "both"}),
            {"alpha": Between(0.003, 2, log=True), "words": words},
        ),
        Space(
            "logistic",
            (
                {"C": 30.0, "class_weight": None},
                {"C": 30.0, "class_weight": None, "words": "both"},
                {"C": 30.0, "words": "characters"},
            ),
            {"C": Between(0.3, 1000, log=True), "class_weight": OneOf(("balanced", None)), "words": words},
        ),
        Space(
            "sgd",
            ({"alpha": 1e-5}, {"alpha": 1e-5, "words": "both"}),
            {"alpha": alpha, "class_weight": balance, "words": words},
        ),
        Space(
            "linear-svm",
            ({"C": 1.0}, {"C": 1.0, "words": "both"}),
            {"C": Between(0.03, 30, log=True), "class_weight": balance, "words": words},
        ),
    ]


def _table_spaces(problem: Problem, n_rows: int) -> list[Space]:
    classes = problem.task == "classification"
    scale = {"scale": OneOf(("standard", "range"))}
    codes = problem.columns.of("category") + problem.columns.of("boolean")
    encode = {"encode": OneOf(("one-hot", "codes", "target"))} if codes else {}
    coded = {"encode": "codes"} if codes else {}
    skewed = {LOG_TARGET: OneOf((False, True))} if not classes and is_skewed(problem.y) else {}
    found = [Space("dummy", ({},), {}), *(_linear_classifiers(scale) if classes else _linear_regressors(scale, skewed))]
    if classes:
        found.append(Space("naive-bayes", ({},), {"var_smoothing": Between(1e-11, 0.3, log=True)}))
    found.append(
        Space(
            "knn",
            ({"n_neighbors": 10, "weights": "distance"},),
            {"n_neighbors": Between(1, 60, log=True, whole=True), "weights": OneOf(("uniform", "distance")), **scale},
        )
    )
    found += _trees(classes, n_rows, encode, coded, skewed)
    found.append(
        Space(
            "svm",
            ({"C": 1.0}, {"C": 10.0, "scale": "range"}),
            {"C": Between(0.03, 300, log=True), "gamma": OneOf(("scale", "auto")), **scale, **skewed},
        )
    )
    found.append(_networks(n_rows, scale, skewed))
    return found


def _linear_classifiers(scale: Mapping[str, Range]) -> list[Space]:
    balance = OneOf((None, "balanced"))
    return [
        Space(
            "logistic",
            ({"C": 1.0}, {"C": 0.1}),
            {"C": Between(0.003, 300, log=True), "class_weight": balance, **scale},
        ),
        Space("lda", ({},), {"solver": OneOf(("lsqr",)), "shrinkage": Between(0, 1)}),
        Space(
            "sgd",
            ({"alpha": 1e-4},),
            {**_descent(("optimal", "adaptive"), 0.3), **scale},
            # The schedule that need not be named has a rate of its own.
            needs={"eta0": "learning_rate"},
        ),
    ]


def _descent(schedules: tuple[str, ...], fastest: float) -> dict[str, Range]:
    """Return the ranges of stochastic gradient descent, of learning rates up to `fastest`."""
    return {
        "alpha": Between(1e-6, 0.1, log=True),
        "penalty": OneOf(("l2", "l1", "elasticnet")),
        "learning_rate": OneOf(schedules),
        "eta0": Between(0.001, fastest, log=True),
        "early_stopping": OneOf((False, True)),
    }


def _linear_regressors(scale: Mapping[str, Range], skewed: Mapping[str, Range]) -> list[Space]:
    starts = ({LOG_TARGET: True},) if skewed else ()
    return [
        Space("linear", ({},), skewed),
        Space("ridge", ({"alpha": 1.0}, *starts), {"alpha": Between(1e-3, 1e3, log=True), **skewed}),
        Space("lasso", ({"alpha": 0.1},), {"alpha": Between(1e-4, 10, log=True), **skewed}),
        Space(
            "elastic-net",
            ({"alpha": 0.1, "l1_ratio": 0.5},),
            {"alpha": Between(1e-4, 10, log=True), "l1_ratio": Between(0.05, 0.95), **skewed},
        ),
        Space(
            "sgd",
            ({"alpha": 1e-4, "learning_rate": "adaptive", "early_stopping": True},),
            {**_descent(("invscaling", "adaptive"), 0.1), **scale, **skewed},
        ),
    ]


def _trees(
    classes: bool, n_rows: int, encode: Mapping[str, Range], coded: Settings, skewed: Mapping[str, Range]
) -> list[Space]:
    most = Between(0.15, 1.0)
    leaf = Between(1, max(2, min(50, n_rows // 40)), log=True, whole=True)
    gini = {"criterion": OneOf(("gini", "entropy"))} if classes else {}
    share = "sqrt" if classes else 0.5
    forest = {"n_estimators": Between(50, 400, log=True, whole=True), "max_features": most, "min_samples_leaf": leaf}
    learnt = {"learning_rate": 0.1, "max_iter": 100, "max_leaf_nodes": 31, "min_samples_leaf": 20}
    small = {**learnt, "learning_rate": 0.06, "max_iter": 150, "max_leaf_nodes": 15, "l2_regularization": 1.0}
    long = {**learnt, "learning_rate": 0.06, "max_iter": 400, "l2_regularization": 1.0}
    # As many iterations as help, each of which looks at some of the columns: the best of these where there are rows
    # for it, at three times the seconds.
    longest = {"learning_rate": 0.04, "max_iter": 1200, "early_stopping": True, "n_iter_no_change": 30}
    longest |= {"max_leaf_nodes": 63, "min_samples_leaf": 5, "max_features": 0.4, "l2_regularization": 1.0}
    return [
        Space(
            "tree",
            ({"min_samples_leaf": 5},),
            {"min_samples_leaf": leaf, "ccp_alpha": Between(1e-6, 0.02, log=True), **gini, **encode, **skewed},
        ),
        Space(
            "forest",
            (
                {"n_estimators": 100, "max_features": share, "min_samples_leaf": 1, **coded},
                {"n_estimators": 100, "max_features": share, "min_samples_leaf": min(3, int(leaf.high)), **coded},
            ),
            {**forest, **gini, **encode, **skewed},
        ),
        Space(
            "extra-trees",
            (
                {"n_estimators": 100, "max_features": share, "min_samples_leaf": 1, **coded},
                {"n_estimators": 100, "max_features": share, "min_samples_leaf": min(3, int(leaf.high))},
            ),
            {**forest, **gini, **encode, **skewed},
        ),
        Space(
            "boosting",
            (longest, learnt, small) if n_rows > ROWS_TO_STOP_EARLY else (learnt, small, long),
            {
                "learning_rate": Between(0.02, 0.3, log=True),
                "max_iter": Between(40, 1200, log=True, whole=True),
                "max_leaf_nodes": Between(4, 128, log=True, whole=True),
                "min_samples_leaf": Between(2, 100, log=True, whole=True),
                "l2_regularization": Between(1e-4, 30, log=True),
                "max_features": Between(0.3, 1.0),
                **skewed,
            },
        ),
    ]


def _networks(n_rows: int, scale: Mapping[str, Range], skewed: Mapping[str, Range]) -> Space:
    """Return multi-layer perceptrons with Adam, which stop early where rows can be spared to validate on."""
    many = n_rows >= _ROWS_TO_SPARE
    stop = {"early_stopping": many, "n_iter_no_change": 6 if many else 10, "max_iter": 60 if many else 300}
    plain = {"width": 128, "alpha": 1e-3, "learning_rate_init": 1e-3, **stop}
    return Space(
        "mlp",
        (plain, {**plain, "width": 512 if many else 256, "scale": "range"}),
        {
            "width": Between(16, 1024 if many else 512, log=True, whole=True),
            "layers": OneOf((1, 2, 3)),
            "alpha": Between(1e-6, 1.0, log=True),
            "learning_rate_init": Between(3e-4, 2e-2, log=True),
            "batch_size": OneOf(("auto", 32, 64, 128, 256)),
            **{name: OneOf((value,)) for name, value in stop.items()},
            **scale,
            **skewed,
        },
    )


def is_skewed(y: Any) -> bool:
    """Tell whether a target is above -1 throughout and has a long tail to the right, so that logarithms may help."""
    values = np.asarray(y, dtype=np.float64)
    spread = values.std()
    if spread == 0 or values.min() <= -1:
        return False
    return bool((((values - values.mean()) / spread) ** 3).mean() > _SKEWNESS)
