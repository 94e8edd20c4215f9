"""Counters by version, those of all workers added up, which forget the versions that are gone.

prometheus_client's files for several processes only ever grow. A label that takes another value with every training
would make them and every scrape larger without end: 10,000 versions in four workers were 34 MB and four seconds. So
each worker writes its counters by version, as a whole, into a small file of its own beside prometheus_client's.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import orjson
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

# What each counts, and its labels beside the model and the version.
COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "maas_predictions": (
        "Requests to predict: answered (ok), rows that do not fit (invalid), a fault of the version (failed).",
        ("outcome",),
    ),
    "maas_rows": ("Rows predicted.", ()),
    "maas_prediction_seconds": ("Time that predictions took in the engine.", ()),
    "maas_shadow_requests": (
        "Requests that a shadow was asked too: same or different answer, failed to answer, or dropped unasked.",
        ("outcome",),
    ),
    "maas_shadow_rows": ("Rows that a shadow answered, the same or different.", ("method", "outcome")),
    "maas_shadow_difference": (
        "Absolute differences between a shadow's numbers and those that were sent, a row's mean, added up.",
        ("method",),
    ),
    "maas_shadow_seconds": ("Time that a shadow's engine took.", ()),
}

# A counter, the model, the version, and the values of further labels.
Series = tuple[str, str, int, tuple[str, ...]]


class VersionCounters(Collector):
    """The counters of one process, and those that its siblings have written.

    Parameters
    ----------
    folder
        Where the workers' files meet; None where there is one process.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._pid = 0
        self._counted: dict[Series, float] = {}
        self._answering: dict[str, frozenset[int]] = {}
        self._shares: dict[tuple[str, int], float] = {}

    def answering(self, name: str, versions: Collection[int]) -> None:
        """Take note of the versions of a model that requests may reach; the others are forgotten."""
        with self._lock:
            self._answering[name] = frozenset(versions)
            if not versions:
                del self._answering[name]

    def share(self, name: str, version: int, share: float) -> None:
        """Take note of the share of requests that a version of a split gets."""
        with self._lock:
            self._shares[name, version] = share

    def add(self, gathered: Mapping[Series, float]) -> None:
        """Let counters go up, and write them for the other workers to tell."""
        with self._lock:
            if self._pid != os.getpid():
                # What another process of this number has left is counted on.
                self._pid = os.getpid()
                self._counted = self._read(self._file()) if self._folder else {}
            for series, value in gathered.items():
                self._counted[series] = self._counted.get(series, 0.0) + value
            kept = {series: value for series, value in self._counted.items() if self._is_known(series)}
            if self._folder and (gathered or len(kept) < len(self._counted)):
                part = self._file().with_suffix(".part")
                part.write_bytes(orjson.dumps([[*series, value] for series, value in kept.items()]))
                part.replace(self._file())
            self._counted = kept

    def collect(self) -> Iterator[Metric]:
        """Yield the counters of all workers, and the shares as this one sees them."""
        families = {
            name: CounterMetricFamily(name, told, labels=["model", "version", *labels])
            for name, (told, labels) in COUNTERS.items()
        }
        shares = GaugeMetricFamily(
            "maas_split_share",
            "The share of the requests that name no version which a version of a split gets; 0 where it cannot answer.",
            labels=["model", "version"],
        )
        for (name, model, version, labels), value in sorted(self.summed().items()):
            families[name].add_metric([model, str(version), *labels], value)
        with self._lock:
            for (model, version), share in self._shares.items():
                if version in self._answering.get(model, ()):
                    shares.add_metric([model, str(version)], share)
        yield from families.values()
        yield shares

    def summed(self) -> dict[Series, float]:
        """Return the counters of all workers, added up."""
        with self._lock:
            summed = dict(self._counted)
            others = self._folder.glob("versions_*.json") if self._folder else []
            for path in others:
                if path != self._file():
                    for series, value in self._read(path).items():
                        summed[series] = summed.get(series, 0.0) + value
            return {series: value for series, value in summed.items() if self._is_known(series)}

    def _is_known(self, series: Series) -> bool:
        return series[2] in self._answering.get(series[1], ())

    def _file(self) -> Path:
        assert self._folder is not None  # noqa: S101  # asked only where there is one
        return self._folder / f"versions_{os.getpid()}.json"

    def _read(self, path: Path) -> dict[Series, float]:
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return {}
        return {
            (name, model, version, tuple(labels)): value
            for name, model, version, labels, value in orjson.loads(content)
        }
