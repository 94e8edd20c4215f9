"""Two doors, one corridor: Flask and the worker's own path give the same bytes to the same request."""

from __future__ import annotations

import gc
import gzip
import weakref
import zlib
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from app import door
from app.errors import ServiceError
from app.paths import Paths
from app.server.hotpath import HotPath
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
    ("/predict", {"Content-Encoding": "gzip"}, gzip.compress(b'{"X":' + ROW + b"}", mtime=0)),
    ("/predict", {"Content-Encoding": "deflate"}, zlib.compress(b'{"X":' + ROW + b"}")),
    ("/predict", {"Content-Encoding": "br"}, b'{"X":' + ROW + b"}"),
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
    ("/models/iris/labels/stable/explain", {}, b'{"X":[' + ROW + b"]}"),
    ("/explain", {}, b'{"X":[[1]]}'),
    ("/models/iris/labels/7/predict", {}, b'{"X":[' + ROW + b"]}"),
    ("/models/iris/labels/other/predict", {}, b'{"X":[' + ROW + b"]}"),
    ("/models/table/predict", {}, b'{"features":{"age":1,"level":"low","count":1,"ok":true}}'),
    ("/models/text/classify", {}, b'{"text":["good","bad"]}'),
    ("/classify", {}, b'{"text":"good"}'),
]
TENSOR = b'{"name":"X","shape":[1,4],"datatype":"FP64"'
V2 = b'{"id":"a","inputs":[' + TENSOR + b',"data":' + ROW + b"}]}"
V2_HEAD = b'{"inputs":[' + TENSOR + b',"parameters":{"binary_data_size":32}}]}'
V2_BINARY = V2_HEAD + np.array([5.1, 3.5, 1.4, 0.2]).tobytes()
LENGTH = "Inference-Header-Content-Length"
# What clients of other servers send, and what of it does not fit.
OTHER_SERVERS: list[tuple[str, dict[str, str], bytes]] = [
    ("/v2/models/iris/infer", {}, V2),
    ("/v2/models/iris/versions/1/infer", {"Content-Type": "text/plain"}, V2),
    ("/v2/models/iris/infer", {LENGTH: str(len(V2_HEAD))}, V2_BINARY),
    ("/v2/models/iris/infer", {LENGTH: "0"}, V2_BINARY[-32:]),
    ("/v2/models/iris/infer", {LENGTH: "-1"}, V2_BINARY),
    ("/v2/models/iris/infer", {LENGTH: "9999"}, V2_BINARY),
    ("/v2/models/iris/infer", {"Content-Encoding": "gzip"}, gzip.compress(V2, mtime=0)),
    ("/v2/models/iris/infer", {"Content-Encoding": "gzip"}, V2),
    ("/v2/models/iris/infer", {}, b"{}"),
    ("/v2/models/iris/infer", {}, b"{"),
    ("/v2/models/nobody/infer", {}, V2),
    ("/v2/models/iris/versions/2/infer", {}, V2),
    ("/v2/models/iris/labels/stable/infer", {}, V2),
    ("/v2/models/iris/labels/nothing/infer", {}, V2),
    ("/v1/models/iris:predict", {}, b'{"instances":[' + ROW + b"]}"),
    ("/v1/models/iris:predict", {}, b'{"signature_name":"predict_proba","inputs":[' + ROW + b"]}"),
    ("/v1/models/iris/versions/1:predict", {}, b'{"instances":[' + ROW + b"]}"),
    ("/v1/models/iris/labels/stable:predict", {}, b'{"instances":[' + ROW + b"]}"),
    ("/v1/models/iris/labels/nothing:predict", {}, b'{"instances":[' + ROW + b"]}"),
    ("/v1/models/iris:predict", {}, b'{"instances":[[1,2]]}'),
    ("/v1/models/iris:explain", {}, b'{"instances":[' + ROW + b"]}"),
    ("/v1/models/iris/labels/stable:explain", {}, b'{"inputs":[' + ROW + b"]}"),
    ("/v1/models/iris:explain", {}, b'{"instances":[[1,2]]}'),
    ("/v1/models/nobody:predict", {}, b'{"instances":[' + ROW + b"]}"),
    ("/invocations", {}, b'{"inputs":[' + ROW + b"]}"),
    ("/invocations", {"Accept": "text/csv"}, b'{"inputs":[' + ROW + b"]}"),
    ("/invocations", {"Content-Type": "text/csv"}, b"5.1,3.5,1.4,0.2\n"),
    ("/invocations", {"Content-Type": "text/csv; header=absent"}, b"5.1,3.5,1.4,0.2\n"),
    ("/invocations", {}, b'{"inputs":[[1,2,3,NaN]]}'),
    ("/models/table/invocations", {}, b'{"dataframe_records":[{"age":NaN,"level":"low","count":1,"ok":true}]}'),
    ("/models/iris/versions/1/invocations", {}, b'{"instances":[' + ROW + b"]}"),
    ("/models/iris/labels/stable/invocations", {}, b'{"instances":[' + ROW + b"]}"),
    ("/models/iris/labels/nothing/invocations", {}, b'{"instances":[' + ROW + b"]}"),
    ("/vertex/endpoint:predict", {}, b'{"instances":[' + ROW + b'],"parameters":{"method":"predict_proba"}}'),
    ("/vertex/endpoint:predict", {}, b'{"instances":[[1]]}'),
]
EVERY = (
    [(path, {"Content-Type": JSON} | headers, body) for path, headers, body in OTHER_SERVERS]
    + [(path, {"Content-Type": JSON} | headers, body) for path, headers, body in GOOD]
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
    app: Any = client.application
    hot_path = HotPath(app.extensions["service"], app.extensions["metrics"])
    target = hot_path.find(request)
    if target is None:
        # What the hot path leaves alone is Flask's.
        assert "versions/9999" in path
        return
    hot = hot_path.answer(target, request)
    assert (status_line(hot.status).split()[0], hot.body) == (flask.status.split()[0], flask.data)
    told = dict(flask.headers)
    assert {"Content-Type": hot.content_type, "Content-Length": str(len(hot.body)), **hot.headers} == told


def test_both_doors_count_under_the_same_routes(client: FlaskClient) -> None:  # noqa: F811
    rules = {rule.rule for rule in client.application.url_map.iter_rules() if "POST" in (rule.methods or ())}
    paths = Paths()
    for path in (
        "/predict",
        "/models/a/predict_proba",
        "/models/a/versions/3/transform",
        "/models/a/labels/b/predict",
        "/classify",
        "/invocations",
        "/models/a/versions/3/invocations",
        "/models/a/labels/b/invocations",
        "/v2/models/a/infer",
        "/v2/models/a/versions/3/infer",
        "/v2/models/a/labels/b/infer",
        "/v1/models/a:predict",
        "/v1/models/a/versions/3:explain",
        "/v1/models/a/labels/b:predict",
    ):
        target = paths.match(path.encode())
        assert target is not None
        assert target.route in rules


def test_every_rule_of_flask_that_predicts_is_matched_too() -> None:
    paths = Paths("/vertex")
    for rule in paths.rules():
        path = rule.route.replace("<int:version>", "3").replace("<name>", "m").replace("<label>", "stable")
        target = paths.match(path.encode())
        assert target is not None, path
        assert (target.route, target.method, target.dialect) == (rule.route, rule.method, rule.dialect)


@pytest.mark.parametrize(
    "path",
    [
        "/predict/",
        "/predict?x=1",
        "/models",
        "/models/a/promote",
        "/models//predict",
        "/models/a%2Fb/predict",
        "/models/a/b/predict",
        "/models/a/versions/-1/predict",
        "/models/a/versions/\u0663/predict",
        "/models/a/labels//predict",
        "/models/a/labels/b/c/predict",
        "/models/a/labels/predict",
        "/healthz",
        "/v2/models/a/predict",
        "/v2/models//infer",
        "/v2/models/a/labels/infer",
        "/v2/models/infer",
        "/v1/models/a/predict",
        "/v1/models/:predict",
        "/v1/models/a/labels/:predict",
        "/v1/models/a:classify",
    ],
)
def test_everything_else_falls_through_to_flask(path: str) -> None:
    assert Paths().match(path.encode()) is None


def test_only_a_post_predicts(client: FlaskClient) -> None:  # noqa: F811
    extensions = client.application.extensions
    hot = HotPath(extensions["service"], extensions["metrics"])
    assert hot.find(Request("GET", b"/predict", "1.1", {}, b"", keep_alive=True)) is None


class Held(ServiceError):
    """An error that can be looked for in memory."""


@pytest.mark.parametrize("together", [1, 2])
@pytest.mark.parametrize("fault", [Held, KeyError], ids=["the client's", "ours"])
def test_an_error_is_gone_with_its_reply_and_with_it_what_was_read(
    client: FlaskClient,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    fault: type[Exception],
    together: int,
) -> None:
    class Document:
        """What was read of a body."""

    read: list[weakref.ref[Document]] = []

    def fail(*_: object) -> None:
        document = Document()
        read.append(weakref.ref(document))
        try:
            raise ValueError
        except ValueError as reason:
            raise fault("x") from reason

    app: Any = client.application
    service = app.extensions["service"]
    monkeypatch.setattr(service.models, "choose", fail)
    # What captures the log for tests keeps the trace.
    monkeypatch.setattr(door.log, "disabled", True)
    request = Request("POST", b"/predict", "1.1", {"content-type": JSON}, b'{"X":[' + ROW + b"]}", keep_alive=True)
    hot_path = HotPath(service, app.extensions["metrics"])
    target = hot_path.find(request)
    assert target is not None
    gc.collect()
    gc.disable()
    try:
        hot_path.answer_all([(target, request)] * together)
        for _ in range(together):
            client.post("/predict", data=request.body, headers=request.headers)
        assert len(read) == 2 * together
        assert not [document for document in read if document() is not None]
    finally:
        gc.enable()


def test_an_exception_that_is_its_own_cause_is_answered() -> None:
    error = KeyError("x")
    try:
        raise error from error
    except KeyError:
        assert door.error_reply(error, "POST /predict", "id").status == 500
    assert error.__traceback__ is None
