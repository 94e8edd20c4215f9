"""Counters by version: those of all workers, without the versions that are gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.monitor.versions import VersionCounters


def told(counters: VersionCounters, name: str = "maas_rows_total") -> dict[str, float]:
    """The samples of a metric, by version."""
    samples = [sample for metric in counters.collect() for sample in metric.samples if sample.name == name]
    return {sample.labels["version"]: sample.value for sample in samples}


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[VersionCounters]:
    """Make the counters of a worker, which is the running one from then on."""

    class Worker(VersionCounters):
        def __init__(self, pid: int) -> None:
            super().__init__(tmp_path)
            self.number = pid
            self.run()
            self.answering("m", [1, 2])

        def run(self) -> None:
            monkeypatch.setattr(os, "getpid", lambda: self.number)

    return Worker


def test_each_worker_tells_the_sum_of_all(worker: type[VersionCounters]) -> None:
    first, second = worker(11), worker(12)
    for rows, each in ((1.0, first), (10.0, second), (100.0, first)):
        each.run()
        each.add({("maas_rows", "m", 1, ()): rows, ("maas_rows", "m", 2, ()): 1.0})
    for each in (first, second):
        each.run()
        assert told(each) == {"1": 111.0, "2": 3.0}


def test_what_a_worker_has_counted_outlives_it(worker: type[VersionCounters]) -> None:
    worker(11).add({("maas_rows", "m", 1, ()): 5.0})
    assert told(worker(12)) == {"1": 5.0}
    again = worker(11)
    again.add({("maas_rows", "m", 1, ()): 2.0})
    assert told(again) == {"1": 7.0}


def test_versions_that_are_gone_are_forgotten_here_and_in_the_files(
    worker: type[VersionCounters], tmp_path: Path
) -> None:
    dead, counters = worker(11), worker(12)
    dead.run()
    dead.add({("maas_rows", "m", 1, ()): 5.0})
    counters.run()
    sizes = []
    for version in range(1, 200):
        counters.answering("m", [version, version - 1])
        counters.add({("maas_rows", "m", version, ()): 1.0})
        sizes.append((tmp_path / "versions_12.json").stat().st_size)
    assert told(counters) == {"198": 1.0, "199": 1.0}
    assert max(sizes) < 100
    counters.answering("m", [])
    assert told(counters) == {}


def test_a_share_is_told_while_its_version_is_there() -> None:
    counters = VersionCounters(None)
    counters.answering("m", [1, 2])
    counters.share("m", 2, 0.1)
    assert told(counters, "maas_split_share") == {"2": 0.1}
    counters.answering("m", [1])
    assert told(counters, "maas_split_share") == {}
