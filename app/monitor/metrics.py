"""Prometheus metrics of all workers together.

With several workers prometheus_client needs ``PROMETHEUS_MULTIPROC_DIR`` to be set before it is imported;
``gunicorn.conf.py`` does so. In a single process (tests, ``flask run``) it works without.
"""

from __future__ import annotations

import bisect
import os
import threading
import time
from collections.abc import Collection, Container, Iterator
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from app.monitor.totals import totals
from app.monitor.versions import Series, VersionCounters

CONTENT_TYPE = CONTENT_TYPE_LATEST

# A model's name and a version.
Key = tuple[str, int]

FLUSH_SECONDS = 1.0
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class _Gathered:
    """Counts that wait to be written: answers by route and status, seconds by route, and what counters go up by.

    `predicted` holds requests, rows and seconds by model and version; `counts` values by counter and labels.
    """

    def __init__(self) -> None:
        self.answered: dict[tuple[str, int], int] = {}
        self.seconds: dict[str, list[Any]] = {}
        self.predicted: dict[Key, list[Any]] = {}
        self.counts: dict[Series, float] = {}

    def count(self, counter: str, key: Key, value: float, *labels: str) -> None:
        """Let a counter by version go up."""
        if value:
            series = (counter, *key, labels)
            self.counts[series] = self.counts.get(series, 0.0) + value


