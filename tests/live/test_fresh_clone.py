"""Two commands on a fresh machine: clone, `make serve`; then what README says to try."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from processes import ROOT, Server, free_port, listens, need, wait_until

# How this machine reaches its package index is not the clone's business, yet it has to.
KEPT = re.compile(r"PATH|TMPDIR|LANG|PIP_.*|.*_CERT|.*_CA_BUNDLE|https?_proxy|no_proxy", re.IGNORECASE)
MINUTES = 600.0

Serve = Callable[..., Server]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for tool in ("git", "make", "curl"):
        need(tool)
    folder = tmp_path_factory.mktemp("fresh") / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    return folder


@pytest.fixture(scope="module")
def environ(clone: Path) -> dict[str, str]:
    environ = {name: value for name, value in os.environ.items() if KEPT.fullmatch(name)}
    virtual = os.environ.get("VIRTUAL_ENV", str(ROOT / ".venv"))
    path = [entry for entry in environ["PATH"].split(":") if not entry.startswith(virtual)]
    return {**environ, "PATH": ":".join(path), "HOME": str(clone.parent)}


def press_ctrl_c(server: Server) -> None:
    """Do what a terminal does: it tells make and all that it started. Nobody waits for requests in flight then."""
    os.killpg(server.process.pid, signal.SIGINT)
    server.process.wait(timeout=30)


@pytest.fixture
def serve(clone: Path, environ: dict[str, str]) -> Iterator[Serve]:
    started: list[Server] = []

    def serve(port: int, *, ready: bool = True) -> Server:
        log = clone.parent / f"serve-{port}-{len(started)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["make", "serve", f"PORT={port}"],
                cwd=clone,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        started.append(Server(process, port, log))
        if ready:
            wait_until(lambda: started[-1].answers("/readyz", 200), f"{log} says it serves", MINUTES)
        return started[-1]

    yield serve
    for server in started:
        if server.process.poll() is None:
            press_ctrl_c(server)


def test_make_serve_and_the_readmes_curl(serve: Serve, clone: Path, environ: dict[str, str]) -> None:
    server = serve(free_port())
    readme = (clone / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"^ *(curl .*localhost:8000/predict.*)$", readme, re.MULTILINE)
    printed = re.search(r"(curl .*/predict)$", server.output(), re.MULTILINE)
    assert shown, "README has no curl line"
    assert printed, server.output()
    answers = [
        json.loads(subprocess.run(["sh", "-c", line], env=environ, capture_output=True, check=True).stdout)
        for line in (shown[1].replace("localhost:8000", f"localhost:{server.port}"), printed[1])
    ]
    assert answers[0] == {"y_pred": [0]}
    # The printed one asks about a row of the data, whichever came first.
    assert answers[1]["y_pred"][0] in (0, 1, 2)


def test_a_second_start_installs_and_trains_nothing(serve: Serve) -> None:
    server = serve(free_port())
    assert "Installing" not in server.output()
    assert "training" not in server.output()


def test_a_port_in_use_is_told_in_one_line(serve: Serve) -> None:
    server = serve(free_port())
    second = serve(server.port, ready=False)
    assert second.process.wait(60) != 0
    told = [line for line in second.output().splitlines() if not line.startswith("make")]
    assert told == [
        f"Error: port {server.port} is in use; stop what listens there, or choose another: PORT={server.port + 1}"
    ]
    assert listens(server.port)


def test_stopping_leaves_nothing_behind(serve: Serve, clone: Path, environ: dict[str, str]) -> None:
    server = serve(free_port())
    press_ctrl_c(server)
    assert not listens(server.port)
    done = subprocess.run(["git", "status", "--porcelain"], cwd=clone, env=environ, capture_output=True, check=True)
    assert not done.stdout


def test_make_alone_lists_what_it_can_do(clone: Path, environ: dict[str, str]) -> None:
    done = subprocess.run(["make"], cwd=clone, env=environ, capture_output=True, text=True, check=True)
    for target in ["help", "install", "serve", "train", "test", "test-live", "lint", "lock", "up", "down", "clean"]:
        assert re.search(rf"^make {target} +\w", done.stdout, re.MULTILINE)


def stand_in(folder: Path, name: str, script: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def install(folder: Path, environ: dict[str, str], python: str, *wrapper: str) -> list[str]:
    """Run the first part of `make serve` into another environment; returns what it says."""
    command = [*wrapper, "make", "--no-print-directory", "install", f"VENV={folder}/venv", f"PYTHON={python}"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("error: ")]


def test_a_python_that_is_too_old_missing_or_without_venv_is_told_in_one_line(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    old = stand_in(tmp_path, "old", 'case "$1" in -V) echo Python 3.9.2 ;; *) exit 1 ;; esac')
    bare = stand_in(tmp_path, "bare", 'case "$2" in *ensurepip*) exit 1 ;; esac')
    for python, said in ((str(old), "Python 3.9.2"), ("no-such-python", "is not here"), (str(bare), "python3-venv")):
        [line] = install(tmp_path, environ, python)
        assert said in line


def test_no_network_is_told_in_one_line(tmp_path: Path, environ: dict[str, str]) -> None:
    nowhere = {name: value for name, value in environ.items() if not name.startswith("PIP_")}
    nowhere |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": f"http://127.0.0.1:{free_port()}/simple"}
    [line] = install(tmp_path, nowhere, shutil.which("python3", path=environ["PATH"]) or "python3")
    assert "no package index could be reached" in line
