"""Whatever the data calls its columns, classes and categories, the page shows it as text and does nothing."""

from __future__ import annotations

import re

import pytest

from tests.training.report.conftest import HOSTILE, Page, Reported

ALL = ("of_classes", "of_quantities", "of_texts", "of_digits", "of_many_classes", "of_decided", "of_hostile_names")
INERT = {
    "script",
    "img",
    "iframe",
    "object",
    "embed",
    "link",
    "form",
    "base",
    "foreignobject",
    "animate",
    "set",
    "audio",
}


@pytest.fixture(params=ALL)
def reported(request: pytest.FixtureRequest) -> Reported:
    found: Reported = request.getfixturevalue(request.param)
    return found


def test_a_page_runs_nothing_and_fetches_nothing(reported: Reported) -> None:
    for tag, attributes in reported.page.tags:
        assert tag not in INERT
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("href", "src", "xlink:href"):
                assert (value or "").startswith(("#", "data:image/png;base64,"))
    assert "://" not in reported.html
    assert not re.search(r"@import|url\((?!#)", reported.html)


def test_a_page_is_of_bounded_size(reported: Reported) -> None:
    assert len(reported.html) < 1_000_000
    assert len(str(reported.document)) < 1_000_000


def test_nothing_was_left_out(reported: Reported) -> None:
    assert reported.document["left_out"] == []


def test_strangers_words_are_shown_as_they_are(of_hostile_names: Reported) -> None:
    text = of_hostile_names.page.text
    for name in ("markup", "formula", "style"):
        assert HOSTILE[name] in text
    assert "z" * 59 + "…" in text
    assert "z" * 61 not in text
    assert "😀 שלום \\u202edesrever" in text
    assert "\u202e" not in of_hostile_names.html
    assert "b\\x07ell" in text
    assert "{{ 7 * 7 }} {% raw %}" in text


def test_plots_are_labelled_with_strangers_words_as_text(of_hostile_names: Reported) -> None:
    svgs = re.findall(r"<svg viewBox.*?</svg>", of_hostile_names.html, re.DOTALL)
    labelled = [Page(svg).text for svg in svgs]
    assert sum("<b>yes</b>" in text and "$no_{1}$" in text and "漢字 😀" in text for text in labelled) >= 4
    assert "@" not in "".join(labelled)


def test_plots_take_their_colours_from_the_page(reported: Reported) -> None:
    for svg in re.findall(r"<svg viewBox.*?</svg>", reported.html, re.DOTALL):
        assert "var(--ink)" in svg or "var(--muted)" in svg
        assert not re.search(r"(fill|stroke): #", svg)


def test_every_plot_says_what_it_shows(reported: Reported) -> None:
    for tag, attributes in reported.page.tags:
        if tag == "svg":
            assert attributes["role"] == "img"
            assert attributes["aria-label"]
