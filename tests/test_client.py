"""The Python client: against the real app for what it says, against a server that misbehaves for what it endures."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from werkzeug.serving import WSGIRequestHandler, make_server

from app import create_app, store
from app.settings import Settings
from maas_client import Client, ServiceError
from tests.conftest import ClientMaker

ROOT = Path(__file__).resolve().parents[1]


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  # werkzeug's name
        pass


@contextmanager
def serving(app: Any) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


PEOPLE = pd.DataFrame(
    {
        "age": [20.0, np.nan, 60.0, 35.0] * 5,
        "sex": ["m", "f", None, "f"] * 5,
        "born": pd.to_datetime(["2000-01-01", "1990-05-05", None, "1970-12-31"] * 5),
    }
)
TEXTS, SPAM = ["win a prize", "see you at lunch"] * 5, ["spam", "ham"] * 5


@pytest.fixture(scope="module")
def root_of_three(tmp_path_factory: pytest.TempPathFactory, iris: Any) -> Path:
    root = tmp_path_factory.mktemp("models")
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
    table = make_pipeline(
        make_column_transformer((SimpleImputer(), ["age"]), (words, ["sex"])), LinearRegression()
    ).fit(PEOPLE, np.arange(20.0))
    texts = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, SPAM)
    store.save(*iris, name="iris", root=root)
    store.ModelStore(root).label("iris", 1, "stable")
    store.save(table, PEOPLE, "people", root=root)
    store.save(texts, TEXTS, "spam", root=root)
    return root


@pytest.fixture(scope="module")
def client(root_of_three: Path) -> Iterator[Client]:
    app = create_app(Settings(model_store=root_of_three, default_model="iris"))
    with serving(app) as url, Client(url, timeout=20) as client:
        yield client
    app.extensions["service"].models.stop()


def test_arrays_lists_and_single_rows_are_answered_as_the_estimator_does(client: Client, iris: Any) -> None:
    estimator, X = iris
    np.testing.assert_array_equal(client.predict(X), estimator.predict(X))
    np.testing.assert_array_equal(client.predict(X.tolist()), estimator.predict(X))
    for flat in (X[0], X[0].tolist(), tuple(X[0].tolist()), X[0].astype(np.float32)):
        assert client.predict(flat, "iris").shape == ()
        np.testing.assert_array_equal(client.predict(flat, "iris"), estimator.predict(X[:1])[0])
    np.testing.assert_allclose(client.predict_proba(X, "iris", 1), estimator.predict_proba(X), rtol=1e-9)
    np.testing.assert_allclose(
        client.predict(X.astype(np.float32), method="decision_function"),
        estimator.decision_function(X.astype(np.float32)),
        rtol=1e-5,
    )


def test_data_frames_are_matched_by_name_with_their_missing_values_and_dates(
    client: Client, root_of_three: Path
) -> None:
    expected = store.load("people", root=root_of_three).estimator.predict(PEOPLE)
    np.testing.assert_allclose(client.predict(PEOPLE[["born", "sex", "age"]], "people"), expected, rtol=1e-9)
    record = {"age": float("nan"), "sex": None, "born": pd.Timestamp("1990-05-05")}
    assert client.predict(record, "people").shape == ()
    assert client.predict([record], "people").shape == (1,)


def test_a_data_frame_of_an_array_is_taken_by_position(client: Client, iris: Any) -> None:
    estimator, X = iris
    np.testing.assert_array_equal(client.predict(pd.DataFrame(X), "iris"), estimator.predict(X))
    with pytest.raises(ServiceError, match="0, 1, 2, … in this order"):
        client.predict(pd.DataFrame(X)[[1, 0, 2, 3]], "iris")


@pytest.mark.parametrize("row", [[1.0, 2.0, 3.0, float("inf")], [1.0, 2.0, 3.0, object()]])
def test_what_cannot_be_sent_is_an_error_of_its_own(client: Client, row: Any) -> None:
    with pytest.raises(ServiceError, match="the rows cannot be sent; JSON has finite numbers") as caught:
        client.predict([row])
    assert caught.value.status is None
    with pytest.raises(ServiceError, match="422: "):
        client.predict(np.array([[1.0, 2.0, 3.0, np.inf]]))


def test_a_version_is_asked_by_number_or_label(client: Client, iris: Any) -> None:
    estimator, X = iris
    for version in (1, "stable"):
        np.testing.assert_array_equal(client.predict(X, "iris", version), estimator.predict(X))
    assert client.model("iris", "stable")["version"] == 1
    with pytest.raises(ServiceError, match="no label"):
        client.predict(X, "iris", "canary")


def test_texts_are_labelled_and_classified(client: Client) -> None:
    assert client.predict(["a prize", "at lunch"], "spam").tolist() == ["spam", "ham"]
    assert client.classify("a prize", "spam")["label"] == "spam"
    assert [found["label"] for found in client.classify(["a prize", "lunch"])] == ["spam", "ham"]


def test_explanations_models_and_readiness(client: Client, iris: Any) -> None:
    told = client.explain(iris[1][:2])
    np.testing.assert_allclose(told["value"], iris[0].decision_function(iris[1][:2]), rtol=1e-9)
    assert [model["name"] for model in client.models()] == ["iris", "people", "spam"]
    assert client.model("people", 1)["task"] == "regression"
    assert client.ready()


def test_a_refusal_says_what_where_and_under_which_id(client: Client) -> None:
    with pytest.raises(ServiceError, match="422: /X/0/3: must be a number") as caught:
        client.predict([[5.1, 3.5, 1.4, "a"]])
    assert (caught.value.status, caught.value.pointers) == (422, ["/X/0/3"])
    assert caught.value.errors[0]["column"] == "x3"
    assert len(caught.value.request_id or "") == 32
    with pytest.raises(ServiceError, match="404: there is no model 'other'"):
        client.predict([[1.0]], "other")


def test_threads_share_a_client(client: Client, iris: Any) -> None:
    estimator, X = iris
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda row: client.predict(X[row : row + 1])[0], range(60)))
    assert answers == estimator.predict(X[:60]).tolist()


# --- A server that misbehaves -------------------------------------------------------------------------------------

Script = list[Callable[[http.server.BaseHTTPRequestHandler], None]]


def answer(status: int, body: bytes = b'{"y_pred": [1.0]}', **headers: str) -> Callable[[Any], None]:
    def send(handler: Any) -> None:
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return send


def hang_up(handler: Any) -> None:
    handler.close_connection = True


def answer_and_hang_up(handler: Any) -> None:
    """Close a connection that was said to be kept."""
    answer(200)(handler)
    handler.close_connection = True


@pytest.fixture
def misbehaving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[Client, list[str]]]]:
    """A client of a server that does what the script says, request by request; no pause takes time."""
    servers: list[http.server.ThreadingHTTPServer] = []
    clients: list[Client] = []
    monkeypatch.setattr("maas_client._FIRST_PAUSE", 0.001)

    def start(*script: Callable[[Any], None], **options: Any) -> tuple[Client, list[str]]:
        asked: list[str] = []
        steps = iter(script)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                asked.append(f"{self.path} {self.client_address[1]}")
                next(steps)(self)

            def log_message(self, *_: Any) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        clients.append(Client(f"http://127.0.0.1:{server.server_port}/base/", **options))
        return clients[-1], asked

    yield start
    for client in clients:
        client.close()
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("fault", [answer(502), answer(503, Retry_After="0"), answer(504), hang_up])
def test_what_may_pass_is_tried_again(misbehaving: Any, fault: Any) -> None:
    client, asked = misbehaving(fault, fault, answer(200))
    assert client.predict([[1]]).tolist() == [1.0]
    assert len(asked) == 3
    assert asked[0].startswith("/base/predict ")


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422, 429, 500])
def test_what_will_not_pass_is_not(misbehaving: Any, status: int) -> None:
    client, asked = misbehaving(answer(status, b"<h1>no document</h1>"), answer(200))
    with pytest.raises(ServiceError, match=f"{status}: <h1>no document</h1>"):
        client.predict([[1]])
    assert len(asked) == 1


def test_retries_end(misbehaving: Any) -> None:
    client, asked = misbehaving(*[answer(503, b'{"detail": "busy"}')] * 3, retries=2)
    with pytest.raises(ServiceError, match="503: busy"):
        client.predict([[1]])
    assert len(asked) == 3


def test_a_pause_longer_than_the_deadline_is_not_waited_for(misbehaving: Any) -> None:
    client, asked = misbehaving(answer(503, Retry_After="3600"))
    with pytest.raises(ServiceError) as caught:
        client.predict([[1]])
    assert (caught.value.retry_after, len(asked)) == (3600.0, 1)


def test_a_kept_connection_is_used_again_and_replaced_where_it_was_closed(misbehaving: Any) -> None:
    client, asked = misbehaving(answer(200), answer_and_hang_up, answer(200), retries=0)
    for _ in range(3):
        client.predict([[1]])
    ports = [entry.split()[1] for entry in asked]
    assert ports[0] == ports[1] != ports[2]


def test_no_answer_in_time_is_an_error_of_its_own(misbehaving: Any) -> None:
    never = threading.Event()
    client, _ = misbehaving(lambda _: never.wait(10), timeout=0.2)
    started = time.monotonic()
    with pytest.raises(ServiceError, match="did not answer in time") as caught:
        client.predict([[1]])
    never.set()
    assert caught.value.status is None
    assert time.monotonic() - started < 9


@pytest.mark.parametrize(
    "reply", [b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200, b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 200]
)
def test_a_reply_that_trickles_is_given_up_in_time(misbehaving: Any, reply: bytes) -> None:
    given_up = threading.Event()

    def trickle(handler: Any) -> None:
        handler.close_connection = True
        with suppress(OSError):
            for byte in reply:
                handler.wfile.write(bytes([byte]))
                if given_up.wait(0.05):
                    return

    client, _ = misbehaving(trickle, timeout=0.5, retries=0)
    with pytest.raises(ServiceError, match="did not answer in time"):
        client.predict([[1]])
    given_up.set()


def test_nobody_there_is_an_error_of_its_own() -> None:
    client = Client("http://127.0.0.1:1", retries=0)
    with pytest.raises(ServiceError, match=r"did not answer .*refused"):
        client.predict([[1]])
    assert not client.ready()


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host", "http://"])
def test_a_url_that_is_none_is_told_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="the URL must be like http://host:port"):
        Client(url)


def test_it_works_without_numpy_and_without_the_app(misbehaving: Any, tmp_path: Path) -> None:
    client, _ = misbehaving(answer(200, b'{"y_pred": [1.5, null]}'))
    (tmp_path / "maas_client.py").write_text((ROOT / "maas_client.py").read_text())
    code = f"""
