"""Classes that weigh the same in fitting, however many rows each has (``--balance``)."""

from __future__ import annotations

from typing import Any

from app.training.errors import TrainingError
from app.training.options import Options
from app.training.problem import Problem, Target


def balance_classes(model: Any, problem: Problem) -> str:
    """Set the estimator of an unfitted pipeline to weigh classes the same, and say how it does.

    Raises
    ------
    TrainingError
        A regression, or an estimator that takes no weights.
    """
    from sklearn.utils.validation import has_fit_parameter

    if problem.task == "regression":
        raise TrainingError(f"--balance is for classes, and the target {problem.target!r} is a quantity; leave it out")
    final = model[-1]
    if "class_weight" in final.get_params():
        already = final.class_weight == "balanced"
        final.set_params(class_weight="balanced")
        return f"{type(final).__name__} weighs each class the same{', as it does anyway' if already else ''}"
    if not has_fit_parameter(final, "sample_weight"):
        raise TrainingError(
            f"{type(final).__name__} takes no weights, so --balance can do nothing for it; "
            "leave it out or choose another --estimator"
        )
    return f"each row weighs as little as its class is frequent, in fitting {type(final).__name__}"


def row_weights(model: Any, y: Target, options: Options) -> dict[str, Any]:
    """Return what the estimator's ``fit`` is to be given besides: the rows' weights, where they are asked for."""
    from sklearn.utils.class_weight import compute_sample_weight

    if not options.balance or "class_weight" in model[-1].get_params():
        return {}
    return {"sample_weight": compute_sample_weight("balanced", y)}
