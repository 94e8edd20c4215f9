"""A version in words: what it is, and how to ask it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

from app.errors import StoreError
from app.signature import Container
from app.store.catalog import ModelStore
from app.store.manifest import Manifest
from app.store.serving import Serving, percent
from app.wire.json_body import document_of

# Of a command line for people, in characters.
LONGEST_LINE = 2000
_CONTAINERS: dict[Container, str] = {
    "array": "an array of numbers",
    "objects": "an array of objects",
    "vector": "a vector of numbers",
    "frame": "a DataFrame",
    "texts": "texts",
}


def describe(manifest: Manifest) -> str:
    """Say in a line what the model is for, what it takes and what it can be asked."""
    signature = manifest.signature
    container = _CONTAINERS[signature.container]
    if signature.container != "texts":
        unused = len(signature.inputs) - len(signature.required)
        plural = "s" * (len(signature.inputs) != 1)
        container += f" ({len(signature.inputs)} input{plural}{f', {unused} not used' if unused else ''})"
    random = f"; random: {', '.join(manifest.golden.random)}" if manifest.golden.random else ""
    return f"{manifest.task} on {container}: {', '.join(signature.methods)}{random}"


def example_body(manifest: Manifest) -> dict[str, Any]:
    """Return the JSON body that asks about a golden row: the first without a missing value, if there is one."""
    signature, rows = manifest.signature, manifest.golden.rows
    if signature.container == "texts":
        return document_of(signature, next((text for text in rows if text), rows[0]))
    return document_of(signature, next((row for row in rows if None not in row), rows[0]))


class Example(NamedTuple):
    """A command line to try, and what it is there for, in words that follow "to"."""

    line: str
    purpose: str


def example(manifest: Manifest, url: str, *, as_default: bool = False) -> Example:
    """Return a command line that asks the model about a row of its sample, at the service's `url`.

    Of a row that nobody would copy, it is one that shows where the fields are described. `as_default` leaves the
    model's name out, as the default one is asked.
    """
    line = _curl_line(manifest, url, as_default=as_default)
    if len(line) <= LONGEST_LINE:
        return Example(line, "ask it")
    described = shlex.quote(f"{url}/openapi.json?model={manifest.name}")
    return Example(f"curl {described}", "see the fields of a row, too many to write here")


def _curl_line(manifest: Manifest, url: str, *, as_default: bool) -> str:
    method = "predict" if "predict" in manifest.methods else manifest.methods[0]
    body = shlex.quote(json.dumps(example_body(manifest), ensure_ascii=False))
    path = method if as_default else f"models/{manifest.name}/{method}"
    return f"curl -d {body} -H 'Content-Type: application/json' {url}/{path}"


def describe_split(serving: Serving) -> str:
    """Say who answers requests that name no version; empty where the promoted one answers alone."""
    if not serving.split:
        return ""
    shares = ", ".join(f"{percent(share)} to version {version}" for version, share in serving.split.items())
    how = f"by {serving.sticky} or API key, else by chance" if serving.sticky else "by chance"
    return f"{shares}, the rest to version {serving.promoted}; {how}"


def describe_shadow(serving: Serving) -> str:
    """Say who answers unseen; empty where nobody does."""
    shadow = serving.shadow
    return (
        f"version {shadow.version} is asked too, unseen, for {percent(shadow.share)} of the requests" if shadow else ""
    )


ENGINE_COLUMNS = ("method", "engine", "answers", "1 row, µs", "100, µs", "2000, µs", "difference", "why not")


def engine_table(manifest: Manifest) -> list[tuple[Any, ...]]:
    """Return a row for each form that was tried: method, form, where it answers, latencies, difference, why not.

    Where it answers are the sizes of batches that it was chosen for. Latencies are in microseconds, for 1, 100 and
    2,000 rows. Empty for a version that was saved before engines were chosen.
    """
    engine = manifest.engine
    choice = engine.get("choice")
    if not isinstance(choice, Mapping):
        return []
    return [
        (
            told["method"],
            told["name"],
            ", ".join(size for size, name in choice.get(told["method"], {}).items() if name == told["name"]),
            *(told["latency_us"].get(rows) for rows in ("1", "100", "2000")),
            told["max_difference"],
            told["why_not"],
        )
        for told in engine.get("candidates", [])
    ]


def summaries(catalog: ModelStore) -> list[dict[str, Any]]:
    """Describe every model of a store: its versions, what of it is served, and what the promoted one is for.

    Where a manifest or a ``serving.json`` is damaged, ``fault`` says so.
    """
    return [_summary(catalog, name) for name in catalog.names()]


def _summary(catalog: ModelStore, name: str) -> dict[str, Any]:
    summary: dict[str, Any] = {"name": name, "versions": catalog.versions(name), "promoted": None, "labels": {}}
    summary |= {"task": None, "created": None, "methods": []}
    try:
        serving = catalog.serving(name)
        summary |= serving.as_dict()
        manifest = catalog.manifest(name, serving.promoted or summary["versions"][-1])
    except StoreError as fault:
        return summary | {"fault": str(fault)}
    return summary | {"task": manifest.task, "created": manifest.created, "methods": manifest.methods}
