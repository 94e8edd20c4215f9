"""Two doors, one corridor: Flask and the worker's own path give the same bytes to the same request."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from app.server.hotpath import HotPath, match
from app.server.http1 import Request
from app.server.wsgi import status_line
from tests.test_hostile_requests import BODIES, JSON, NPY, OTHERS, arrow, client, npy  # noqa: F401  # client is a fixture

ROW = b"[5.1,3.5,1.4,0.2]"
GOOD: list[tuple[str, dict[str, str], bytes]] = [
    ("/predict", {}, b'{"X":[' + ROW + b"]}"),
    ("/predict", {}, b'{"x":[' + ROW + b"," + ROW + b"]}"),
    ("/predict", {"Accept": "text/csv"}, b'{"X":' + ROW + b"}"),
    ("/predict", {"Accept": NPY}, b'{"X":' + ROW + b"}"),
    ("/predict", {"Accept": "text/html"}, b'{"X":' + ROW + b"}"),
    ("/predict", {"Content-Encoding": "gzip"}, b'{"X":' + ROW + b"}"),
    ("/predict", {"Content-Encoding": "identity"}, b'{"X":' + ROW + b"}"),
    ("/predict", {"Authorization": "Bearer x"}, b'{"X":' + ROW + b"}"),
    ("/predict_proba", {}, b'{"features":' + ROW + b"}"),
    ("/predict_log_proba", {}, b'{"instances":[' + ROW + b"]}"),
    ("/decision_function", {}, b'{"inputs":[' + ROW + b"]}"),
    ("/score_samples", {}, b'{"inputs":[' + ROW + b"]}"),
    ("/models/iris/predict", {}, b'{"dataframe_split":{"data":[' + ROW + b"]}}"),
    ("/models/iris/versions/1/predict", {}, b'{"X":[' + ROW + b"]}"),
    ("/models/iris/versions/01/predict", {}, b'{"X":[' + ROW + b"]}"),
    ("/models/iris/versions/2/predict", {}, b'{"X":[' + ROW + b"]}"),
    ("/models/iris/labels/stable/predict", {}, b'{"X":[' + ROW + b"]}"),
    ("/models/iris/labels/7/predict", {}, b'{"X":[' + ROW + b"]}"),
    ("/models/iris/labels/other/predict", {}, b'{"X":[' + ROW + b"]}"),
    ("/models/table/predict", {}, b'{"features":{"age":1,"level":"low","count":1,"ok":true}}'),
    ("/models/text/classify", {}, b'{"text":["good","bad"]}'),
    ("/classify", {}, b'{"text":"good"}'),
]
EVERY = (
    [(path, {"Content-Type": JSON} | headers, body) for path, headers, body in GOOD]
    + [("/predict", {"Content-Type": JSON}, body) for _, body, _, _ in BODIES]
    + [(path, {"Content-Type": kind} if kind else {}, body) for _, path, kind, body, _, _ in OTHERS]
    + [("/predict", {"Content-Type": NPY}, npy([[5.1, 3.5, 1.4, 0.2]] * rows)) for rows in (1, 2, 50, 51)]
    + [
        (
            "/predict",
            {"Content-Type": "application/vnd.apache.arrow.stream"},
            arrow({f"x{i}": [1.0] for i in range(4)}),
        ),
        ("/predict", {"Content-Type": "text/csv"}, b"x3,x2,x1,x0\n0.2,1.4,3.5,5.1\n"),
        ("/predict", {"Content-Type": "text/csv", "Accept": "application/json"}, b"5.1,3.5,1.4,0.2\n"),
    ]
)
# Bodies beyond the limit and unknown routes never reach the hot path: the reader and Flask refuse them.
REACHING = [case for case in EVERY if len(case[2]) <= 100_000 and "%2F" not in case[0] and case[0] != "/predictions"]


@pytest.mark.parametrize("case", range(len(REACHING)))
def test_both_doors_give_the_same_bytes(client: FlaskClient, case: int) -> None:  # noqa: F811
    path, headers, body = REACHING[case]
    sent = headers | {"X-Request-Id": f"case-{case}"}
    flask = client.post(path, data=body, headers=sent)
    request = Request(
        "POST", path.encode(), "1.1", {name.lower(): value for name, value in sent.items()}, body, keep_alive=True
    )
    target = match(request)
    if target is None:
        # What the hot path leaves alone is Flask's.
        assert "versions/9999" in path
        return
    app: Any = client.application
    hot = HotPath(app.extensions["service"], app.extensions["metrics"]).answer(target, request)
    assert (status_line(hot.status).split()[0], hot.body) == (flask.status.split()[0], flask.data)
    told = dict(flask.headers)
    assert {"Content-Type": hot.content_type, "Content-Length": str(len(hot.body)), **hot.headers} == told


def test_both_doors_count_under_the_same_routes(client: FlaskClient) -> None:  # noqa: F811
    rules = {rule.rule for rule in client.application.url_map.iter_rules() if "POST" in (rule.methods or ())}
    for path in (
        "/predict",
        "/models/a/predict_proba",
        "/models/a/versions/3/transform",
        "/models/a/labels/x/predict",
        "/classify",
    ):
        target = match(Request("POST", path.encode(), "1.1", {}, b"", keep_alive=True))
        assert target is not None
        assert target.route in rules


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/predict"),
        ("POST", "/predict/"),
        ("POST", "/predict?x=1"),
        ("POST", "/models"),
        ("POST", "/models/a/promote"),
        ("POST", "/models//predict"),
        ("POST", "/models/a%2Fb/predict"),
        ("POST", "/models/a/b/predict"),
        ("POST", "/models/a/versions/-1/predict"),
        ("POST", "/models/a/labels//predict"),
        ("POST", "/models/a/labels/b/c/predict"),
        ("POST", "/models/a/labels/predict"),
        ("POST", "/models/a/versions/\u0663/predict"),
        ("POST", "/healthz"),
    ],
)
def test_everything_else_falls_through_to_flask(method: str, path: str) -> None:
    assert match(Request(method, path.encode(), "1.1", {}, b"", keep_alive=True)) is None
