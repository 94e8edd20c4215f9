"""Figures -> SVG that may stand inside a page: safe whatever it is labelled with, readable in light and dark.

Strangers' words never reach matplotlib, which would read ``$x$`` as a formula and warn of glyphs that its
font lacks: a figure is drawn with placeholders of the words' length, and the finished SVG gets the words as text.
Colours are placeholders too: the page's style sheet says what each is.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
from matplotlib.figure import Figure

from app.training.report.labels import abridged, readable

INK, MUTED, LINE, GOOD, BAD = "#010201", "#010202", "#010203", "#010204", "#010205"
SERIES = ("#010211", "#010212", "#010213", "#010214", "#010215", "#010216")
_VARIABLES: Mapping[str, str] = {
    INK: "var(--ink)",
    "#000000": "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    GOOD: "var(--good)",
    BAD: "var(--bad)",
    **{colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, start=1)},
}
_COLOURS = re.compile("|".join(_VARIABLES))
_PLACEHOLDER = re.compile(r"@(\d+)x*@")
_FONT = re.compile(r"font: (?:[a-z0-9]+ )*?([\d.]+px)[^;]*")
_LONGEST = 200
_NAMESPACE = re.compile(r"^{[^}]*}")
_STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": LINE,
    "grid.linewidth": 0.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "legend.labelcolor": INK,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.6,
}


class Drawing:
    """A figure with one axes, and the words that its placeholders stand for."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width, height), layout="constrained")
        self.axes = self.figure.add_subplot()
        self._words: list[str] = []

    def word(self, value: object, most: int = 18) -> str:
        """Return the placeholder of a stranger's word, as wide as what will be shown."""
        shown = abridged(readable(value, _LONGEST), most)
        self._words.append(shown)
        number = str(len(self._words) - 1)
        return f"@{number}{'x' * (len(shown) - len(number) - 2)}@"

    def svg(self, title: str) -> str:
        """Return the figure as the SVG element of a page, `title` for who cannot see it."""
        stream = io.BytesIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        self.figure.savefig(stream, format="svg", metadata=nothing)
        root = ET.fromstring(stream.getvalue())  # noqa: S314  # written by matplotlib just now, of placeholders only
        return _for_a_page(root, self._words, title)


@contextmanager
def drawing(width: float, height: float) -> Iterator[Drawing]:
    """Give a figure of `width` times `height` inches to draw on, and the style of all."""
    with mpl.rc_context(_STYLE):
        yield Drawing(width, height)


def _for_a_page(root: ET.Element, words: list[str], title: str) -> str:
    """Leave out what a page needs not: namespaces, unused ids, style sheets, fonts; put in words and colours."""
    used = set(re.findall(r"#(\w+)", " ".join(value for node in root.iter() for value in node.attrib.values())))
    for node in root.iter():
        node.tag = _NAMESPACE.sub("", node.tag)
        attributes = {_NAMESPACE.sub("", name): value for name, value in node.attrib.items()}
        if attributes.get("id") not in used:
            attributes.pop("id", None)
        node.attrib = {name: _restyled(value) for name, value in attributes.items()}
        if node.text:
            node.text = _PLACEHOLDER.sub(lambda found: words[int(found[1])], node.text)
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in ("metadata", "style")]:
            parent.remove(child)
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": readable(title, 200)}
    return ET.tostring(root, encoding="unicode")


def _restyled(value: str) -> str:
    return _COLOURS.sub(lambda found: _VARIABLES[found[0]], _FONT.sub(r"font-size: \1", value))
