"""Forms of estimators that take a matrix of numbers: a front of replayed steps, then a final estimator's form."""

from __future__ import annotations

from typing import Any

from app.engines.base import Form


def final_forms(estimator: Any) -> list[Form]:
    """Return the forms of an estimator without its front; its kernels take a float64 matrix (n, n_features).

    Empty where there is none. A form for single rows (``rows == "one"``) comes before one for several.
    """
    return []
