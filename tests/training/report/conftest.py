"""Reports of small trainings of every kind, made once."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from app import store
from app.training.options import Options
from app.training.pipeline import train
from app.training.progress import Progress


class Page(HTMLParser):
    """What a browser would make of a page: its tags with their attributes, its cards' titles, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._texts: list[str] = []
        self.titles: list[str] = []
        self.feed(html)
        self.close()
        self.text = " ".join(" ".join(self._texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self._texts.append(data)
        if self.tags and self.tags[-1][0] == "h3" and data.strip():
            self.titles.append(data)

    def headings(self) -> list[str | None]:
        return [attributes.get("id") for tag, attributes in self.tags if tag == "section"]


@dataclass(frozen=True)
class Reported:
    """A report as it is kept: the page, and the document as a strict reader of JSON has it."""

    html: str
    document: dict[str, Any]
    printed: str

    @property
    def page(self) -> Page:
        return Page(self.html)


Report = Callable[..., Reported]


def _no_such_number(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Train on a frame or a data set, and read back what the store keeps beside the version."""

    def run(frame: pd.DataFrame | None = None, **options: Any) -> Reported:
        folder = tmp_path_factory.mktemp("report")
        if frame is not None:
            frame.to_csv(folder / "x.csv", index=False)
            options["data"] = folder / "x.csv"
        printed = io.StringIO()
        saved = train(Options(store=folder / "models", **options), Progress(Console(file=printed))).saved
        catalog = store.ModelStore(folder / "models")
        html, content = (
            store.read_attachment(catalog, saved.name, saved.version, f"report.{kind}") or b""
            for kind in ("html", "json")
        )
        document = json.loads(content, parse_constant=_no_such_number)
        return Reported(html.decode(), document, printed.getvalue())

    return run


@pytest.fixture(scope="session")
def of_classes(report: Report, passengers: pd.DataFrame) -> Reported:
    return report(passengers, target="survived", drop=("remark",), estimator="logistic", seed=3)


@pytest.fixture(scope="session")
def of_quantities(report: Report) -> Reported:
    return report(dataset="diabetes", estimator="ridge", refit=True)


@pytest.fixture(scope="session")
def of_texts(report: Report, tmp_path_factory: pytest.TempPathFactory) -> Reported:
    lines = ["ham,see you at lunch number {}", "spam,win a prize now call {}", "spam,lunch prize {}"] * 15
    path: Path = tmp_path_factory.mktemp("texts") / "messages.csv"
    path.write_text("".join(f"{line}\n".format(number) for number, line in enumerate(lines)))
    return report(data=path, recipe="text")


@pytest.fixture(scope="session")
def of_digits(report: Report) -> Reported:
    return report(recipe="digits", epochs=2, test_size=0.5)


@pytest.fixture(scope="session")
def of_many_classes(report: Report) -> Reported:
    chance = np.random.default_rng(0)
    kinds = np.repeat(np.arange(100), 12)
    frame = pd.DataFrame({"a": kinds + chance.normal(0, 2, 1200), "b": chance.normal(size=1200)})
    return report(frame.assign(label=[f"class number {kind}" for kind in kinds]), estimator="naive-bayes")


@pytest.fixture(scope="session")
def of_decided(report: Report) -> Reported:
    """Of ten copies of one clue, which make naive Bayes far too sure, with calibration and threshold."""
    chance = np.random.default_rng(0)
    bad = chance.random(600) < 0.2
    clue = bad + chance.normal(scale=0.8, size=600)
    frame = pd.DataFrame({f"clue {i}": clue + chance.normal(scale=0.05, size=600) for i in range(10)})
    labels = np.where(bad, "<b>bad</b>", "good")
    return report(frame.assign(kind=labels), estimator="naive-bayes", threshold="5:1", calibrate="sigmoid")


HOSTILE = {
    "markup": "<script>alert(1)</script>",
    "formula": "$x_1$ \\frac{$ \"quoted\" & 'single'",
    "long": "z" * 10_000,
    "emoji": "😀 שלום \u202edesrever",
    "style": "</style><img src=x onerror=alert(1)>",
}


@pytest.fixture(scope="session")
def of_hostile_names(report: Report) -> Reported:
    chance = np.random.default_rng(0)
    n = 160
    frame = pd.DataFrame({name: chance.normal(size=n) for name in list(HOSTILE.values())[:4]})
    frame["{{ 7 * 7 }} {% raw %}"] = chance.choice([HOSTILE["style"], "$\\alpha", "b\x07ell"], n)
    labels = np.array(["<b>yes</b>", "$no_{1}$", "漢字 😀"])
    frame["<i>target</i>"] = labels[np.digitize(frame.iloc[:, 0] + chance.normal(0, 0.5, n), [-0.5, 0.5])]
    return report(frame, target="<i>target</i>", estimator="logistic", name="hostile")
