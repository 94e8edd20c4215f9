"""A training on a million rows: how much memory it takes, beside the data, and how long."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.limits import Ratio
from benchmarks.peers import ROOT

ROWS = 1_000_000
_MB = 1e6
_FLAGGED, _MISSING = 0.3, 0.05


def million(rows: int = ROWS) -> Iterator[Ratio]:
    """Train boosting on `rows` x 20 columns of mixed kinds by the command; yield its peak memory and its time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "million.csv"
        table = make_table(rows)
        table.to_csv(path, index=False)
        parsed = float(table.memory_usage(deep=True).sum())
        del table
        command = [sys.executable, str(ROOT / "scripts" / "train.py"), "--data", str(path), "--estimator", "boosting"]
        begun = time.monotonic()
        process = subprocess.Popen(command, env=os.environ | {"MODEL_STORE": folder}, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
        # Linux counts in KiB, macOS in bytes.
        peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        yield Ratio("peak memory beside the parsed table", peak / _MB, parsed / _MB, "MB")
        yield Ratio("peak memory beside the CSV file", peak / _MB, path.stat().st_size / _MB, "MB")
        wall, cpu = time.monotonic() - begun, used.ru_utime + used.ru_stime
        yield Ratio("seconds beside those of one core", wall, cpu, "s")


def make_table(rows: int) -> pd.DataFrame:
    """Return 13 fractions, 2 counts, 3 categories, a boolean and a target of two classes; some values are missing."""
    chance = np.random.default_rng(0)
    numbers = {f"n{index}": chance.normal(size=rows).round(6) for index in range(12)}
    table = pd.DataFrame(numbers).assign(
        price=chance.exponential(100, rows),
        visits=chance.integers(0, 1000, rows),
        steps=chance.integers(0, 1_000_000, rows),
        city=chance.choice(["Köln", "Bonn", "Trier", "Aachen", "Essen"], rows),
        colour=chance.choice(["red", "green", "blue"], rows),
        code=chance.choice([f"c{number:03}" for number in range(150)], rows),
        flag=chance.random(rows) < _FLAGGED,
    )
    score = table["n0"] + table["n1"] * table["n2"] + (table["city"] == "Bonn") + chance.normal(size=rows)
    table.loc[chance.random(rows) < _MISSING, "n3"] = np.nan
    return table.assign(bought=np.where(score > 0, "yes", "no"))
