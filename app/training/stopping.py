"""Boosting that stops early, without a copy of all rows for that."""

from __future__ import annotations

from typing import Any

from app.memory import return_free_memory
from app.training.problem import Rows, Target
from app.training.spool import let_go

# scikit-learn's "auto" stops early where there are more rows, not counting those that were set aside for it.
_MOST_WITHOUT = 10_000


def stops_early(model: Any, n_rows: int) -> bool:
    """Tell whether the pipeline ends with boosting that would set rows aside to stop early by, of those prepared."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    if not hasattr(model, "steps"):
        return False
    boosting = isinstance(model[-1], HistGradientBoostingClassifier | HistGradientBoostingRegressor)
    if not boosting or len(model) == 1 or model[-1].early_stopping != "auto" or not model[-1].validation_fraction:
        return False
    return bool(n_rows * (1 - model[-1].validation_fraction) > _MOST_WITHOUT + 1)


def fit_setting_aside(model: Any, X: Rows, y: Target) -> None:
    """Fit the pipeline in place, setting the rows aside that boosting stops early by.

    Boosting does so itself, by the same function and share, but while it and the pipeline hold the prepared rows
    whole: of a million rows these would be in memory three times. Those that they were made of, where they are in a
    file, are out of memory meanwhile.
    """
    from sklearn.base import is_classifier
    from sklearn.model_selection import train_test_split

    boosting = model[-1]
    prepared = model[:-1].fit_transform(X, y)
    let_go()
    parts = train_test_split(
        prepared,
        y,
        test_size=boosting.validation_fraction,
        stratify=y if is_classifier(boosting) else None,
        random_state=boosting.random_state,
    )
    del prepared
    return_free_memory()
    X_fit, X_aside, y_fit, y_aside = parts
    boosting.fit(X_fit, y_fit, X_val=X_aside, y_val=y_aside)
