"""Data sets by name -> a Table."""

from __future__ import annotations

import warnings
from typing import Any

import pandas as pd

from app.training.errors import TrainingError
from app.training.normalise import normalise_frame
from app.training.table import Table

BUNDLED = ("iris", "digits", "wine", "breast_cancer", "diabetes")
_OPENML = "openml:"


def read_dataset(name: str) -> Table:
    """Return one of scikit-learn's bundled data sets, or ``openml:NAME`` fetched over the network.

    Raises
    ------
    TrainingError
        An unknown name, or OpenML cannot be reached.
    """
    if name.startswith(_OPENML):
        return _fetch(name.removeprefix(_OPENML), name)
    if name not in BUNDLED:
        raise TrainingError(f"there is no data set {name!r}; there are {', '.join(BUNDLED)} and openml:NAME")
    from sklearn import datasets

    loaded = getattr(datasets, f"load_{name}")(as_frame=True)
    return _as_table(loaded, name)


def _fetch(name: str, source: str) -> Table:
    from sklearn.datasets import fetch_openml

    try:
        with warnings.catch_warnings():
            # It warns of each failed attempt, and of several versions under one name.
            warnings.simplefilter("ignore")
            loaded = fetch_openml(name, version="active", as_frame=True, parser="auto", n_retries=1, delay=0.5)
    except OSError as fault:
        raise TrainingError(
            f"{source}: OpenML cannot be reached ({fault}); check the network, or give a file with --data"
        ) from fault
    except ValueError as fault:
        raise TrainingError(f"{source}: {fault}".splitlines()[0]) from fault
    if loaded.target is None or isinstance(loaded.target, pd.DataFrame):
        raise TrainingError(f"{source}: has no single target; download it and name one with --data and --target")
    return _as_table(loaded, source)


def _as_table(loaded: Any, source: str) -> Table:
    target = str(loaded.target.name)
    frame = pd.concat([loaded.data, loaded.target], axis=1)
    return Table(normalise_frame(frame, source), source, target=target)
