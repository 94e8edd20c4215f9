"""The model card: what the model is for, what it must not be trusted with, and how to ask it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.store import Manifest
from app.store.showing import ENGINE_COLUMNS, describe, engine_table, example
from app.training.report.labels import readable

_MOST_INPUTS = 100
_MOST_CATEGORIES = 10
_ANSWERS = ENGINE_COLUMNS.index("answers")
_FEW_ROWS = 200
_FEW_ROWS_OF_A_CLASS = 20


def describe_model(manifest: Manifest, document: Mapping[str, Any], port: int) -> dict[str, Any]:
    """Return the card of the version that `manifest` describes and `document` tells the training of."""
    inputs = manifest.signature.inputs
    curl = example(manifest, f"localhost:{port}")
    return {
        "intended_use": _intended_use(manifest, document),
        "limits": _limits(document),
        "what": describe(manifest),
        "methods": list(manifest.methods),
        "library": dict(manifest.library),
        "bytes": sum(entry.bytes for entry in manifest.files.values()),
        "inputs": [
            {
                "name": readable(each.name),
                "dtype": each.dtype,
                "missing": each.nullable,
                "used": each.used,
                "categories": [readable(value) for value in (each.categories or ())[:_MOST_CATEGORIES]],
            }
            for each in inputs[:_MOST_INPUTS]
        ],
        "inputs_left_off": max(0, len(inputs) - _MOST_INPUTS),
        "engines": [
            {"method": row[0], "engine": row[1], "answers": row[2], "microseconds": list(row[3:6])}
            for row in engine_table(manifest)
            if row[_ANSWERS]
        ],
        "curl": curl.line,
        "curl_for": curl.purpose,
    }


def _intended_use(manifest: Manifest, document: Mapping[str, Any]) -> str:
    asked, data = document["asked"], document["data"]
    used = sum(count for kind, count in data["kinds"].items() if kind != "not used")
    given = "a text" if manifest.signature.container == "texts" else f"{used} column{'s' * (used > 1)}"
    goal = "Tells the class" if document["task"] == "classification" else "Estimates the quantity"
    return f"{goal} {asked['target']!r} from {given}, for rows of the kind that {asked['source']!r} holds."


def _limits(document: Mapping[str, Any]) -> list[str]:
    """Return what to keep in mind, one sentence each; only what the document bears out."""
    data = document["data"]
    told = [
        f"Its quality was measured on {data['rows_held_out']:,} rows of the same source that it had not learnt from. "
        "Rows of another time, place or making may be answered worse; compare them with the section on the data."
    ]
    if data["rows_held_out"] < _FEW_ROWS:
        told.append("So few held-out rows make every figure here a rough one.")
    rare = [row for row in document["per_class"] if row["rows"] < _FEW_ROWS_OF_A_CLASS]
    if rare:
        few = ", ".join(f"{row['class']} ({row['rows']})" for row in rare[:5])
        told.append(f"Of some classes few rows were held out, so little is known of how they fare: {few}.")
    if data["columns_with_missing"]:
        told.append(
            f"{data['columns_with_missing']} columns had missing values; a missing value is answered as the ones it "
            "has seen were."
        )
    if document["task"] == "classification":
        told.append("It knows no other classes, and gives one of them for any row at all, however strange.")
    else:
        target = data["target"]
        told.append(
            f"It has seen targets from {target['min']:g} to {target['max']:g}; what lies beyond is extrapolated, if at "
            "all."
        )
    return told
