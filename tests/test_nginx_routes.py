"""nginx.conf knows three kinds of routes; each of the app's must fall into the right one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from flask.testing import FlaskClient

NGINX = (Path(__file__).resolve().parent.parent / "nginx.conf").read_text(encoding="utf-8")
PLACES = re.findall(r"^        location (~|=|) ?([^\s{]+) {\n(.*?)^        }", NGINX, re.MULTILINE | re.DOTALL)


CHANGING = ("/promote", "/rollback", "/split", "/shadow", "/labels", "/load", "/unload")


def matching(path: str, marker: str) -> bool:
    """Whether a location whose inside holds `marker` takes `path`."""
    return any(
        re.search(place, path) if kind == "~" else kind == "=" and place == path
        for kind, place, inside in PLACES
        if marker in inside
    )


def predicts(path: str) -> bool:
    return matching(path, "non_idempotent")


def is_closed(path: str) -> bool:
    return matching(path, "$is_admin_address")


def test_every_route_of_the_app_is_of_the_right_kind(client_of: Callable[..., FlaskClient]) -> None:
    rules = client_of().application.url_map.iter_rules()
    routes = [(re.sub(r"<(\w+:)?\w+>", "7", rule.rule), rule.methods or set()) for rule in rules]
    assert ("/predict", {"POST", "OPTIONS"}) in routes
    for path, methods in routes:
        tells_much = path == "/metrics" or path.endswith(("/manifest", "/report"))
        if "POST" in methods:
            assert predicts(path) != is_closed(path), path
            assert is_closed(path) == path.endswith(CHANGING), path
        else:
            assert not predicts(path), path
            assert is_closed(path) == tells_much, path


def test_the_ecosystems_predicting_routes_may_be_tried_again() -> None:
    for path in (
        "/models/m/versions/3/explain",
        "/models/m/labels/canary/predict_proba",
        "/v2/models/m/infer",
        "/v2/models/m/versions/3/infer",
        "/v1/models/m:predict",
        "/v1/models/m/versions/3:predict",
        "/v1/models/m/labels/stable:predict",
        "/v1/models/m:explain",
        "/invocations",
    ):
        assert predicts(path), path
        assert not is_closed(path), path


def test_what_changes_the_service_is_closed_and_never_sent_twice() -> None:
    for path in (
        "/models/predict/promote",
        "/models/m/rollback",
        "/models/m/labels",
        "/v2/repository/models/m/load",
    ):
        assert is_closed(path), path
        assert not predicts(path), path
