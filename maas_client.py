"""Ask a Model-as-a-Service from Python.

One module that needs the standard library alone: copy it, or import it from a checkout. With NumPy arrays go over
the wire as they are, and answers come as arrays; without, both are lists. DataFrames are taken too.

    client = Client("http://127.0.0.1:8000")
    client.predict([[5.1, 3.5, 1.4, 0.2]])
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import math
import random
import socket
import ssl
import time
from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

np: Any
try:
    import numpy as np
except ImportError:  # lists will do
    np = None

__all__ = ["Client", "ServiceError"]

_JSON, _NPY = "application/json", "application/x-npy"
# Predicting changes nothing: what a proxy or a busy worker refused may be asked again.
_WORTH_RETRYING = (502, 503, 504)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_LONGEST_DETAIL = 300
_ANSWERS = ("y_pred", "prediction", "predictions", "outputs")
_NOT_ACCEPTABLE = 406
_OK, _REDIRECTED = 200, 300


class ServiceError(Exception):
    """The service refused, or did not answer in time, or could not be asked.

    Attributes
    ----------
    status: the HTTP status; None where there was no answer.
    detail: what was wrong and what would be right.
    errors: the first bad places, each with ``pointer``, ``row``, ``column`` and ``detail`` where they are known.
    request_id: leads to the request in the service's log; None where there was no answer.
    """

    def __init__(
        self,
        status: int | None,
        detail: str,
        errors: list[dict[str, Any]] | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail if status is None else f"{status}: {detail}")
        self.status = status
        self.detail = detail
        self.errors = errors or []
        self.request_id = request_id
        self.retry_after = retry_after

    @property
    def pointers(self) -> list[str]:
        """Where in the request's JSON the bad places are (RFC 6901)."""
        return [error["pointer"] for error in self.errors if "pointer" in error]


