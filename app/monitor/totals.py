"""What was counted since the start, in few numbers: a reader keeps two of them and takes the difference."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from typing import Any

from prometheus_client.core import Metric

from app.monitor.versions import Series

# What of a version is told, under which name; its requests are told by their outcome.
_BY_VERSION = {"maas_rows": "rows", "maas_prediction_seconds": "seconds"}


def totals(metrics: Iterable[Metric], versions: Mapping[Series, float], routes: Container[str]) -> dict[str, Any]:
    """Add up the requests to `routes`, and what each version answered, as JSON values.

    Returns
    -------
    ``at``, monotonic seconds of this machine, the same clock for all workers; ``requests`` with ``statuses`` (how
    often each was answered), ``seconds`` (those of all answers) and ``buckets`` (how many answers took at most so many
    seconds, as a histogram of Prometheus has them); ``models``, by name and version, with the outcomes of their
    ``requests``, ``rows``, and ``seconds`` in the engine.
    """
    statuses: Counter[str] = Counter()
    buckets: Counter[str] = Counter()
    seconds = 0.0
    for metric in metrics:
        for sample in metric.samples:
            if sample.labels.get("route") not in routes:
                continue
            if sample.name == "maas_requests_total":
                statuses[sample.labels["status"]] += int(sample.value)
            elif sample.name == "maas_request_duration_seconds_bucket":
                buckets[sample.labels["le"]] += int(sample.value)
            elif sample.name == "maas_request_duration_seconds_sum":
                seconds += sample.value
    return {
        "at": time.monotonic(),
        "requests": {
            "statuses": dict(sorted(statuses.items())),
            "seconds": seconds,
            "buckets": [{"le": le, "count": buckets[le]} for le in sorted(buckets, key=float)],
        },
        "models": _by_version(versions),
    }


def _by_version(versions: Mapping[Series, float]) -> dict[str, dict[str, Any]]:
    models: dict[str, dict[str, Any]] = {}
    for (counter, model, version, labels), value in sorted(versions.items()):
        of_model = models.setdefault(model, {})
        told = of_model.setdefault(str(version), {"requests": {}, "rows": 0, "seconds": 0.0})
        if counter == "maas_predictions":
            told["requests"][labels[0]] = int(value)
        elif counter in _BY_VERSION:
            told[_BY_VERSION[counter]] = value
    return models
