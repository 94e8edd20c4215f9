"""Content-Type says what is sent, Accept what is wanted back."""

from __future__ import annotations

import pytest

from app import wire
from app.errors import NotAcceptable, UnsupportedMediaType

CSV, NPY, ARROW = "text/csv", "application/x-npy", "application/vnd.apache.arrow.stream"


@pytest.mark.parametrize(
    "sent",
    ["application/json", "Application/JSON", "application/json;charset=UTF-8", 'application/json; charset="utf-8"'],
)
def test_json_is_read_however_it_is_spelled(sent: str) -> None:
    assert wire.media_type(sent) == wire.JSON


@pytest.mark.parametrize("sent", ["", ";", "text/plain", "application/json; charset=utf-16", "json", "\x00"])
def test_what_is_not_read_is_refused(sent: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        wire.media_type(sent)


@pytest.mark.parametrize(
    ("accept", "asked_in", "answered_in"),
    [
        ("", CSV, CSV),
        ("*/*", NPY, NPY),
        ("text/csv", wire.JSON, CSV),
        ("application/*", CSV, wire.JSON),
        ("application/*", NPY, NPY),
        ("application/json, text/plain, */*", CSV, wire.JSON),
        ("application/json;q=0.2, text/csv;q=0.3", wire.JSON, CSV),
        ("application/json;q=0, */*;q=0.5", wire.JSON, CSV),
        ("TEXT/CSV; header=present", wire.JSON, CSV),
        (ARROW, wire.JSON, ARROW),
    ],
)
def test_the_best_offer_wins(accept: str, asked_in: str, answered_in: str) -> None:
    assert wire.acceptable(accept, asked_in) == answered_in


@pytest.mark.parametrize("accept", ["text/html", "image/*", "application/json;q=0", "*/*;q=0", ",", "json"])
def test_no_offer_is_no_answer(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        wire.acceptable(accept, wire.JSON)