class Client:
    """A client of one service, for any number of threads; connections are kept open and used again.

    Parameters
    ----------
    url
        Where the service is, ``https://models.example.com`` or ``http://127.0.0.1:8000``, with a path where it has one.
    key
        The API key, where the service wants one.
    timeout
        Seconds that a call may take, retries and their pauses included.
    retries
        How often a call is tried again where the service cannot be reached or answers 502, 503 or 504.
    context
        For https, where the system's certificates will not do.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 30.0,
        retries: int = 3,
        context: ssl.SSLContext | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"the URL must be like http://host:port, not {url!r}")
        self.url = url.rstrip("/")
        self._parts = parts
        self._prefix = parts.path.rstrip("/")
        self._headers = {"User-Agent": "maas-client"} | ({} if key is None else {"Authorization": f"Bearer {key}"})
        self._timeout = timeout
        self._retries = retries
        self._context = context
        self._idle: deque[http.client.HTTPConnection] = deque()

    def predict(
        self, rows: Any, model: str | None = None, version: int | str | None = None, *, method: str = "predict"
    ) -> Any:
        """Return the model's answers for rows, as an array where NumPy is there; a bare flat row gives one value.

        Parameters
        ----------
        rows
            An array (n, n_features) or of one row, a DataFrame, lists or dicts of values, or texts; NaN and None are
            missing values. What is flat is one row, or of a model of one column so many rows.
        model, version
            Which one is asked, a version by its number or a label; by default the service's default model, and
            its promoted version, or the one that its split gives this client.
        method
            One of scikit-learn's: predict, predict_proba, predict_log_proba, decision_function, transform, …

        Raises
        ------
        ServiceError
            The service refused, or did not answer in time, or the rows hold what cannot be sent, such as infinity in
            a list.
        """
        body, content_type = _encode(rows)
        path = _path(model, version, method)
        headers = {"Content-Type": content_type, "Accept": content_type}
        try:
            reply, answered_in = self._call("POST", path, body, headers)
        except ServiceError as error:
            # Labels of mixed types have no place in an array's bytes.
            if error.status != _NOT_ACCEPTABLE or content_type == _JSON:
                raise
            reply, answered_in = self._call("POST", path, body, headers | {"Accept": _JSON})
        if answered_in == _NPY:
            return np.load(io.BytesIO(reply), allow_pickle=False)
        document = json.loads(reply)
        return _as_array(next(document[key] for key in _ANSWERS if key in document))

    def predict_proba(self, rows: Any, model: str | None = None, version: int | str | None = None) -> Any:
        """Return probabilities (n, n_classes), as :meth:`predict` does."""
        return self.predict(rows, model, version, method="predict_proba")

    def explain(self, rows: Any, model: str | None = None, version: int | str | None = None) -> dict[str, Any]:
        """Return what each input adds to the model's output, as the service writes it."""
        document: dict[str, Any] = json.loads(self.post(*_encode(rows), model, version, method="explain"))
        return document

    def post(
        self, body: bytes, content_type: str, model: str | None = None, version: int | str | None = None, *, method: str
    ) -> bytes:
        """Send a body that is ready, in any format that the service reads; returns its JSON reply as it came."""
        headers = {"Content-Type": content_type, "Accept": _JSON}
        return self._call("POST", _path(model, version, method), body, headers)[0]

    def classify(self, text: str | list[str], model: str | None = None) -> Any:
        """Return ``{"label", "score"}`` of a text, or a list of them of several."""
        headers = {"Content-Type": _JSON}
        return json.loads(self._call("POST", _path(model, None, "classify"), _dump({"text": text}), headers)[0])

    def models(self) -> list[dict[str, Any]]:
        """Return what is served."""
        models: list[dict[str, Any]] = json.loads(self._call("GET", "/models")[0])["models"]
        return models

    def model(self, name: str, version: int | str | None = None) -> dict[str, Any]:
        """Return what a model takes and gives, and how good it is."""
        document: dict[str, Any] = json.loads(self._call("GET", _path(name, version, ""))[0])
        return document

    def ready(self) -> bool:
        """Tell whether the service has a model that answers, now."""
        try:
            self._call("GET", "/readyz", retries=0)
        except ServiceError:
            return False
        return True

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with contextlib.suppress(IndexError):
            while True:
                self._idle.pop().close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        retries: int | None = None,
    ) -> tuple[bytes, str]:
        """Return a reply's body and media type; tries again while that is worth it and there is time."""
        until = time.monotonic() + self._timeout
        retries = self._retries if retries is None else retries
        for attempt in range(retries + 1):
            try:
                return self._ask(method, path, body, {**self._headers, **(headers or {})}, until)
            except ServiceError as error:
                worth_it = error.status is None or error.status in _WORTH_RETRYING
                pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt) * random.uniform(0.5, 1.0)  # noqa: S311  # no secret
                pause = max(pause, error.retry_after or 0.0)
                if not worth_it or attempt == retries or time.monotonic() + pause >= until:
                    raise
                time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], until: float
    ) -> tuple[bytes, str]:
        """Ask once; a kept connection that was closed meanwhile is replaced by a new one."""
        while True:
            connection, kept = self._connection(until)
            try:
                if connection.sock is None:
                    connection.connect()
                connection.sock.settimeout(_left(until))
                connection.response_class = partial(_Reply, until)  # type: ignore[assignment]  # called, nothing else
                connection.request(method, self._prefix + path, body, headers)
                response = connection.getresponse()
                content = response.read()
            except (OSError, http.client.HTTPException) as fault:
                connection.close()
                if kept and not isinstance(fault, TimeoutError):
                    continue
                told = "in time" if isinstance(fault, TimeoutError) else f"({type(fault).__name__}: {fault})"
                raise ServiceError(None, f"{self.url} did not answer {told}") from fault
            if response.will_close:
                connection.close()
            else:
                self._idle.append(connection)
            if not _OK <= response.status < _REDIRECTED:
                raise _error_of(response, content)
            return content, (response.getheader("Content-Type") or "").partition(";")[0]

    def _connection(self, until: float) -> tuple[http.client.HTTPConnection, bool]:
        """Return a connection, and whether it was used before."""
        left = until - time.monotonic()
        if left <= 0:
            raise ServiceError(None, f"{self.url} did not answer in time")
        try:
            return self._idle.pop(), True
        except IndexError:
            host, port = self._parts.hostname or "", self._parts.port
            if self._parts.scheme == "https":
                return http.client.HTTPSConnection(host, port, timeout=left, context=self._context), False
            return http.client.HTTPConnection(host, port, timeout=left), False


