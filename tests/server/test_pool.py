"""The threads that predict: bounded, and never waited for beyond the deadline."""

from __future__ import annotations

import threading

import pytest

from app.errors import DeadlineExceeded, InvalidRows, Unavailable
from app.monitor import logs
from app.server.pool import PredictionPool


def test_what_the_call_returns_or_raises_comes_through() -> None:
    pool = PredictionPool(1, 1, 5)
    assert pool.run(lambda: 7) == 7

    def refuse() -> None:
        raise InvalidRows("no")

    with pytest.raises(InvalidRows, match="no"):
        pool.run(refuse)


def test_a_call_that_overruns_is_answered_and_its_thread_comes_back() -> None:
    pool, gate = PredictionPool(1, 1, 0.05), threading.Event()
    with pytest.raises(DeadlineExceeded, match=r"within 0\.05 seconds"):
        pool.run(gate.wait)
    gate.set()
    assert PredictionPool(1, 1, 5).run(lambda: "next") == "next"


def test_a_timeout_of_the_models_own_code_is_no_deadline() -> None:
    def fail() -> None:
        raise TimeoutError("the model's own")

    with pytest.raises(TimeoutError, match="the model's own"):
        PredictionPool(1, 1, 5).run(fail)


def test_more_than_may_wait_are_turned_away() -> None:
    pool, gate, entered = PredictionPool(1, 0, 5), threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        gate.wait(5)

    first = threading.Thread(target=pool.run, args=[hold])
    first.start()
    assert entered.wait(5)
    with pytest.raises(Unavailable, match="more requests are waiting"):
        pool.run(lambda: None)
    gate.set()
    first.join()
    assert pool.run(lambda: "again") == "again"


def test_log_lines_of_the_call_keep_their_request_id() -> None:
    token = logs.exchange.set(("r-9", ""))
    assert PredictionPool(1, 1, 5).run(logs.exchange.get) == ("r-9", "")
    logs.exchange.reset(token)
