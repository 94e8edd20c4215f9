"""Servers under measurement: started on one core, asked from the other, watched, stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

SERVER_CORE, CLIENT_CORE = "0", "1"
_PATIENCE = 120.0
_JSON = {"Content-Type": "application/json"}
_SCRIPT = """
local file = io.open(%(body)s); wrk.body = file:read("*a"); wrk.method = "POST"
%(headers)s
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format("RESULT %%d %%d %%f %%f %%d\\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


class Load(NamedTuple):
    """What a load came to: requests per second, milliseconds, and how many requests failed."""

    requests_per_second: float
    p50: float
    p99: float
    errors: int


@contextmanager
def running(
    command: list[str], environ: Mapping[str, str], folder: Path, core: str | None = SERVER_CORE
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server on a core (any, where that is None) with its output in ``folder/log``, and stop it."""
    pinned = [] if core is None else ["taskset", "-c", core]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [*pinned, *command],
            env={**os.environ, **environ},
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        for how in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, how)
                process.wait(20)
                break
            except subprocess.TimeoutExpired:
                continue
            except ProcessLookupError:
                break


def post(url: str, document: Any) -> Any:
    """Ask with a JSON document; returns the reply's."""
    request = urllib.request.Request(url, json.dumps(document).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.loads(reply.read())


def wait_for_answer(ask: Callable[[], Any], process: subprocess.Popen[bytes], folder: Path) -> float:
    """Return the seconds from now to the first answer."""
    began = time.monotonic()
    while True:
        try:
            ask()
        except (OSError, urllib.error.URLError):
            if process.poll() is not None or time.monotonic() - began > _PATIENCE:
                raise RuntimeError((folder / "log").read_text()[-2000:]) from None
            time.sleep(0.01)
        else:
            return time.monotonic() - began


def load(  # noqa: PLR0913  # what wrk is told
    url: str, body: bytes, seconds: int, folder: Path, *, connections: int = 16, headers: Mapping[str, str] = _JSON
) -> Load:
    """Let wrk post `body` on and on, from the client's core."""
    script, content = folder / "post.lua", folder / "body"
    content.write_bytes(body)
    lines = [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in headers.items()]
    script.write_text(_SCRIPT % {"body": json.dumps(str(content)), "headers": "\n".join(lines)})
    command = ["taskset", "-c", CLIENT_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"RESULT (\d+) (\d+) (\S+) (\S+) (\d+)", printed)
    if found is None:
        raise RuntimeError(f"wrk printed {printed!r}")
    requests, microseconds, p50, p99, errors = found.groups()
    return Load(int(requests) / int(microseconds) * 1e6, float(p50) / 1000, float(p99) / 1000, int(errors))


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        try:
            for task in Path(f"/proc/{found[-1]}/task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def proportional_memory(pid: int, kind: str = "Pss") -> float:
    """Return the memory of a process and all below it in MB; what several share counts once.

    The kind ``Pss_Anon`` leaves out files that are mapped: how much of a library's code counts depends on who else
    on the machine runs it.
    """
    kilobytes = 0
    for member in family(pid):
        try:
            lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:"))
    return kilobytes / 1024


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
