"""Prometheus metrics of all workers together.

With several workers prometheus_client needs ``PROMETHEUS_MULTIPROC_DIR`` to be set before it is imported;
``gunicorn.conf.py`` does so. In a single process (tests, ``flask run``) it works without.
"""

from __future__ import annotations

import bisect
import os
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

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
        self.counts: dict[tuple[Counter, tuple[str, ...]], float] = {}

    def count(self, counter: Counter, labels: tuple[str, ...], value: float) -> None:
        """Let a counter go up."""
        key = (counter, labels)
        self.counts[key] = self.counts.get(key, 0) + value


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
        self._predictions = self._counter(
            "maas_predictions",
            "Requests to predict: answered (ok), rows that do not fit (invalid), a fault of the version (failed).",
            "outcome",
        )
        self._rows = self._counter("maas_rows", "Rows predicted.")
        self._engine_seconds = self._counter("maas_prediction_seconds", "Time that the predictions took in the engine.")
        self._shadows = self._counter(
            "maas_shadow_requests",
            "Requests that a shadow was asked too: same or different answer, failed to answer, or dropped unasked.",
            "outcome",
        )
        self._shadow_rows = self._counter(
            "maas_shadow_rows", "Rows that a shadow answered, the same or different.", "method", "outcome"
        )
        self._shadow_difference = self._counter(
            "maas_shadow_difference",
            "Absolute differences between a shadow's numbers and those that were sent, a row's mean, added up.",
            "method",
        )
        self._shadow_seconds = self._counter("maas_shadow_seconds", "Time that a shadow's engine took.")
        self._share = Gauge(
            "maas_split_share",
            "The share of the requests that name no version which a version of a split gets; 0 where it cannot answer.",
            ["model", "version"],
            registry=self._registry,
            multiprocess_mode="livemostrecent",
        )
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

    def _counter(self, name: str, told: str, *labels: str) -> Counter:
        """Make a counter by model, version and `labels`."""
        return Counter(name, told, ["model", "version", *labels], registry=self._registry)

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
        for (model, version), (requests, rows, seconds) in gathered.predicted.items():
            if requests:
                self._predictions.labels(model, version, "ok").inc(requests)
            self._rows.labels(model, version).inc(rows)
            self._engine_seconds.labels(model, version).inc(seconds)
        for (counter, labels), value in gathered.counts.items():
            counter.labels(*labels).inc(value)
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
            self._gathered.count(self._predictions, (key[0], str(key[1]), outcome), 1)

    def shadow_compared(
        self, key: Key, method: str, requests: tuple[int, int], rows: tuple[int, int], difference: float
    ) -> None:
        """Count requests that a shadow answered, and their rows, as (all, different); and how far numbers differ."""
        labels = (key[0], str(key[1]))
        with self._lock:
            count = self._gathered.count
            count(self._shadows, (*labels, "same"), requests[0] - requests[1])
            count(self._shadows, (*labels, "different"), requests[1])
            count(self._shadow_rows, (*labels, method, "same"), rows[0] - rows[1])
            count(self._shadow_rows, (*labels, method, "different"), rows[1])
            count(self._shadow_difference, (*labels, method), difference)

    def shadow_lost(self, key: Key, outcome: str) -> None:
        """Count a request that a shadow has not answered: ``failed``, or ``dropped`` unasked."""
        with self._lock:
            self._gathered.count(self._shadows, (key[0], str(key[1]), outcome), 1)

    def shadow_took(self, key: Key, seconds: float) -> None:
        """Count the seconds of a shadow's engine."""
        with self._lock:
            self._gathered.count(self._shadow_seconds, (key[0], str(key[1])), seconds)

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

    def model_split(self, name: str, version: int, share: float) -> None:
        """Show the share of requests that a version of a split gets."""
        self._share.labels(name, version).set(share)

    def exposition(self, answering: Mapping[str, Collection[int]]) -> bytes:
        """Return the metrics of all workers in Prometheus' text format.

        Of the series by version those of versions that are `answering` (by model) are told. The others stay where
        the workers' counts meet, which forgets nothing, and go on counting should the version come back.
        """
        self.flush()
        collector: Collector = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            collector = multiprocess.MultiProcessCollector(None)  # type: ignore[no-untyped-call]
        known = {(name, str(version)) for name, versions in answering.items() for version in versions}
        return generate_latest(_registry_of(_Known(collector, known))) + generate_latest(_registry_of(_Processes()))


def worker_ended(pid: int) -> None:
    """Forget the gauges of a worker that is no more; its counters stay counted."""
    multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _registry_of(collector: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(collector)
    return registry


class _Known(Collector):
    """Another collector's samples, without those of versions that are not known."""

    def __init__(self, collector: Collector, known: Collection[tuple[str, str]]) -> None:
        self._collector = collector
        self._known = known

    def collect(self) -> Iterator[Metric]:
        for metric in self._collector.collect():
            metric.samples = [sample for sample in metric.samples if self._tells(sample.labels)]
            yield metric

    def _tells(self, labels: Mapping[str, str]) -> bool:
        return "version" not in labels or (labels["model"], labels["version"]) in self._known


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