class _Timed(io.RawIOBase):
    """What comes through a socket, until a deadline: the socket's own timeout begins anew with every byte."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self._pieces = sock.makefile("rb", buffering=0)
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_left(self._until))
        return self._pieces.readinto(buffer)

    def close(self) -> None:
        self._pieces.close()
        super().close()


class _Reply(http.client.HTTPResponse):
    """A reply that is read until a deadline."""

    def __init__(self, until: float, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_Timed(sock, until))


def _left(until: float) -> float:
    """Return the seconds that are left; raises TimeoutError where there are none."""
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _error_of(response: http.client.HTTPResponse, content: bytes) -> ServiceError:
    """Read a problem document (RFC 9457), or whatever else came in its place."""
    try:
        problem = json.loads(content)
        detail, errors = problem["detail"], problem.get("errors", [])
    except (ValueError, KeyError, TypeError, AttributeError):
        detail, errors = content.decode("utf-8", "replace").strip()[:_LONGEST_DETAIL] or response.reason, []
    after = response.getheader("Retry-After") or ""
    retry_after = float(after) if after.isdecimal() else None
    return ServiceError(response.status, detail, errors, response.getheader("X-Request-Id"), retry_after)


def _path(model: str | None, version: int | str | None, method: str) -> str:
    if model is None:
        if version is not None:
            raise ValueError("a version needs its model's name")
        return f"/{method}"
    chosen = f"/labels/{quote(version, safe='')}" if isinstance(version, str) else f"/versions/{version}"
    return f"/models/{quote(model, safe='')}{'' if version is None else chosen}" + (f"/{method}" if method else "")


def _encode(rows: Any) -> tuple[bytes, str]:
    """Return rows as a body with its media type."""
    if hasattr(rows, "columns") and hasattr(rows, "iloc"):
        # Numbers stand for columns without names, which the service tells from names that are digits.
        columns = [name if type(name) is int else str(name) for name in rows.columns]
        cells = [rows.iloc[:, index].tolist() for index in range(len(columns))]
        data = [list(row) for row in zip(*cells, strict=True)]
        return _dump({"dataframe_split": {"columns": columns, "data": data}}), _JSON
    if np is not None and isinstance(rows, np.ndarray):
        # Whether a flat one is a row or a column is for the service to say, as of a list.
        if rows.dtype.kind in "fiub" and rows.ndim > 1:
            stream = io.BytesIO()
            np.save(stream, rows, allow_pickle=False)
            return stream.getvalue(), _NPY
        rows = rows.tolist()
    if hasattr(rows, "tolist"):  # a Series
        rows = rows.tolist()
    return _dump({"features" if isinstance(rows, dict) else "X": rows}), _JSON


def _dump(document: Any) -> bytes:
    try:
        return json.dumps(document, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError):
        pass
    try:
        return json.dumps(_plain(document), allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as fault:
        told = "the rows cannot be sent; JSON has finite numbers, texts, booleans and None"
        raise ServiceError(None, f"{told}: {fault}") from fault


def _plain(value: Any) -> Any:
    """Return what JSON can hold: missing values as None, dates as ISO 8601, NumPy's scalars as Python's."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # an array, or one of NumPy's numbers
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if type(value).__name__ in ("NaTType", "NAType") or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value


def _as_array(values: Any) -> Any:
    """Return answers as an array where NumPy is there; null among numbers is NaN."""
    if np is None:
        return values
    array = np.asarray(values)
    if array.dtype == object:
        with contextlib.suppress(TypeError, ValueError):
            return np.array(values, dtype=np.float64)
    return array
