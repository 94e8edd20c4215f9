"""The document and its plots -> the files that are kept with a version."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from app.store import Manifest
from app.training import calibration, threshold
from app.training.progress import PLURALS
from app.training.report.card import describe_model
from app.training.report.evidence import Document, Subject, gather
from app.training.report.labels import readable

if TYPE_CHECKING:
    from jinja2 import Environment

_WORDS = {"f1": "F1", "roc_auc": "ROC AUC", "r2": "R²", "mse": "MSE", "rmse": "RMSE", "mae": "MAE", "mape": "MAPE"}
_WORDS |= {"ece": "calibration error", "brier": "Brier score"}


@dataclass(frozen=True)
class Report:
    """What is known before the model is saved; `plots` are SVG by name."""

    document: Document
    plots: Mapping[str, str]
    port: int

    def files(self, manifest: Manifest) -> dict[str, bytes]:
        """Return ``report.html`` and ``report.json`` of the version that `manifest` describes."""
        model = describe_model(manifest, self.document, self.port)
        document = self.document | {"created": manifest.created, "model": model}
        # orjson writes what is not finite as null, which is what JSON has for it.
        option = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
        content = orjson.dumps(document, default=readable, option=option)
        return {"report.html": render(orjson.loads(content), self.plots), "report.json": content}


def make_report(subject: Subject) -> Report:
    """Gather the evidence and draw it; takes seconds, and knows its bounds."""
    # Looking for fonts, which it does once on a machine, is no news to who trains.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    # Imported only where there is something to draw.
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
    environment.globals |= {"plurals": PLURALS}
    environment.globals |= {"threshold_in_words": threshold.in_words, "calibration_in_words": calibration.in_words}
    environment.filters |= {"number": number, "score": score, "percent": percent, "size": size}
    environment.filters |= {"words": words, "capital": capital}
    return environment


def number(value: Any) -> str:
    """Write a number for people: four digits that matter, thousands apart; a dash for none; of a list, each."""
    if value is None or value == "":
        return "—"
    if isinstance(value, list):
        return " and ".join(map(number, value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return readable(value)
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):  # noqa: PLR2004  # exact as float
        return f"{int(value):,}"
    return f"{value:,.1f}" if 1000 <= abs(value) < 1e9 else f"{value:.4g}"  # noqa: PLR2004  # four digits and more


def score(value: float | None) -> str:
    """Write a metric for people: four places, so that those in a column are compared at a glance."""
    return number(value) if value is None or abs(value) >= 10 else f"{value:.4f}"  # noqa: PLR2004  # a quantity


def size(count: int) -> str:
    """Write a number of bytes in kB or MB."""
    return f"{count / 1e6:,.3g} MB" if count >= 1e6 else f"{count / 1e3:.3g} kB"  # noqa: PLR2004  # a million


def percent(share: float | None) -> str:
    """Write a share as a percentage."""
    return "—" if share is None else f"{100 * share:.1f} %".replace(".0 %", " %")


def capital(text: str) -> str:
    """Write a text with a capital at its beginning, and the rest as it is."""
    return text[:1].upper() + text[1:]


def words(name: str) -> str:
    """Write a key of the document as words."""
    return _WORDS.get(name) or readable(name).replace("_", " ")
