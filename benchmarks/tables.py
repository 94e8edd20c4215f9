"""The figures as the tables of BENCHMARKS.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

# They answer a constant or are not what anybody would choose: the best of the others is what counts.
_NO_PEERS = ("ours", "constant", "flask")
_TITLES = {
    "ours": "ours",
    "constant": "constant",
    "flask": "Flask",
    "fastapi": "FastAPI",
    "mlserver": "MLServer",
    "litserve": "LitServe",
    "mlflow": "MLflow",
    "bentoml": "BentoML",
    "ray": "Ray Serve",
}

Figures = Sequence[dict[str, Any]]


def tables(figures: Figures) -> Iterator[str]:
    """Yield Markdown: requests per second by number of rows, p99 latency, and memory and start."""
    names = [name for name in _TITLES if any(figure["peer"] == name for figure in figures)]
    for rows in sorted({figure["rows"] for figure in figures}):
        yield f"## Requests per second, {'one row' if rows == 1 else f'{rows} rows of JSON'}\n"
        yield from _table(figures, names, rows, "requests_per_second", "{:,.0f}", best=max)
    yield "## p99 in milliseconds, one row, 16 connections\n"
    yield from _table(figures, names, 1, "p99", "{:,.1f}", best=min)
    yield "## Memory (proportional, MB)\n"
    yield from _table(figures, names, 1, "memory", "{:,.0f}", best=min)
    yield "## From exec to the first answer, in seconds\n"
    yield from _table(figures, names, 1, "start", "{:,.2f}", best=min)


def _table(  # noqa: PLR0913  # each says another thing of the table
    figures: Figures, names: Sequence[str], rows: int, what: str, form: str, *, best: Any
) -> Iterator[str]:
    found = {(figure["model"], figure["peer"]): figure[what] for figure in figures if figure["rows"] == rows}
    yield "| model | " + " | ".join(_TITLES[name] for name in names) + " | ours / best peer |"
    yield "|---" * (len(names) + 2) + "|"
    for model in dict.fromkeys(figure["model"] for figure in figures):
        cells = [form.format(found[model, name]) if (model, name) in found else "" for name in names]
        peers = [found[model, name] for name in names if name not in _NO_PEERS and (model, name) in found]
        ratio = _ratio(found[model, "ours"] / best(peers)) if peers and (model, "ours") in found else ""
        yield f"| {model} | " + " | ".join(cells) + f" | {ratio} |"
    yield ""


def _ratio(value: float) -> str:
    return f"{value:.0f}x" if value >= 10 else f"{value:.1f}x" if value >= 1 else f"{value:.3f}x"  # noqa: PLR2004  # two digits
