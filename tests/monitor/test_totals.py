"""Totals: what all workers counted, in few numbers."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from app.monitor.metrics import Metrics
from app.monitor.totals import totals

ROUTES = frozenset(["/predict", "/models/<name>/predict"])


def test_routes_are_added_up_and_others_left_out() -> None:
    registry = CollectorRegistry()
    requests = Counter("maas_requests", "r", ["route", "status"], registry=registry)
    seconds = Histogram("maas_request_duration_seconds", "s", ["route"], buckets=(0.1, 1.0), registry=registry)
    for route, status, took in (("/predict", "200", 0.05), ("/predict", "422", 0.5), ("/models", "200", 0.5)):
        requests.labels(route, status).inc()
        seconds.labels(route).observe(took)
    requests.labels("/models/<name>/predict", "200").inc(2)
    seconds.labels("/models/<name>/predict").observe(3.0)
    told = totals(registry.collect(), {}, ROUTES)
    assert told["requests"] == {
        "statuses": {"200": 3, "422": 1},
        "seconds": 3.55,
        "buckets": [{"le": "0.1", "count": 1}, {"le": "1.0", "count": 2}, {"le": "+Inf", "count": 3}],
    }


def test_versions_are_told_by_model() -> None:
    counted = {
        ("maas_predictions", "m", 1, ("ok",)): 2.0,
        ("maas_predictions", "m", 1, ("invalid",)): 1.0,
        ("maas_rows", "m", 1, ()): 7.0,
        ("maas_prediction_seconds", "m", 1, ()): 0.5,
        ("maas_predictions", "m", 10, ("failed",)): 1.0,
        ("maas_shadow_requests", "n", 3, ("same",)): 4.0,
    }
    assert totals([], counted, ROUTES)["models"] == {
        "m": {
            "1": {"requests": {"invalid": 1, "ok": 2}, "rows": 7, "seconds": 0.5},
            "10": {"requests": {"failed": 1}, "rows": 0, "seconds": 0.0},
        },
        "n": {"3": {"requests": {}, "rows": 0, "seconds": 0.0}},
    }


def test_what_is_still_gathered_in_memory_is_counted() -> None:
    metrics = Metrics()
    metrics.model_answering("m", [1])
    metrics.request_ended("/predict", 200, metrics.request_started())
    metrics.predicted(("m", 1), 1, 3, 0.25)
    told = metrics.totals(ROUTES)
    assert told["requests"]["statuses"] == {"200": 1}
    assert told["requests"]["buckets"][-1] == {"le": "+Inf", "count": 1}
    assert told["models"]["m"]["1"] == {"requests": {"ok": 1}, "rows": 3, "seconds": 0.25}


def test_clock_and_counters_only_go_up() -> None:
    metrics = Metrics()
    before = metrics.totals(ROUTES)
    metrics.request_ended("/predict", 500, metrics.request_started())
    after = metrics.totals(ROUTES)
    assert after["at"] >= before["at"]
    assert (before["requests"]["statuses"], after["requests"]["statuses"]) == ({}, {"500": 1})
