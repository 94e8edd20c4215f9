"""The worker's own path and splits: the version is drawn before it is decided where a request is answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestRegressor

from app import store
from app.paths import Paths, Target
from app.server.hotpath import HotPath
from app.server.http1 import Request
from app.server.pace import LONG_SECONDS, Pace
from tests.conftest import ClientMaker

ROWS = load_breast_cancer().data


@pytest.fixture
def app(root: Path, client_of: ClientMaker, wait_for: Any) -> Any:
    """Two forests of one name that answer differently, each half of the requests."""
    for factor in (1.0, -1.0):
        forest = RandomForestRegressor(10, random_state=0).fit(ROWS, factor * (1 + ROWS[:, 0]))
        store.save(forest, ROWS, "m", root=root, promote=factor > 0)
    store.ModelStore(root).split("m", {2: 0.5})
    app = client_of(aip_predict_route="/vertex").application
    wait_for(lambda: bool(app.extensions["service"].models.traffic))
    return app


@pytest.fixture
def hot(app: Any) -> HotPath:
    return HotPath(app.extensions["service"], app.extensions["metrics"])


TENSOR = {"name": "X", "shape": [1, 30], "datatype": "FP64", "data": ROWS[0].tolist()}
# What asks for no version, in each dialect.
ASKED: list[tuple[str, dict[str, Any]]] = [
    ("/predict", {"X": [ROWS[0].tolist()]}),
    ("/explain", {"X": [ROWS[0].tolist()]}),
    ("/v2/models/m/infer", {"inputs": [TENSOR]}),
    ("/v1/models/m:predict", {"instances": [ROWS[0].tolist()]}),
    ("/invocations", {"inputs": [ROWS[0].tolist()]}),
    ("/vertex", {"instances": [ROWS[0].tolist()]}),
]


def request(row: int = 0, path: str = "/predict", document: dict[str, Any] | None = None, **headers: str) -> Request:
    body = json.dumps(document or {"X": [ROWS[row].tolist()]}).encode()
    return Request("POST", path.encode(), "1.1", {"content-type": "application/json", **headers}, body, keep_alive=True)


def find(hot: HotPath, asked: Request) -> Target:
    target = hot.find(asked)
    assert target is not None
    return target


@pytest.mark.parametrize(("path", "document"), ASKED)
def test_the_version_that_is_drawn_is_the_one_that_answers(hot: HotPath, path: str, document: dict[str, Any]) -> None:
    asked, seen = request(0, path, document), set()
    for _ in range(40):
        target = find(hot, asked)
        reply = hot.answer(target, asked)
        answered = int(reply.headers["X-Model-Version"])
        assert (reply.status, answered) == (200, target.drawn or 1)
        seen.add(answered)
    assert seen == {1, 2}


def test_a_caller_stays_on_one_version_whatever_is_spoken_and_at_both_doors(hot: HotPath, app: Any) -> None:
    flask = app.test_client()
    for caller in map(str, range(8)):
        answered = set()
        for path, document in ASKED:
            asked = request(0, path, document, **{"x-session-id": caller})
            replies = (
                flask.post(path, json=document, headers={"X-Session-Id": caller}),
                hot.answer(find(hot, asked), asked),
            )
            answered |= {reply.headers["X-Model-Version"] for reply in replies}
        assert len(answered) == 1


def test_nothing_is_drawn_where_a_version_is_named(hot: HotPath) -> None:
    for path in (
        "/models/m/versions/2/predict",
        "/models/m/labels/x/predict",
        "/v1/models/m/labels/x:predict",
        "/v2/models/m/versions/2/infer",
        "/models/none/predict",
    ):
        assert find(hot, request(path=path)).drawn is None
    assert hot.find(request(path="/models")) is None


def test_requests_that_come_together_share_calls_and_never_mix_versions(hot: HotPath) -> None:
    asked = [request(row) for row in range(60)]
    replies = hot.answer_all([(find(hot, each), each) for each in asked])
    assert {reply.headers["X-Model-Version"] for reply in replies} == {"1", "2"}
    alone = {version: find(hot, request(path=f"/models/m/versions/{version}/predict")) for version in ("1", "2")}
    for each, reply in zip(asked, replies, strict=True):
        assert reply.body == hot.answer(alone[reply.headers["X-Model-Version"]], each).body


def test_a_slow_canary_sends_none_of_the_others_to_the_threads() -> None:
    pace, asked = Pace(), request()
    target = Paths().match(asked.target)
    assert target is not None
    stable, canary = (Target(target.route, target.method, place=0.5, drawn=drawn) for drawn in (0, 2))
    for _ in range(3):
        pace.note(asked, stable, LONG_SECONDS / 10)
        pace.note(asked, canary, LONG_SECONDS * 10)
    assert pace.is_short(asked, stable)
    assert not pace.is_short(asked, canary)
