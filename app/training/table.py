"""The table that every reader makes and every later stage takes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from app.training.marks import Marks


@dataclass(frozen=True)
class Table:
    """Rows as they were read.

    Attributes
    ----------
    frame: one column per feature, and the target; normalised dtypes (see ``normalise.normalise_frame``).
    source: the file's name or the data set's, for people.
    sha256: hex digest of the file's bytes; None for a data set.
    named: whether the column names came with the data rather than being made up here.
    target: the target column's name, where the format says it.
    n_held_out: how many of the last rows are the data's own test split; 0 where it has none.
    marks: what decides on which side of a split each row falls; None until it was asked for.
    notes: what was found on the way that the user should know, one line each.
    """

    frame: pd.DataFrame
    source: str
    sha256: str | None = None
    named: bool = True
    target: str | None = None
    n_held_out: int = 0
    marks: Marks | None = None
    notes: tuple[str, ...] = ()

    def without_rows(self) -> Table:
        """Return what else is known of the table, so that its rows can be freed."""
        return replace(self, frame=self.frame.iloc[:0].copy(), marks=None)
