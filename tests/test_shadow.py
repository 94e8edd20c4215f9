"""Shadow traffic: whatever the challenger does, clients are answered as if there were none, and the metrics tell."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression

from app import shadow, store
from app.shadow import difference
from tests.conftest import ClientMaker
from tests.store.helpers import break_version

WaitFor = Callable[[Callable[[], bool]], None]
GATE = threading.Event()
ROWS = np.zeros((6, 2))


class Zero(BaseEstimator):
    """Answers 0 for every row."""

    def fit(self, X: Any, y: Any = None) -> Zero:
        return self

    def predict(self, X: Any) -> Any:
        return np.zeros(len(X))


class Odd(Zero):
    """Answers 0 too, but for the numbers that ask for something else."""

    def predict(self, X: Any) -> Any:
        moods = set(np.asarray(X)[:, 0])
        if 1 in moods:
            GATE.wait(20)
        if 2 in moods:
            raise ValueError("not to my taste")
        if 3 in moods:
            raise SystemExit("and leave")
        return np.where(np.asarray(X)[:, 0] == 4, 0.5, 0.0)


@pytest.fixture
def shadowed(root: Path, client_of: ClientMaker, wait_for: WaitFor) -> Callable[[], FlaskClient]:
    """Make a client of an app in which version 2 of the model m is the shadow, and in memory."""

    def make() -> FlaskClient:
        store.ModelStore(root).shadow("m", store.Shadow(2))
        client = client_of()
        wait_for(lambda: bool(client.application.extensions["service"].models.traffic))
        return client

    return make


@pytest.fixture
def client(root: Path, shadowed: Callable[[], FlaskClient]) -> FlaskClient:
    """Zero answers as version 1, and Odd unseen as version 2."""
    GATE.clear()
    store.save(Zero(), ROWS, "m", root=root)
    store.save(Odd(), ROWS, "m", root=root, promote=False)
    return shadowed()


def ask(client: FlaskClient, *moods: float, path: str = "/predict") -> None:
    """Ask about a row for each mood; a client notices nothing."""
    reply = client.post(path, json={"X": [[mood, 0.0] for mood in moods]})
    assert (reply.status_code, reply.json) == (200, {"y_pred": [0.0] * len(moods)})
    assert reply.headers["X-Model-Version"] == "1"


def told(client: FlaskClient, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    wanted = [f'{label}="{value}"' for label, value in {"model": "m", "version": "2", **labels}.items()]
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith(f"{name}{{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if all(each in line for each in wanted))


def outcomes(client: FlaskClient) -> dict[str, float]:
    names = ("same", "different", "failed", "dropped")
    found = {name: told(client, "maas_shadow_requests_total", outcome=name) for name in names}
    return {name: count for name, count in found.items() if count}


def test_the_same_answers_are_counted(client: FlaskClient, wait_for: WaitFor) -> None:
    for _ in range(3):
        ask(client, 0, 0)
    wait_for(lambda: outcomes(client) == {"same": 3})
    assert told(client, "maas_shadow_rows_total", method="predict", outcome="same") == 6
    assert told(client, "maas_shadow_seconds_total") > 0
    assert told(client, "maas_predictions_total") == 0


def test_different_answers_are_counted_with_their_rows_and_distances(client: FlaskClient, wait_for: WaitFor) -> None:
    ask(client, 0, 4, 4)
    ask(client, 0)
    wait_for(lambda: outcomes(client) == {"same": 1, "different": 1})
    assert told(client, "maas_shadow_rows_total", outcome="different") == 2
    assert told(client, "maas_shadow_difference_total", method="predict") == 1.0


def test_a_shadow_that_raises_hurts_nobody_nor_those_it_was_asked_with(
    client: FlaskClient, wait_for: WaitFor, caplog: pytest.LogCaptureFixture
) -> None:
    for mood in (0, 2, 0, 3, 0, 2):
        ask(client, mood)
    wait_for(lambda: outcomes(client) == {"same": 3, "failed": 3})
    assert caplog.text.count("the shadow, failed to answer predict") == 1


def test_a_shadow_that_is_slow_delays_nobody_and_what_it_cannot_take_is_dropped(
    client: FlaskClient, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "MOST_WAITING", 5)
    ask(client, 1)
    wait_for(lambda: not client.application.extensions["service"].shadows.waiting)
    for _ in range(8):
        ask(client, 0)
    assert outcomes(client) == {"dropped": 3}
    GATE.set()
    wait_for(lambda: outcomes(client) == {"same": 6, "dropped": 3})


def test_a_batch_too_large_to_keep_is_dropped(
    client: FlaskClient, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "MOST_ROWS", 10)
    ask(client, *[0] * 11)
    ask(client, *[0] * 10)
    wait_for(lambda: outcomes(client) == {"same": 1, "dropped": 1})
    monkeypatch.setattr(shadow, "MOST_BYTES", 100)
    ask(client, *[0] * 10)
    assert outcomes(client) == {"same": 1, "dropped": 2}


def test_what_other_protocols_ask_is_shadowed_too(client: FlaskClient, wait_for: WaitFor) -> None:
    tensor = {"name": "X", "shape": [1, 2], "datatype": "FP64", "data": [4.0, 0.0]}
    for path, document in (
        ("/v2/models/m/infer", {"inputs": [tensor]}),
        ("/v1/models/m:predict", {"instances": [[4.0, 0.0]]}),
        ("/invocations", {"inputs": [[4.0, 0.0]]}),
    ):
        reply = client.post(path, json=document)
        assert (reply.status_code, reply.headers["X-Model-Version"]) == (200, "1")
    wait_for(lambda: outcomes(client) == {"different": 3})


def test_of_several_methods_in_a_request_the_first_is_compared(
    root: Path, shadowed: Callable[[], FlaskClient], wait_for: WaitFor
) -> None:
    X = np.arange(12.0).reshape(6, 2)
    for factor in (1, 2):
        model = LogisticRegression(C=1e-3 * factor).fit(X, [0, 0, 0, 1, 1, 1])
        store.save(model, X, "m", root=root, promote=factor == 1)
    client = shadowed()
    tensor = {"name": "X", "shape": [6, 2], "datatype": "FP64", "data": X.tolist()}
    outputs = [{"name": "predict_proba"}, {"name": "predict"}]
    assert client.post("/v2/models/m/infer", json={"inputs": [tensor], "outputs": outputs}).status_code == 200
    wait_for(lambda: outcomes(client) == {"different": 1})
    assert told(client, "maas_shadow_rows_total", method="predict_proba") == 6
    assert told(client, "maas_shadow_rows_total", method="predict") == 0
    assert told(client, "maas_predictions_total", version="1") == 1


def test_who_names_a_version_is_not_shadowed(client: FlaskClient, wait_for: WaitFor) -> None:
    ask(client, 0, path="/models/m/versions/1/predict")
    ask(client, 0)
    wait_for(lambda: outcomes(client) == {"same": 1})


def test_a_shadow_that_is_refused_at_load_is_told_and_answers_go_on(
    root: Path, client_of: ClientMaker, wait_for: WaitFor
) -> None:
    store.save(Zero(), ROWS, "m", root=root)
    broken = store.save(Odd(), ROWS, "m", root=root, promote=False)
    store.ModelStore(root).shadow("m", store.Shadow(2))
    break_version(broken)
    client = client_of()
    wait_for(lambda: "2" in client.get("/models/m").json["refused"])
    ask(client, 0)
    assert outcomes(client) == {}
    assert "model.joblib is not the file" in client.get("/models/m").json["refused"]["2"]


def test_a_shadow_of_other_inputs_fails_without_being_asked(
    root: Path, shadowed: Callable[[], FlaskClient], wait_for: WaitFor, caplog: pytest.LogCaptureFixture
) -> None:
    store.save(Zero(), ROWS, "m", root=root)
    store.save(Zero(), np.zeros((6, 3)), "m", root=root, promote=False)
    client = shadowed()
    ask(client, 0)
    wait_for(lambda: outcomes(client) == {"failed": 1})
    assert "its inputs are not those of version 1" in caplog.text


def test_classifiers_are_compared_by_label_and_by_probability(
    root: Path, shadowed: Callable[[], FlaskClient], iris: Any, wait_for: WaitFor
) -> None:
    estimator, X = iris
    store.save(estimator, X, "m", root=root)
    store.save(LogisticRegression(C=0.01, max_iter=500).fit(X, estimator.predict(X)), X, "m", root=root, promote=False)
    client = shadowed()
    expected = apart(root, X)
    for method in ("predict", "predict_proba"):
        assert client.post(f"/{method}", json={"X": X.tolist()}).status_code == 200
    wait_for(lambda: told(client, "maas_shadow_rows_total") == 2 * len(X))
    assert told(client, "maas_shadow_rows_total", method="predict", outcome="different") == expected[0]
    assert told(client, "maas_shadow_difference_total", method="predict_proba") == pytest.approx(expected[1])
    assert told(client, "maas_shadow_difference_total", method="predict") == 0


def apart(root: Path, X: Any) -> tuple[int, float]:
    """How many labels of versions 1 and 2 differ, and how far their probabilities are apart in all."""
    one, two = (store.load("m", version, root=root).estimator for version in (1, 2))
    distances = np.abs(one.predict_proba(X) - two.predict_proba(X)).mean(axis=1)
    return int((one.predict(X) != two.predict(X)).sum()), float(distances.sum())


def test_answers_of_other_kinds_differ_in_every_row() -> None:
    def told(answer: Any, shown: Any) -> tuple[list[bool], float]:
        differs, distance = difference(answer, shown, 3)
        return differs.tolist(), distance

    numbers, words, everywhere = np.zeros(3), np.array(["a", "b", "c"]), [True] * 3
    assert told(words, numbers) == (everywhere, 0.0)
    assert told(np.zeros((3, 2)), numbers) == (everywhere, 0.0)
    assert told([numbers, numbers], [numbers, np.eye(3)[1]]) == ([False, True, False], 1.0)
    assert told(np.array([np.nan, np.inf, 1.0]), np.array([np.nan, 0.0, 1.0])) == ([False, True, False], 0.0)
