"""Every knob of the application, read once from the environment.

This is the only module that reads ``os.environ``; everything else is handed a :class:`Settings`.
A wrong value raises :class:`SettingsError` with one line that names the variable, so that a
mistyped setting stops the start instead of surfacing in the middle of the night.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

_LONGEST_TIMEOUT = 3600
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_LOG_FORMATS = ("plain", "json")
_WORKER_CLASSES = ("event", "gthread", "sync")
_SWITCH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


class SettingsError(RuntimeError):
    """A setting has a value that cannot work; the message is one line that names it.

    A RuntimeError, since gunicorn tells those of the app that it loads in one line, and not with where they came from.
    """


@dataclass(frozen=True, slots=True)
class Settings:
    """The application's settings; every field has a default that works.

    The field ``model_store`` is read from the variable ``MODEL_STORE``, and so on. Sizes are in
    bytes, times in seconds.
    """

    model_store: Path = ROOT / "models"
    default_model: str | None = None
    max_loaded_models: int = 32
    allow_version_mismatch: bool = False
    port: int = 8000
    bind: str = "127.0.0.1"
    web_concurrency: int = 1
    worker_class: str = "event"
    threads: int = 4
    max_body_bytes: int = 16 * 1024 * 1024
    max_rows: int = 100_000
    request_timeout: float = 30.0
    max_queue: int = 64
    api_keys_file: Path | None = None
    aip_health_route: str | None = None
    aip_predict_route: str | None = None
    log_level: str = "INFO"
    log_format: str = "plain"
    access_log: bool = False

    @property
    def address(self) -> str:
        """What gunicorn binds: ``host:port``, or the ``unix:`` path that BIND names."""
        return self.bind if self.bind.startswith("unix:") else f"{self.bind}:{self.port}"

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from `environ` (``os.environ`` by default).

        An empty variable counts as one that is not set. ``AIP_HTTP_PORT``, which Vertex AI sets,
        wins over ``PORT``, and opens the service to all of its container's addresses.

        Raises
        ------
        SettingsError
            A variable holds what its setting cannot take.
        """
        environ = os.environ if environ is None else environ
        given = {
            field: parse(name, environ[name])
            for name, (field, parse) in _VARIABLES.items()
            if environ.get(name, "").strip()
        }
        given.setdefault("web_concurrency", _cores())
        if environ.get("AIP_HTTP_PORT", "").strip():
            given.setdefault("bind", "0.0.0.0")  # noqa: S104  # Vertex asks from outside of the container
        return cls(**given)  # type: ignore[arg-type]  # each parser returns its own field's type


def keys_file_to_write(environ: Mapping[str, str] | None = None) -> Path:
    """Return the keys file that ``API_KEYS_FILE`` names, there or not yet, else ``keys.json`` in the checkout."""
    environ = os.environ if environ is None else environ
    given = environ.get("API_KEYS_FILE", "")
    return _path("API_KEYS_FILE", given) if given.strip() else ROOT / "keys.json"


def _cores() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _whole(low: int, high: int) -> Callable[[str, str], int]:
    def parse(name: str, text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise SettingsError(f"{name} must be a whole number from {low} to {high}, not {text!r}")
        return value

    return parse


def _seconds(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= _LONGEST_TIMEOUT:
        raise SettingsError(f"{name} must be a number of seconds above 0 and up to {_LONGEST_TIMEOUT}, not {text!r}")
    return value


def _switch(name: str, text: str) -> bool:
    try:
        return _SWITCH[text.strip().lower()]
    except KeyError:
        raise SettingsError(f"{name} must be on or off, not {text!r}") from None


def _one_of(choices: tuple[str, ...], fold: Callable[[str], str]) -> Callable[[str, str], str]:
    def parse(name: str, text: str) -> str:
        value = fold(text.strip())
        if value not in choices:
            raise SettingsError(f"{name} must be one of {', '.join(choices)}, not {text!r}")
        return value

    return parse


def _model_name(name: str, text: str) -> str:
    if not MODEL_NAME.fullmatch(text):
        raise SettingsError(f"{name} must match {MODEL_NAME.pattern}, not {text!r}")
    return text


def _path(name: str, text: str) -> Path:
    if "\0" in text:
        raise SettingsError(f"{name} must be a path, not {text!r}")
    return Path(text).expanduser()


def _keys_file(name: str, text: str) -> Path:
    path = _path(name, text)
    if not path.is_file():
        raise SettingsError(f"{name} names {text!r}, which is not a file; make it with scripts/keys.py")
    return path


def _host(name: str, text: str) -> str:
    if not re.fullmatch(r"unix:\S+|[\w.:\[\]-]+", text):
        raise SettingsError(f"{name} must be an address to listen on or unix:/path, not {text!r}")
    return f"[{text}]" if ":" in text and not text.startswith(("unix:", "[")) else text


def _route(name: str, text: str) -> str:
    # What stands for something in a rule of Flask's, or never reaches it, is no part of a fixed path.
    if not re.fullmatch(r"/[\w.~!$&'()*+,;=:@/-]+", text, re.ASCII):
        raise SettingsError(f"{name} must be a path such as /predict, not {text!r}")
    return text


# Later entries win: AIP_HTTP_PORT stands after PORT.
_VARIABLES: dict[str, tuple[str, Callable[[str, str], object]]] = {
    "MODEL_STORE": ("model_store", _path),
    "DEFAULT_MODEL": ("default_model", _model_name),
    "MAX_LOADED_MODELS": ("max_loaded_models", _whole(1, 100_000)),
    "ALLOW_VERSION_MISMATCH": ("allow_version_mismatch", _switch),
    "PORT": ("port", _whole(1, 65_535)),
    "AIP_HTTP_PORT": ("port", _whole(1, 65_535)),
    "BIND": ("bind", _host),
    "WEB_CONCURRENCY": ("web_concurrency", _whole(1, 1024)),
    "WORKER_CLASS": ("worker_class", _one_of(_WORKER_CLASSES, str.lower)),
    "THREADS": ("threads", _whole(1, 1024)),
    "MAX_BODY_BYTES": ("max_body_bytes", _whole(1, 2**40)),
    "MAX_ROWS": ("max_rows", _whole(1, 10**9)),
    "REQUEST_TIMEOUT": ("request_timeout", _seconds),
    "MAX_QUEUE": ("max_queue", _whole(1, 1_000_000)),
    "API_KEYS_FILE": ("api_keys_file", _keys_file),
    "AIP_HEALTH_ROUTE": ("aip_health_route", _route),
    "AIP_PREDICT_ROUTE": ("aip_predict_route", _route),
    "LOG_LEVEL": ("log_level", _one_of(_LOG_LEVELS, str.upper)),
    "LOG_FORMAT": ("log_format", _one_of(_LOG_FORMATS, str.lower)),
    "ACCESS_LOG": ("access_log", _switch),
}
