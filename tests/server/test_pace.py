"""Which requests are answered inline: by what their like took, and before that by what was measured at saving."""

from __future__ import annotations

from app.paths import Target
from app.server.http1 import Request
from app.server.pace import LONG_SECONDS, Pace

ASKED = Request("POST", b"/models/m/predict", "1.1", {}, b"[]", True)
TARGET = Target("/models/<name>/predict", "predict", "m")


def test_a_first_request_is_inline_unless_its_model_was_measured_to_be_slow() -> None:
    pace = Pace()
    assert pace.is_short(ASKED, TARGET)
    assert pace.is_short(ASKED, TARGET, lambda _: LONG_SECONDS / 2)
    assert not pace.is_short(ASKED, TARGET, lambda _: LONG_SECONDS * 2)


def test_explanations_are_never_inline() -> None:
    pace, target = Pace(), Target("/explain", "explain")
    pace.note(ASKED, target, LONG_SECONDS / 10)
    assert not pace.is_short(ASKED, target)


def test_what_its_like_took_counts_more_than_what_was_measured() -> None:
    pace = Pace()
    pace.note(ASKED, TARGET, LONG_SECONDS / 2)
    assert pace.is_short(ASKED, TARGET, lambda _: LONG_SECONDS * 2)
    pace.note(ASKED, TARGET, LONG_SECONDS * 100)
    assert not pace.is_short(ASKED, TARGET, lambda _: 0.0)
