"""Who answers: the store's own version in this process, or a running service."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import orjson

from app import wire
from app.errors import InvalidRows, MalformedBody, ServiceError, StoreError, TooLarge
from app.scoring.errors import ScoringError
from app.signature import Array, Output, Outputs, Signature
from app.store import ModelStore
from app.store.loading import load_version


class Refused(Exception):
    """Rows were refused; `places` tells by index in the chunk which, and why, where that is known."""

    def __init__(self, detail: str, places: dict[int, str] | None = None, *, too_large: bool = False) -> None:
        super().__init__(detail)
        self.places = places or {}
        self.too_large = too_large


class Asker(Protocol):
    """Answers the body of a request with the columns of the answer."""

    signature: Signature

    def ask(self, body: bytes, content_type: str) -> dict[str, Array]:
        """Return the answer's columns by name; raises Refused or ScoringError."""
        ...


class InProcess:
    """Answers with a version of the store, loaded here; raises StoreError where there is none."""

    def __init__(self, catalog: ModelStore, model: str, version: int | None, method: str, *, allow: bool) -> None:
        if version is None:
            catalog.existing(model)
            version = catalog.promoted(model)
            if version is None:
                raise StoreError(f"model {model!r} has no promoted version; name one with --version")
        self._model = load_version(catalog, model, version, allow_mismatch=allow)
        self._method = method
        self.signature = self._model.signature
        self._output = _output_of(self.signature, model, method)

    def ask(self, body: bytes, content_type: str) -> dict[str, Array]:
        """Decode the body as the service does, and let the engine answer."""
        try:
            decoded = wire.decode(content_type, body, self.signature, len(body) + 1)
            answer = self._model.engine.run(decoded.batch, self._method)
        except (InvalidRows, MalformedBody, TooLarge) as fault:
            places = {bad.row: _told(bad.column, bad.detail) for bad in fault.errors if bad.row is not None}
            raise Refused(fault.detail, places) from fault
        except ServiceError as fault:
            raise ScoringError(fault.detail) from fault
        except Exception as fault:  # an estimator may raise anything for rows that it does not take
            raise Refused(f"the model cannot take these rows: {type(fault).__name__}: {fault}") from fault
        return _named(answer, self._output, self._method)


class ByUrl:
    """Answers through a running service; raises ScoringError where it does not answer."""

    def __init__(self, url: str, key: str | None, model: str, version: int | None, method: str) -> None:
        import maas_client

        try:
            self._client = maas_client.Client(url, key, timeout=120.0, retries=5)
            document = self._client.model(model, version)
        except ValueError as fault:
            raise ScoringError(str(fault)) from fault
        except maas_client.ServiceError as fault:
            raise ScoringError(f"{url}: {fault}") from fault
        self._fault = maas_client.ServiceError
        self._model, self._method = model, method
        # One version for the whole file, whatever is promoted meanwhile; the promoted one is asked by its number.
        self._version = document["version"]
        self.signature = Signature.from_dict(document["signature"])
        self._output = _output_of(self.signature, model, method)

    def ask(self, body: bytes, content_type: str) -> dict[str, Array]:
        """Send the body, and read the answer from JSON, which holds every float64."""
        try:
            reply = self._client.post(body, content_type, self._model, self._version, method=self._method)
        except self._fault as fault:
            places = {
                error["row"]: _told(error.get("column"), error["detail"]) for error in fault.errors if "row" in error
            }
            if fault.status == TooLarge.status:
                raise Refused(fault.detail, places, too_large=True) from fault
            if fault.status in (InvalidRows.status, MalformedBody.status):
                raise Refused(fault.detail, places) from fault
            raise ScoringError(f"{self._client.url}: {fault}") from fault
        document = orjson.loads(reply)
        values = next(value for key, value in document.items() if key != "classes")
        if isinstance(self._output, tuple):
            parts: Any = [_restored(part, output) for part, output in zip(values, self._output, strict=True)]
        else:
            parts = _restored(values, self._output)
        return _named(parts, self._output, self._method)


def _restored(values: Any, output: Output) -> Array:
    kind = np.dtype(output.dtype).kind if not output.dtype.startswith("str") else "U"
    if kind == "f":
        return np.array(values, dtype=np.float64)
    return np.array(values, dtype=output.dtype if kind in "iub" else object)


def _output_of(signature: Signature, model: str, method: str) -> Outputs:
    output = signature.outputs.get(method)
    if output is None:
        raise ScoringError(f"model {model!r} has no {method}; it has {', '.join(signature.methods)}")
    return output


def _named(answer: Any, output: Outputs, method: str) -> dict[str, Array]:
    """Return the answer's columns by name, such as ``prediction``, ``prediction_0`` or ``predict_proba_setosa``."""
    stem = "prediction" if method == "predict" else method
    if isinstance(answer, list):
        several = output if isinstance(output, tuple) else (output,) * len(answer)
        columns: dict[str, Array] = {}
        for index, (part, one) in enumerate(zip(answer, several, strict=True)):
            columns |= {f"{stem}_{index}{name}": column for name, column in _suffixed(part, one).items()}
        return columns
    return {f"{stem}{name}": column for name, column in _suffixed(answer, output).items()}


def _suffixed(answer: Array, output: Outputs) -> dict[str, Array]:
    if answer.ndim == 1:
        return {"": answer}
    flat = answer.reshape(len(answer), -1)
    classes = output.classes if isinstance(output, Output) else None
    names = range(flat.shape[1]) if classes is None else classes
    return {f"_{name}": flat[:, index] for index, name in enumerate(names)}


def _told(column: str | None, detail: str) -> str:
    return detail if column is None else f"column {column!r}: {detail}"
