"""Every knob of the application, read once from the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from app.settings import ROOT, Settings, SettingsError, keys_file_to_write


def test_everything_has_a_default_that_works() -> None:
    settings = Settings.from_environ({})
    assert settings.model_store == ROOT / "models"
    assert settings.address == "127.0.0.1:8000"
    assert settings.web_concurrency == len(os.sched_getaffinity(0))
    assert settings.api_keys_file is None
    assert not settings.allow_version_mismatch


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("MODEL_STORE", "/srv/models", "model_store", Path("/srv/models")),
        ("MODEL_STORE", "~/models", "model_store", Path.home() / "models"),
        ("DEFAULT_MODEL", "iris", "default_model", "iris"),
        ("MAX_LOADED_MODELS", "1", "max_loaded_models", 1),
        ("ALLOW_VERSION_MISMATCH", "On", "allow_version_mismatch", True),
        ("ALLOW_VERSION_MISMATCH", "0", "allow_version_mismatch", False),
        ("PORT", "9000", "port", 9000),
        ("BIND", "::1", "bind", "[::1]"),
        ("BIND", "unix:/run/app.sock", "address", "unix:/run/app.sock"),
        ("WEB_CONCURRENCY", "3", "web_concurrency", 3),
        ("WORKER_CLASS", "SYNC", "worker_class", "sync"),
        ("MAX_BODY_BYTES", "1024", "max_body_bytes", 1024),
        ("MAX_ROWS", "10", "max_rows", 10),
        ("REQUEST_TIMEOUT", "2.5", "request_timeout", 2.5),
        ("MAX_QUEUE", "5", "max_queue", 5),
        ("LOG_LEVEL", "debug", "log_level", "DEBUG"),
        ("LOG_FORMAT", "JSON", "log_format", "json"),
        ("ACCESS_LOG", "yes", "access_log", True),
    ],
)
def test_a_variable_is_read_as_what_it_is(variable: str, text: str, field: str, value: Any) -> None:
    assert getattr(Settings.from_environ({variable: text}), field) == value


@pytest.mark.parametrize(
    "variable", ["PORT", "MODEL_STORE", "DEFAULT_MODEL", "API_KEYS_FILE", "ALLOW_VERSION_MISMATCH"]
)
def test_an_empty_variable_is_one_that_is_not_set(variable: str) -> None:
    assert Settings.from_environ({variable: " "}) == Settings.from_environ({})


def test_vertex_port_wins() -> None:
    assert Settings.from_environ({"PORT": "9000", "AIP_HTTP_PORT": "8080"}).port == 8080
    assert Settings.from_environ({"AIP_HTTP_PORT": "8080", "PORT": "9000"}).port == 8080


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("DEFAULT_MODEL", "My Model"),
        ("MAX_LOADED_MODELS", "0"),
        ("ALLOW_VERSION_MISMATCH", "maybe"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "8000.5"),
        ("AIP_HTTP_PORT", "x"),
        ("BIND", "a b"),
        ("WEB_CONCURRENCY", "-1"),
        ("WORKER_CLASS", "gevent"),
        ("MAX_BODY_BYTES", "16MiB"),
        ("MAX_ROWS", "none"),
        ("REQUEST_TIMEOUT", "0"),
        ("REQUEST_TIMEOUT", "nan"),
        ("REQUEST_TIMEOUT", "inf"),
        ("MAX_QUEUE", "0"),
        ("API_KEYS_FILE", "/nowhere/keys.json"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("ACCESS_LOG", "2"),
        ("MODEL_STORE", "a\0b"),
    ],
)
def test_a_wrong_value_is_told_in_one_line_that_names_it(variable: str, text: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environ({variable: text})
    assert str(raised.value).startswith(f"{variable} ")
    assert "\n" not in str(raised.value)


def test_the_keys_file_to_write_need_not_be_there(tmp_path: Path) -> None:
    assert keys_file_to_write({"API_KEYS_FILE": str(tmp_path / "new.json")}) == tmp_path / "new.json"
    assert keys_file_to_write({}) == ROOT / "keys.json"


def test_vertex_says_where_to_listen_and_what_it_asks() -> None:
    given = {
        "AIP_HTTP_PORT": "8081",
        "AIP_HEALTH_ROUTE": "/v1/endpoints/7",
        "AIP_PREDICT_ROUTE": "/v1/endpoints/7:predict",
    }
    settings = Settings.from_environ(given)
    assert (settings.address, settings.aip_health_route) == ("0.0.0.0:8081", "/v1/endpoints/7")
    assert settings.aip_predict_route == "/v1/endpoints/7:predict"
    assert Settings.from_environ(given | {"BIND": "127.0.0.1"}).bind == "127.0.0.1"


@pytest.mark.parametrize("route", ["predict", "/", "/<name>", "/a?b", "/a b", "http://a/b"])
def test_a_route_of_vertex_is_a_plain_path(route: str) -> None:
    with pytest.raises(SettingsError, match="AIP_PREDICT_ROUTE must be a path such as /predict"):
        Settings.from_environ({"AIP_PREDICT_ROUTE": route})
