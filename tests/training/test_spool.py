"""Rows of a large table are in a file, and out of memory while boosting is fitted."""

from __future__ import annotations

import gc
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from app.training import spool
from app.training.fitting import Fitter
from app.training.options import Options
from app.training.problem import frame_problem, mark_table
from app.training.recipes import RECIPES
from app.training.reference import summarise_columns
from app.training.split import split_rows
from app.training.table import Table

SMAPS = Path("/proc/self/smaps")
# Enough for boosting to stop early.
N = 15_000

on_linux = pytest.mark.skipif(not SMAPS.exists(), reason="Linux tells what of a file is in memory")


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every table for a large one."""
    monkeypatch.setattr(spool, "_LARGE", 0)


@pytest.fixture
def frame() -> pd.DataFrame:
    chance = np.random.default_rng(0)
    frame = pd.DataFrame({f"n{index}": chance.normal(size=N) for index in range(4)})
    return frame.assign(
        flag=chance.random(N) < 0.5,
        count=chance.integers(0, 1000, N),
        day=pd.Timestamp("2024-01-01") + pd.to_timedelta(chance.integers(0, 500, N), unit="D"),
        city=pd.Series(chance.choice(["Köln", "Bonn"], N), dtype="str").where(chance.random(N) < 0.9),
        bought=np.where(frame["n0"] + chance.normal(size=N) > 0, "yes", "no"),
    )


def mapping_of(array: np.ndarray[Any, Any]) -> tuple[bool, int]:
    """Tell of the memory that an array begins in whether it is a file's, and how much of it is there, in KiB."""
    place = array.__array_interface__["data"][0]
    for part in re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", SMAPS.read_text(), flags=re.MULTILINE)[1:]:
        begin, end = (int(side, 16) for side in part.split(" ", 1)[0].split("-"))
        if begin <= place < end:
            resident = re.search(r"^Rss: +(\d+) kB", part, re.MULTILINE)
            assert resident
            return "(deleted)" in part.splitlines()[0], int(resident[1])
    raise AssertionError("an array is somewhere")


def plain_columns(rows: Any) -> list[np.ndarray[Any, Any]]:
    if isinstance(rows, np.ndarray):
        return [rows]
    return [rows[name].to_numpy() for name in rows if isinstance(rows[name].dtype, np.dtype)]


@pytest.mark.usefixtures("large")
def test_rows_in_a_file_are_the_same_rows(frame: pd.DataFrame) -> None:
    spooled = spool.spool(frame)
    assert isinstance(spooled, pd.DataFrame)
    pd.testing.assert_frame_equal(spooled, frame)
    spooled.loc[0, "n1"] = 7.0
    spool.let_go()
    pd.testing.assert_frame_equal(spooled.drop(index=0), frame.drop(index=0))
    assert spooled["n1"][0] == 7.0
    numbers = frame[["n0", "n1"]].to_numpy()
    for array in (numbers, np.asfortranarray(numbers)):
        np.testing.assert_array_equal(spool.spool(array), numbers)


@pytest.mark.usefixtures("large")
def test_the_file_goes_with_the_rows(frame: pd.DataFrame) -> None:
    gc.collect()
    before = len(spool._spooled)
    spooled = spool.spool(frame)
    assert len(spool._spooled) == before + 1
    del spooled
    gc.collect()
    assert len(spool._spooled) == before


def test_few_rows_texts_and_rows_without_room_for_a_file_stay_where_they_are(
    frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    numbers = frame[["n0", "n1"]].to_numpy()
    assert spool.spool(numbers) is numbers
    monkeypatch.setattr(spool, "_LARGE", 0)
    texts = ["a", "b"]
    assert spool.spool(texts) is texts
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    assert spool.spool(numbers) is numbers
    pd.testing.assert_frame_equal(spool.spool(frame), frame)


@on_linux
@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("names", [["n0", "n1"], ["n0", "flag", "count", "day", "city"]])
def test_both_sides_of_a_split_are_parts_of_the_file(frame: pd.DataFrame, names: list[str]) -> None:
    problem, split = split_rows(frame_problem(mark_table(Table(frame[[*names, "bought"]], "t"), None, None)), 0.2, 42)
    for rows in (problem.X, split.X_train, split.X_test):
        assert all(mapping_of(column)[0] for column in plain_columns(rows))


@on_linux
def test_rows_are_out_of_memory_while_boosting_is_fitted_and_come_to_the_same(
    frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(store=tmp_path, estimator="boosting")
    table = mark_table(Table(frame, "t"), None, None)
    fit = HistGradientBoostingClassifier.fit
    told = []
    for large in (0, 1 << 40):
        monkeypatch.setattr(spool, "_LARGE", large)
        problem, split = split_rows(frame_problem(table), 0.2, 42)
        seen: list[set[tuple[bool, int]]] = []

        def look(self: Any, *rows: Any, X: Any = problem.X, seen: Any = seen, **more: Any) -> Any:
            seen.append({mapping_of(column) for column in plain_columns(X)})
            return fit(self.set_params(max_iter=5), *rows, **more)

        monkeypatch.setattr(HistGradientBoostingClassifier, "fit", look)
        fitter = Fitter(RECIPES["table"], options, print)
        model = fitter.fit(RECIPES["table"].build(problem, options, len(split.y_train)), split.X_train, split.y_train)
        assert seen == [{(True, 0)}] if large == 0 else not any(filed for filed, _ in seen[0])
        told.append((model.predict_proba(split.X_test).tolist(), summarise_columns(split.X_train, problem)))
    assert told[0] == told[1]