import sys
sys.modules["numpy"] = None
import maas_client
with maas_client.Client({client.url!r}) as client:
    print(client.predict([[1, float("nan")], [2, 3]]))
assert not any(name.split(".")[0] == "app" for name in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[1.5, None]\n", "")


def test_a_key_is_sent(root: Path, client_of: ClientMaker, iris: Any, tmp_path: Path) -> None:
    from app.keys import add_key

    store.save(*iris, name="iris", root=root)
    key = add_key(tmp_path / "keys.json", "ada", ("predict",))
    with serving(client_of(api_keys_file=tmp_path / "keys.json").application) as url:
        with Client(url, key) as client:
            assert client.predict([[5.1, 3.5, 1.4, 0.2]]).tolist() == [0]
        with Client(url) as stranger, pytest.raises(ServiceError, match="401"):
            stranger.predict([[5.1, 3.5, 1.4, 0.2]])


def test_what_json_cannot_hold_is_made_fit() -> None:
    from maas_client import _dump

    rows = [
        {"a": np.float32(1.5), "b": np.int64(2), "c": np.nan, "d": pd.NA, "e": np.datetime64("2026-01-02"), "f": True}
    ]
    assert json.loads(_dump({"X": rows})) == {
        "X": [{"a": 1.5, "b": 2, "c": None, "d": None, "e": "2026-01-02", "f": True}]
    }
