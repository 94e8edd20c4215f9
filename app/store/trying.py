"""Asking a version without a service: the same bodies, the same checks, the same answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from app import wire
from app.errors import StoreError
from app.store.catalog import ModelStore
from app.store.golden import golden_batch
from app.store.loading import load_version
from app.wire.body import Decoded, Form


@dataclass(frozen=True)
class Asked:
    """What a version answered: the reply as the service would send it, and the answers one by one."""

    reply: bytes
    answers: list[Any]


def ask(  # noqa: PLR0913  # what a request says
    catalog: ModelStore, name: str, version: int, method: str, body: bytes | None, *, allow_mismatch: bool = False
) -> Asked:
    """Load a version and let it answer a JSON body of ``/predict``, or a bare list of rows; None: its golden rows.

    Raises
    ------
    StoreError
        The version cannot be loaded, has no such method, or cannot take these rows.
    MalformedBody, InvalidRows
        The body is not JSON, or its rows do not fit the signature.
    """
    model = load_version(catalog, name, version, allow_mismatch=allow_mismatch)
    output = model.signature.outputs.get(method)
    if output is None:
        raise StoreError(f"{name} version {version} has no {method}; it has {', '.join(model.signature.methods)}")
    if body is None:
        decoded = Decoded(golden_batch(model.signature, model.manifest.golden.rows), Form())
    else:
        body = b'{"X":' + body + b"}" if body.lstrip()[:1] in (b"[", b'"') else body
        decoded = wire.decode(wire.JSON, body, model.signature, max_rows=len(body) + 1)
    try:
        answer = model.engine.run(decoded.batch, method)
    except Exception as fault:  # an estimator may raise anything for rows that it does not take
        raise StoreError(f"{name} cannot take these rows: {type(fault).__name__}: {fault}") from fault
    reply = wire.encode(answer, output, decoded.form, wire.JSON)
    values = orjson.loads(reply)[decoded.form.key]
    if decoded.form.scalar:
        return Asked(reply, [values])
    # Several outputs come one after another; a row's answer is what each of them says of it.
    return Asked(reply, list(zip(*values, strict=True)) if isinstance(answer, list) else values)
