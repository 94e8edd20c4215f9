"""nginx, gunicorn and the app have limits of their own; each must fit the next one's."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
NGINX = (ROOT / "nginx.conf").read_text(encoding="utf-8")
UNITS = {"": 1, "s": 1, "k": 1024, "m": 1024**2}
# The longest part of a request that nginx takes is one of its buffers, the end of line included.
END_OF_LINE = 2


def in_nginx(directive: str, text: str = NGINX) -> int:
    """The last number of a directive of nginx.conf that is there once, in bytes or seconds."""
    [values] = re.findall(rf"^ *{directive} ([^;]+);", text, re.MULTILINE)
    found = re.fullmatch(r"(\d+)([skm]?)", values.split()[-1])
    assert found, values
    return int(found[1]) * UNITS[found[2]]


def block(name: str) -> str:
    """The inside of a block of nginx.conf."""
    found = re.search(rf"^( *){name} {{\n(.*?)^\1}}", NGINX, re.MULTILINE | re.DOTALL)
    assert found, name
    return found[2]


@pytest.fixture(scope="module")
def in_gunicorn() -> dict[str, Any]:
    """The numbers of gunicorn.conf.py, without anything set in the environment."""
    program = (
        "import json, os, runpy, shutil\n"
        "found = runpy.run_path('gunicorn.conf.py')\n"
        "shutil.rmtree(os.environ['PROMETHEUS_MULTIPROC_DIR'])\n"
        "print(json.dumps({name: value for name, value in found.items() if type(value) in (int, float, bool, str)}))"
    )
    environ = {"PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environ, capture_output=True, check=True)
    numbers: dict[str, Any] = json.loads(done.stdout)
    return numbers


def test_nginx_takes_the_bodies_that_the_app_takes() -> None:
    assert in_nginx("client_max_body_size") == Settings().max_body_bytes


def test_the_app_says_that_time_is_up_before_nginx_does() -> None:
    assert Settings().request_timeout < in_nginx("proxy_read_timeout") <= Settings().request_timeout + 10


def test_gunicorn_gives_a_request_its_time_before_it_ends_a_worker(in_gunicorn: dict[str, Any]) -> None:
    assert in_gunicorn["timeout"] > Settings().request_timeout
    assert in_gunicorn["graceful_timeout"] > Settings().request_timeout


def test_containers_are_given_the_time_that_gunicorn_needs_to_stop(in_gunicorn: dict[str, Any]) -> None:
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    periods = re.findall(r"stop_grace_period: (\d+)s", compose)
    assert len(periods) == 2
    assert min(map(int, periods)) > in_gunicorn["graceful_timeout"]


def test_nginx_is_the_one_who_ends_idle_connections(in_gunicorn: dict[str, Any]) -> None:
    assert in_nginx("keepalive_timeout", block("upstream service")) < in_gunicorn["keepalive"]


def test_gunicorn_takes_the_lines_and_headers_that_nginx_takes(in_gunicorn: dict[str, Any]) -> None:
    longest = in_nginx("large_client_header_buffers") - END_OF_LINE
    assert in_gunicorn["limit_request_line"] >= longest
    assert in_gunicorn["limit_request_field_size"] >= longest


def test_nginx_tries_a_worker_that_died_again_only_where_it_predicts() -> None:
    servers = re.findall(r"^ *server (.*);", block("upstream service"), re.MULTILINE)
    assert len(servers) == in_nginx("proxy_next_upstream_tries") >= 2
    assert len(set(servers)) == 1
    places = re.findall(r"^        location ([^\n]+) {\n([^}]*)}", block("server"), re.MULTILINE)
    again = [place for place, inside in places if "non_idempotent" in inside]
    assert again
    for place in again:
        assert "predict" in place or "infer" in place or "invocations" in place
