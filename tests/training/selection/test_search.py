"""Searches for real: processes, a journal on the disk, finalists that are measured and one that is saved."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from app import store
from app.training.errors import TrainingError
from app.training.metrics import find_metric
from app.training.problem import Problem, frame_problem
from app.training.selection import Found, Limits, Watcher, Wish, finals, select
from app.training.selection.journal import FILE
from app.training.selection.plan import Plan, Result
from app.training.split import Split
from app.training.table import Table

ROOT = Path(__file__).parents[3]
TRIALS = 9
Searching = Callable[..., Found]


@pytest.fixture(scope="module")
def rows() -> tuple[Problem, Split]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"]).assign(
        kind=rng.choice(["u", "v", "w"], 90), y=np.where(x[:, 0] + x[:, 1] > 0, "yes", "no")
    )
    problem = frame_problem(Table(frame.astype({"kind": "str", "y": "str"}), "made"), "y")
    X = problem.X
    assert isinstance(X, pd.DataFrame)
    return problem, Split(X[:72], X[72:].reset_index(drop=True), problem.y[:72], problem.y[72:])


def wish(**changed: Any) -> Wish:
    plain = Wish(find_metric("accuracy", "classification"), None, TRIALS, 2, 0, Limits())
    return replace(plain, **changed)


@pytest.fixture(scope="module")
def searching(rows: tuple[Problem, Split]) -> Searching:
    def search(folder: Path, watcher: Watcher | None = None, **changed: Any) -> Found:
        return select(*rows, wish(**changed), folder=folder, about={}, watcher=watcher or Watcher())

    return search


@pytest.fixture(scope="module")
def found(searching: Searching, tmp_path_factory: pytest.TempPathFactory) -> Found:
    return searching(tmp_path_factory.mktemp("search") / "m")


def test_the_chosen_model_is_fitted_and_better_than_a_guess(found: Found, rows: tuple[Problem, Split]) -> None:
    split = rows[1]
    assert (found.model.predict(split.X_test) == split.y_test).mean() > 0.7
    assert found.told["trials"] == TRIALS


def test_each_finalist_is_measured_as_it_would_be_served(found: Found) -> None:
    finalists = found.told["finalists"]
    assert len({told["family"] for told in finalists}) >= 3
    for told in finalists:
        assert min(told["latency_many_ms"], told["latency_one_ms"]) > 0
        assert told["size_mb"] > 0
        assert told["fit_seconds"] > 0
        assert told["energy_joules"] == pytest.approx(8 * told["cpu_seconds"], rel=1e-3)
    assert sum(told["chosen"] for told in finalists) == 1
    assert any(told["on_frontier"] for told in finalists)
    # Without a limit of time all were tried on as much before they were compared, but for what was given up.
    most = max(told["folds"] for told in finalists)
    assert all(told["folds"] == most or "behind on 2 folds" in told["why_not"] for told in finalists)
    assert [told["why_not"] is None for told in finalists] == [told["chosen"] for told in finalists]
    assert json.loads(json.dumps(found.told, allow_nan=False)) == found.told


def test_the_journal_goes_with_the_search(found: Found, searching: Searching, tmp_path: Path) -> None:
    assert found.candidate
    with pytest.raises(TrainingError, match="there is no search of this model to go on with"):
        searching(tmp_path, resume=True)


def test_the_same_trials_find_the_same_model_whatever_is_tried_side_by_side(
    found: Found, searching: Searching, tmp_path: Path, rows: tuple[Problem, Split]
) -> None:
    again = searching(tmp_path, jobs=1)
    assert again.candidate == found.candidate
    assert [told["score"] for told in again.told["candidates"]] == [told["score"] for told in found.told["candidates"]]
    ours, theirs = (each.model.predict_proba(rows[0].X) for each in (found, again))
    assert np.array_equal(ours, theirs)


class Impatient(Watcher):
    """Ends the process's search as a user at a terminal would, after so many results."""

    def __init__(self, patience: int) -> None:
        self.patience = patience

    def tried(self, plan: Plan, result: Result, left: float | None) -> None:
        if len(plan.results) == self.patience:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_takes_the_best_so_far(searching: Searching, tmp_path: Path, rows: tuple[Problem, Split]) -> None:
    found = searching(tmp_path, Impatient(4))
    assert found.told["ended"].startswith("stopped after")
    assert 4 <= found.told["trials"] < TRIALS
    assert found.told["notes"] == ["no blend of the best is among the finalists: the search was stopped"]
    assert len(found.model.predict(rows[1].X_test)) == len(rows[1].y_test)


class Listener(Watcher):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def noted(self, note: str) -> None:
        self.notes.append(note)