class Metrics:
    """The service's metrics; also the observer of the live models.

    What requests add up to is gathered in memory and written every :data:`FLUSH_SECONDS`: written one by
    one, a request's four values in files shared by the workers would cost more than parsing it.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter("maas_requests", "Requests answered.", ["route", "status"], registry=self._registry)
        self._seconds = Histogram(
            "maas_request_duration_seconds",
            "Time from the request's last byte to the answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        self._versions = VersionCounters(Path(folder) if folder else None)
        self._in_flight = Gauge(
            "maas_requests_in_flight", "Requests being answered.", registry=self._registry, multiprocess_mode="livesum"
        )
        self._loads = Counter(
            "maas_model_loads",
            "Versions loaded or refused, by all workers.",
            ["model", "outcome"],
            registry=self._registry,
        )
        self._fallbacks = Counter(
            "maas_engine_fallbacks",
            "Chosen forms that could not be built, so that scikit-learn answers in their place, by all workers.",
            ["model", "form"],
            registry=self._registry,
        )
        self._version = Gauge(
            "maas_model_version",
            "The version that answers for a model.",
            ["model"],
            registry=self._registry,
            multiprocess_mode="livemostrecent",
        )
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._gathered = _Gathered()
        self._asking = 0

    def start(self) -> None:
        """Start to write what was gathered, in a thread that ends with the process."""
        threading.Thread(target=self._flush_on_and_on, name="metrics-writer", daemon=True).start()

    def _flush_on_and_on(self) -> None:
        while True:
            time.sleep(FLUSH_SECONDS)
            self.flush()

    def flush(self) -> None:
        """Write what was gathered since the last time; once it returns, whatever was gathered before is written."""
        with self._writing:
            self._write()

    def _write(self) -> None:
        with self._lock:
            gathered, self._gathered = self._gathered, _Gathered()
            self._in_flight.set(self._asking)
        for (route, status), count in gathered.answered.items():
            self._requests.labels(route, str(status)).inc(count)
        for key, (requests, rows, seconds) in gathered.predicted.items():
            gathered.count("maas_predictions", key, requests, "ok")
            gathered.count("maas_rows", key, rows)
            gathered.count("maas_prediction_seconds", key, seconds)
        self._versions.add(gathered.counts)
        for route, (total, buckets) in gathered.seconds.items():
            child = self._seconds.labels(route)
            # prometheus_client observes one value at a time; these are the values behind.
            child._sum.inc(total)
            for bucket, count in enumerate(buckets):
                if count:
                    child._buckets[bucket].inc(count)

    def request_started(self) -> float:
        """Count a request in; returns the moment to hand to :meth:`request_ended`."""
        with self._lock:
            self._asking += 1
        return time.perf_counter()

    def request_ended(self, route: str, status: int, started: float) -> None:
        """Count a request out."""
        seconds = time.perf_counter() - started
        bucket = bisect.bisect_left(_SECONDS, seconds)
        with self._lock:
            self._asking -= 1
            gathered = self._gathered
            answered = (route, status)
            gathered.answered[answered] = gathered.answered.get(answered, 0) + 1
            timed = gathered.seconds.get(route)
            if timed is None:
                timed = gathered.seconds[route] = [0.0, [0] * (len(_SECONDS) + 1)]
            timed[0] += seconds
            timed[1][bucket] += 1

    def predicted(self, key: Key, requests: int, rows: int, seconds: float) -> None:
        """Count the requests that were answered together, their rows, and the seconds that the engine took."""
        with self._lock:
            told = self._gathered.predicted.get(key)
            if told is None:
                told = self._gathered.predicted[key] = [0, 0, 0.0]
            told[0] += requests
            told[1] += rows
            told[2] += seconds

    def predicted_in_vain(self, key: Key, outcome: str) -> None:
        """Count a request that a version has not answered: ``invalid`` or ``failed``."""
        with self._lock:
            self._gathered.count("maas_predictions", key, 1, outcome)

    def shadow_compared(
        self, key: Key, method: str, requests: tuple[int, int], rows: tuple[int, int], difference: float
    ) -> None:
        """Count requests that a shadow answered, and their rows, as (all, different); and how far numbers differ."""
        with self._lock:
            count = self._gathered.count
            count("maas_shadow_requests", key, requests[0] - requests[1], "same")
            count("maas_shadow_requests", key, requests[1], "different")
            count("maas_shadow_rows", key, rows[0] - rows[1], method, "same")
            count("maas_shadow_rows", key, rows[1], method, "different")
            count("maas_shadow_difference", key, difference, method)

    def shadow_lost(self, key: Key, outcome: str) -> None:
        """Count a request that a shadow has not answered: ``failed``, or ``dropped`` unasked."""
        with self._lock:
            self._gathered.count("maas_shadow_requests", key, 1, outcome)

    def shadow_took(self, key: Key, seconds: float) -> None:
        """Count the seconds of a shadow's engine."""
        with self._lock:
            self._gathered.count("maas_shadow_seconds", key, seconds)

    def model_loaded(self, name: str, version: int) -> None:
        """Count a load."""
        self._loads.labels(name, "loaded").inc()

    def model_refused(self, name: str, version: int) -> None:
        """Count a refusal."""
        self._loads.labels(name, "refused").inc()

    def engine_fell_back(self, name: str, form: str) -> None:
        """Count a form that could not be built."""
        self._fallbacks.labels(name, form).inc()

    def model_serving(self, name: str, version: int) -> None:
        """Show the version that answers."""
        self._version.labels(name).set(version)

    def model_gone(self, name: str) -> None:
        """Show that none answers: version 0."""
        self._version.labels(name).set(0)

    def model_answering(self, name: str, versions: Collection[int]) -> None:
        """Tell these versions' counters, and forget those of others."""
        self._versions.answering(name, versions)

    def model_split(self, name: str, version: int, share: float) -> None:
        """Show the share of requests that a version of a split gets."""
        self._versions.share(name, version, share)

    def exposition(self) -> bytes:
        """Return the metrics of all workers in Prometheus' text format."""
        registries = (self._of_all_workers(), _registry_of(self._versions), _registry_of(_Processes()))
        return b"".join(map(generate_latest, registries))

    def totals(self, routes: Container[str]) -> dict[str, Any]:
        """Return what all workers have counted of requests to `routes`, in few numbers: see :func:`totals.totals`."""
        return totals(self._of_all_workers().collect(), self._versions.summed(), routes)

    def _of_all_workers(self) -> CollectorRegistry:
        """Return the registry of what all workers have counted, whatever this one gathered included."""
        self.flush()
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return self._registry
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return registry


def worker_ended(pid: int) -> None:
    """Forget the gauges of a worker that is no more; its counters stay counted."""
    multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _registry_of(collector: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(collector)
    return registry


class _Processes(Collector):
    """Memory and processor time of gunicorn's master and of each worker, from Linux' ``/proc``."""

    def collect(self) -> Iterator[Metric]:
        memory = GaugeMetricFamily(
            "maas_process_resident_memory_bytes", "Resident memory of a process.", labels=["pid", "role"]
        )
        seconds = CounterMetricFamily(
            "maas_process_cpu_seconds", "Processor time of a process, user and system.", labels=["pid", "role"]
        )
        for pid, role in _family():
            try:
                stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            except (OSError, IndexError):
                continue
            memory.add_metric([str(pid), role], pages * os.sysconf("SC_PAGE_SIZE"))
            # proc(5): fields 14 and 15, utime and stime; the list starts at field 3.
            seconds.add_metric([str(pid), role], (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"))
        yield memory
        yield seconds


def _family() -> list[tuple[int, str]]:
    """Return this process, or gunicorn's master and all of its workers, with their roles."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return [(os.getpid(), "worker")]
    master = os.getppid()
    try:
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    except OSError:
        return [(os.getpid(), "worker")]
    return [(master, "master"), *((int(pid), "worker") for pid in children)]
