"""Boosting that stops early, without a copy of all rows for that."""

from __future__ import annotations

from typing import Any

from app.memory import return_free_memory
from app.training.problem import Rows, Target
from app.training.spool import let_go

# scikit-learn's "auto" stops early where there are more rows, not counting those that were set aside for it.
ROWS_TO_STOP_EARLY = 10_000


def stops_early(model: Any, n_rows: int) -> bool:
    """Tell whether the pipeline ends with boosting that would set rows aside to stop early by, of those prepared."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    if not hasattr(model, "steps"):
        return False
    boosting = model[-1]
    if not isinstance(boosting, HistGradientBoostingClassifier | HistGradientBoostingRegressor) or len(model) == 1:
        return False
    if not boosting.validation_fraction:
        return False
    if boosting.early_stopping == "auto":
        return bool(n_rows * (1 - boosting.validation_fraction) > ROWS_TO_STOP_EARLY + 1)
    return bool(boosting.early_stopping)


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