def test_where_nothing_else_was_tried_the_dummy_is_the_best_so_far(searching: Searching, tmp_path: Path) -> None:
    listener = Listener()
    found = searching(tmp_path, listener, trials=1, max_loss=0.01)
    assert found.candidate.family == "dummy"
    assert listener.notes == found.told["notes"]
    assert listener.notes == [
        "no blend of the best is among the finalists: there are no two families that are worth a blend",
        "there is nothing to compress in a model of the family dummy",
    ]


def test_limits_hold_for_the_dummy_too(searching: Searching, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no finalist is within the limits; the nearest, dummy"):
        searching(tmp_path, trials=1, limits=Limits(max_latency_ms=1e-6))


def test_a_store_that_cannot_be_written_is_told_in_one_line(searching: Searching, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=r"the model store .*file cannot be written: Not a directory"):
        searching(tmp_path / "file" / "m")


def wait_for_processes(process: subprocess.Popen[str]) -> None:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while not children.read_text().split():
        assert process.poll() is None


def wait_for_the_search(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert any(line.startswith("searching by accuracy") for line in process.stdout)


@pytest.mark.parametrize(
    ("wait", "said"),
    [(wait_for_processes, "Aborted!"), (wait_for_the_search, "stopped")],
    ids=["at once", "in the search"],
)
def test_ctrl_c_while_processes_start_is_clean(
    wait: Callable[[subprocess.Popen[str]], None], said: str, tmp_path: Path
) -> None:
    command = [sys.executable, "scripts/train.py", "--dataset", "wine", "--search", "--budget", "60s", "--no-report"]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"MODEL_STORE": str(tmp_path), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    wait(process)
    # As a terminal does: every process is told.
    os.killpg(process.pid, signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert "Traceback" not in printed
    assert said in printed


def test_no_finalist_within_the_limits_is_an_error_that_names_the_nearest(searching: Searching, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no finalist is within the limits; the nearest, .*more than 1e-06"):
        searching(tmp_path, trials=3, limits=Limits(max_latency_ms=1e-6))


def test_where_no_finalist_is_within_the_limits_other_families_follow_until_one_is(
    rows: tuple[Problem, Split], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finals, "FINALISTS", 2)
    problem, split = rows
    # Of these classes trees know most, and many of them are large.
    y, y_test = (np.where(X["a"] * X["b"] > 0, "yes", "no").astype(object) for X in (split.X_train, split.X_test))
    split = replace(split, y_train=y, y_test=y_test)
    small = Limits(max_size_mb=0.02)
    within = select(problem, split, wish(limits=small), folder=tmp_path, about={}, watcher=Watcher())
    *refused, chosen = within.finalists
    assert len(refused) >= 2
    assert all(finalist.refused and "MB" in finalist.refused for finalist in refused)
    assert (chosen.refused, chosen.candidate) == (None, within.candidate)


SCRIPT = """
import sys, os, signal
from app.training.selection import Watcher
from app.training.selection.plan import Plan, Result
from app.training.progress import Progress, SearchProgress

class Killed(SearchProgress):
    def tried(self, plan, result, left):
        if len(plan.results) == 5:
            os.kill(os.getpid(), signal.SIGKILL)

import app.training.progress
app.training.progress.SearchProgress = Killed
sys.argv = ["scripts/train.py", *sys.argv[1:]]
sys.path.insert(0, "scripts")
import runpy
if __name__ == "__main__":
    runpy.run_path("scripts/train.py", run_name="__main__")
"""


def test_a_killed_search_goes_on_where_it_was(rows: tuple[Problem, Split], tmp_path: Path) -> None:
    frame = rows[0].X
    assert isinstance(frame, pd.DataFrame)
    frame.assign(y=rows[0].y).to_csv(tmp_path / "made.csv", index=False)
    (tmp_path / "killed.py").write_text(SCRIPT)
    options = ["--data", str(tmp_path / "made.csv"), "--target", "y", "--search", "--trials", "7"]
    environ = {"PATH": os.environ["PATH"], "MODEL_STORE": str(tmp_path / "models"), "PYTHONPATH": str(ROOT)}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command, *options], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
        )

    killed = run(str(tmp_path / "killed.py"))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    known = len((tmp_path / "models" / "made" / FILE).read_text().splitlines()) - 1
    assert known >= 5
    options.append("--resume")
    done = run("scripts/train.py")
    assert done.returncode == 0, done.stderr
    assert f"{known} results from before" in done.stdout
    assert "all 7 trials are done" in done.stdout
    assert "leaked" not in done.stderr
    assert store.load("made", root=tmp_path / "models").manifest.version == 1
    assert not (tmp_path / "models" / "made" / FILE).exists()
