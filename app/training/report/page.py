"""The document and its plots -> the files that are kept with a version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from app.store import Manifest
from app.training.report.card import describe_model
from app.training.report.evidence import Document, Subject, gather
from app.training.report.labels import readable

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True)
class Report:
    """What is known before the model is saved; `plots` are SVG by name."""

    document: Document
    plots: Mapping[str, str]
    port: int

    def files(self, manifest: Manifest) -> dict[str, bytes]:
        """Return ``report.html`` and ``report.json`` of the version that `manifest` describes."""
        document = self.document | {"created": manifest.created, "model": describe_model(manifest, self.document, self.port)}
        # orjson writes what is not finite as null, which is what JSON has for it.
        content = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY)
        return {"report.html": render(orjson.loads(content), self.plots), "report.json": content}


def make_report(subject: Subject) -> Report:
    """Gather the evidence and draw it; takes seconds, and knows its bounds."""
    # matplotlib is imported only where there is something to draw.
    from app.training.report.plots import draw

    document = gather(subject)
    return Report(document, draw(document), subject.options.port)


def render(document: Document, plots: Mapping[str, str]) -> bytes:
    """Return the page of a document; whatever is in it is escaped, but the plots."""
    from markupsafe import Markup

    page = _environment().get_template("page.html")
    return page.render(**document, document=document, plots={name: Markup(svg) for name, svg in plots.items()}).encode()  # noqa: S704  # drawn by us, with strangers' words as text


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "percent": percent, "words": words}
    return environment


def number(value: Any) -> str:
    """Write a number for people: four digits that matter, thousands apart; a dash for none."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return readable(value)
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):  # noqa: PLR2004  # exact as float
        return f"{int(value):,}"
    return f"{value:,.1f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"  # noqa: PLR2004  # four digits and more


def percent(share: float | None) -> str:
    """Write a share as a percentage."""
    return "–" if share is None else f"{100 * share:.1f} %".replace(".0 %", " %")


def words(name: str) -> str:
    """Write a key of the document as words."""
    return readable(name).replace("_", " ")
