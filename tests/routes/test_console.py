"""The address itself: a page for people, a line of JSON for programs; its files, and the numbers of its chart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.keys import add_key
from tests.conftest import ClientMaker

ROW = [5.1, 3.5, 1.4, 0.2]
FILES = Path(__file__).resolve().parents[2] / "app/console"
CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
MEDIA = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@pytest.mark.parametrize("accept", [CHROMIUM, "text/html", "text/html, application/json;q=0.5"])
def test_a_browser_gets_the_page(client_of: ClientMaker, accept: str) -> None:
    reply = client_of().get("/", headers={"Accept": accept})
    assert reply.mimetype == "text/html"
    assert reply.data == (FILES / "index.html").read_bytes()
    assert reply.headers["Vary"] == "Accept"


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/json, text/html", "image/png"])
def test_everything_else_gets_what_it_always_got(client_of: ClientMaker, accept: str | None) -> None:
    reply = client_of().get("/", headers={} if accept is None else {"Accept": accept})
    assert reply.json["status"] == "alive"
    assert "POST /predict" in reply.json["routes"]
    assert reply.headers["Vary"] == "Accept"


@pytest.mark.parametrize("file", sorted(path.name for path in FILES.iterdir() if path.name != "index.html"))
def test_each_file_is_served_as_what_it_is(client_of: ClientMaker, file: str) -> None:
    reply = client_of().get(f"/console/{file}")
    assert reply.status_code == 200
    assert reply.mimetype == MEDIA[Path(file).suffix]
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Referrer-Policy"] == "no-referrer"


def test_who_has_a_file_is_told_so_and_asks_again_each_time(client_of: ClientMaker) -> None:
    client = client_of()
    for path, accept in (("/console/main.js", "*/*"), ("/", CHROMIUM)):
        reply = client.get(path, headers={"Accept": accept})
        assert reply.headers["Cache-Control"] == "no-cache"
        again = client.get(path, headers={"Accept": accept, "If-None-Match": reply.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b"")
        assert "script-src 'self'" in again.headers["Content-Security-Policy"]


def test_nothing_runs_but_the_consoles_own_files(client_of: ClientMaker) -> None:
    client = client_of()
    for path in ("/", "/console/main.js", "/console/console.css", "/console/icon.svg"):
        policy = client.get(path, headers={"Accept": CHROMIUM}).headers["Content-Security-Policy"]
        assert set(policy.split("; ")) == {
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "frame-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        }


def test_a_report_is_shown_in_a_page_without_an_origin_that_fetches_nothing(client_of: ClientMaker) -> None:
    policy = client_of().get("/console/report.html").headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'; ")
    assert "connect-src" not in policy


def test_the_page_needs_no_other_host_and_has_nothing_inline() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in FILES.iterdir()}
    for name, text in texts.items():
        without = text.replace("http://www.w3.org/2000/svg", "")
        for word in (
            "http://",
            "https://",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "localStorage",
        ):
            assert word not in without, (name, word)
    assert " style=" not in texts["index.html"]
    assert " on" not in texts["index.html"].split("<body>")[0]


@pytest.mark.parametrize(
    "path",
    [
        "/console/",
        "/console/nothing.js",
        "/console/index.html",
        "/console/../routes/console.py",
        "/console/%2e%2e/settings.py",
        "/console/a/b",
    ],
)
def test_what_is_no_file_of_the_console_is_a_problem(client_of: ClientMaker, path: str) -> None:
    reply = client_of().get(path)
    assert reply.status_code == 404
    assert reply.mimetype == "application/problem+json"
    assert reply.json["title"] == "Not Found"


def test_stats_add_up_what_was_asked(serve: ClientMaker, iris: Any) -> None:
    client = serve(*iris)
    before = client.get("/stats").json
    client.post("/predict", json={"X": [ROW, ROW]})
    client.post("/models/model/predict_proba", json={"X": [ROW]})
    client.post("/models/model/predict", json={"X": [["x"]]})
    client.get("/models")
    client.get("/nowhere")
    reply = client.get("/stats")
    assert reply.headers["Cache-Control"] == "no-store"
    after = reply.json
    assert before["requests"] == {"statuses": {}, "seconds": 0.0, "buckets": []}
    assert after["at"] > before["at"]
    # Who looks at the list of models, or at these numbers, is not counted among those that ask the models.
    assert after["requests"]["statuses"] == {"200": 2, "422": 1}
    assert 0 < after["requests"]["seconds"] < after["at"] - before["at"]
    buckets = after["requests"]["buckets"]
    assert [bucket["le"] for bucket in buckets[:2]] == ["0.0005", "0.001"]
    assert buckets[-1] == {"le": "+Inf", "count": 3}
    counts = [bucket["count"] for bucket in buckets]
    assert counts == sorted(counts)
    version = after["models"]["model"]["1"]
    assert (version["requests"], version["rows"]) == ({"ok": 2, "invalid": 1}, 3)
    assert version["seconds"] > 0


def test_stats_stay_small_and_strict(serve: ClientMaker, iris: Any) -> None:
    client = serve(*iris)
    client.post("/predict", json={"X": [ROW]})
    reply = client.get("/stats")
    assert len(reply.data) < 2000
    json.loads(reply.data, parse_constant=pytest.fail)


def test_stats_want_a_key_where_models_do(client_of: ClientMaker, tmp_path: Path) -> None:
    assert client_of().get("/stats").status_code == 200
    key = add_key(tmp_path / "keys.json", "bob", ["predict"])
    client = client_of(api_keys_file=tmp_path / "keys.json")
    assert client.get("/stats").status_code == 401
    assert client.get("/stats", headers={"X-API-Key": key}).status_code == 200


def test_the_page_itself_wants_no_key(client_of: ClientMaker, tmp_path: Path) -> None:
    add_key(tmp_path / "keys.json", "bob", ["predict"])
    client = client_of(api_keys_file=tmp_path / "keys.json")
    assert client.get("/", headers={"Accept": CHROMIUM}).status_code == 200
    assert client.get("/console/main.js").status_code == 200
