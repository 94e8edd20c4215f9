"""The image and the compose file on a real Docker Engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from processes import ROOT, Client, Load, free_port, need, save_constant, wait_until

from app.store import load

IMAGE = "model-as-a-service:live-test"
BASES = (os.environ.get("BASE_IMAGE", "python:3.11-slim-bookworm"), os.environ.get("NGINX_IMAGE", "nginx:stable"))
MINUTES = 600.0
SETOSA = [[5.1, 3.5, 1.4, 0.2]]


def run(*command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True, check=False)


def docker(*arguments: str) -> str:
    done = run("docker", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def need_docker() -> None:
    """Skip where no Docker Engine answers, or has not the two base images."""
    there = shutil.which("docker") is not None and all(
        run("docker", "image", "inspect", image).returncode == 0 for image in BASES
    )
    need("docker", there=there)


@dataclass(frozen=True)
class Compose:
    """The running pair of containers."""

    port: int
    project: str

    @property
    def program(self) -> tuple[str, ...]:
        """The words that its commands begin with."""
        plugin = run("docker", "compose", "version").returncode == 0
        return (*(("docker", "compose") if plugin else ("docker-compose",)), "-p", self.project)

    @property
    def environ(self) -> dict[str, str]:
        # Only this machine may come in.
        return {**os.environ, "HTTP_PORT": f"127.0.0.1:{self.port}", "APP_IMAGE": IMAGE}

    def __call__(self, *arguments: str) -> str:
        done = run(*self.program, *arguments, **self.environ)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def container(self, service: str) -> str:
        return self("ps", "-q", service)

    def client(self) -> Client:
        return Client(self.port)

    def ready(self) -> bool:
        try:
            with self.client() as client:
                return client.get("/readyz").status == 200
        except OSError:
            return False

    def users(self, service: str) -> set[int]:
        """The user ids of all processes of a service, as the host sees them."""
        table = docker("top", self.container(service), "-eo", "uid,pid,args").splitlines()[1:]
        return {int(line.split()[0]) for line in table}

    def health(self, service: str) -> str:
        return docker("inspect", "--format", "{{.State.Health.Status}}", self.container(service))


@pytest.fixture(scope="module")
def compose() -> Iterator[Compose]:
    need_docker()
    compose = Compose(free_port(), f"maas-live-{os.getpid()}")
    try:
        compose("build")
        compose("up", "-d")
        wait_until(compose.ready, "it is ready through nginx", MINUTES)
        yield compose
    finally:
        compose("down", "--volumes", "--remove-orphans", "--timeout", "5")


def test_an_empty_store_got_its_first_model_and_answers_through_nginx(compose: Compose) -> None:
    with compose.client() as client:
        answer = client.predict(SETOSA, **{"X-Request-Id": "from-the-test"})
    assert answer.json == {"y_pred": [0]}
    assert answer.headers["X-Model-Name"] == "iris"
    assert answer.headers["Server"] == "nginx"

    def logged() -> list[str]:
        lines = [
            json.loads(line) for line in docker("logs", compose.container("nginx")).splitlines() if line[:1] == "{"
        ]
        return [line["status"] for line in lines if line["request_id"] == "from-the-test"]

    # nginx writes what it has gathered once a second.
    assert wait_until(logged, "the request is in the log") == ["200"]


def test_a_model_trained_inside_answers_without_a_failed_request(compose: Compose) -> None:
    def ask(client: Client) -> int:
        answer = client.predict(SETOSA)
        assert answer.status == 200, answer
        assert answer.json == {"y_pred": [0]}
        return answer.version

    with compose.client() as client:
        before = client.predict(SETOSA).version
    with Load(compose.port, ask, clients=2) as load:
        train = ("python", "scripts/train.py", "--dataset", "iris", "--name", "iris", "--promote", "always")
        compose("run", "--rm", "app", *train)
        wait_until(lambda: load.faults or load.answers[-1] == before + 1, "the new version answers")
    assert not load.faults
    assert set(load.answers) == {before, before + 1}


def test_a_model_moves_into_the_running_volume_and_out_again(compose: Compose, tmp_path: Path) -> None:
    save_constant(tmp_path, 42.0)
    moving = (sys.executable, "scripts/models.py")
    archive = subprocess.run(
        [*moving, "export", "m"], cwd=ROOT, env=environ_of(tmp_path), capture_output=True, check=True
    )
    program = [*compose.program, "exec", "-T", "app", "python", "scripts/models.py"]
    done = subprocess.run(
        [*program, "import", "-"], cwd=ROOT, env=compose.environ, input=archive.stdout, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"imported as m version 1; promoted" in done.stdout
    with compose.client() as client:
        ask = lambda: client.predict([[1.0, 2.0]], path="/models/m/predict")  # noqa: E731
        wait_until(lambda: ask().status == 200, "the moved model answers")
        assert ask().json == {"y_pred": [42.0]}
    back = subprocess.run(
        [*program, "export", "m"], cwd=ROOT, env=compose.environ, capture_output=True, check=True
    ).stdout
    moved = tmp_path / "back"
    subprocess.run([*moving, "import", "-"], cwd=ROOT, env=environ_of(moved), input=back, check=True)
    assert load("m", root=moved).manifest.data["imported"]["version"] == 1
    # With two models a bare /predict would mean neither.
    subprocess.run([*program, "remove", "m", "--yes"], cwd=ROOT, env=compose.environ, check=True)
    with compose.client() as client:
        wait_until(lambda: client.predict(SETOSA).status == 200, "the model that is left answers again")


def environ_of(store: Path) -> dict[str, str]:
    return {**os.environ, "MODEL_STORE": str(store)}


def test_no_process_is_roots(compose: Compose) -> None:
    assert compose.users("app") == {10001}
    assert compose.users("nginx") == {101}


def test_both_are_healthy_and_only_nginx_can_be_reached(compose: Compose) -> None:
    for service in ("app", "nginx"):
        wait_until(lambda service=service: compose.health(service) == "healthy", f"{service} is healthy")
    assert docker("port", compose.container("app")) == ""
    assert docker("port", compose.container("nginx")) == f"8080/tcp -> 127.0.0.1:{compose.port}"


@pytest.mark.parametrize("service", ["app", "nginx"])
def test_the_root_file_system_is_read_only_and_nothing_can_be_gained(compose: Compose, service: str) -> None:
    inside = docker("exec", compose.container(service), "sh", "-c", "touch /x /etc/x /app/x 2>&1; cat /proc/1/status")
    assert inside.count("Read-only file system") >= 2
    assert "CapEff:\t0000000000000000" in inside
    assert "NoNewPrivs:\t1" in inside


def test_the_image_has_no_build_tools(compose: Compose) -> None:
    script = "for tool in gcc cc c++ make ld pip pip3; do command -v $tool; done; python -m pip 2>&1"
    done = run("docker", "exec", compose.container("app"), "sh", "-c", script)
    assert done.stdout.strip() == "/opt/venv/bin/python: No module named pip"


def test_nginx_finds_the_app_again_after_it_was_made_anew(compose: Compose) -> None:
    old = compose.container("app")
    compose("up", "-d", "--no-deps", "--force-recreate", "app")
    assert compose.container("app") != old
    wait_until(compose.ready, "it is ready through nginx again", 60)
    with compose.client() as client:
        assert client.predict(SETOSA).status == 200


def test_stopping_finishes_with_status_0(compose: Compose) -> None:
    compose("stop", "app")
    state = docker("inspect", "--format", "{{.State.ExitCode}} {{.State.OOMKilled}}", compose.container("app"))
    assert state == "0 false"
    compose("start", "app")
    wait_until(compose.ready, "it is ready again", 60)


@pytest.mark.parametrize(("arguments", "port"), [((), 8000), (("serve",), 8080)], ids=["no argument", "serve"])
def test_the_image_alone_serves_where_platforms_expect_it(
    compose: Compose, arguments: tuple[str, ...], port: int
) -> None:
    started = docker("run", "-d", "--read-only", "--tmpfs", "/tmp", "-p", "127.0.0.1::" + str(port), IMAGE, *arguments)
    try:
        host_port = int(docker("port", started, str(port)).rsplit(":", 1)[1])

        def alive() -> bool:
            try:
                with Client(host_port) as client:
                    return client.get("/healthz").status == 200
            except OSError:
                return False

        wait_until(alive, "it is alive", 60)
        docker("exec", started, "python", "-I", "-S", "deploy/healthcheck.py")
        docker("stop", started)
        assert docker("inspect", "--format", "{{.State.ExitCode}}", started) == "0"
    finally:
        docker("rm", "-f", "-v", started)


def test_it_serves_the_store_that_sagemaker_unpacks(compose: Compose, tmp_path: Path) -> None:
    save_constant(tmp_path / "store", 1.0)
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    mount = f"{tmp_path / 'store'}:/opt/ml/model:ro"
    started = docker("run", "-d", "-v", mount, "-p", "127.0.0.1::8080", IMAGE, "serve")
    try:
        port = int(docker("port", started, "8080").rsplit(":", 1)[1])

        def well() -> bool:
            try:
                with Client(port) as client:
                    return client.get("/ping").status == 200
            except OSError:
                return False

        wait_until(well, "it answers /ping", 60)
        with Client(port) as client:
            assert client.ask("POST", "/invocations", {"inputs": [[0, 1]]}).json == {"predictions": [1.0]}
    finally:
        docker("rm", "-f", "-v", started)


def test_the_image_runs_any_other_command(compose: Compose) -> None:
    assert docker("run", "--rm", IMAGE, "python", "-c", "import app; print(6 * 7)") == "42"
    assert docker("run", "--rm", IMAGE, "id", "-u") == "10001"


def test_a_wrong_setting_stops_the_container_with_one_line(compose: Compose) -> None:
    done = run("docker", "run", "--rm", "-e", "WEB_CONCURRENCY=many", IMAGE)
    assert done.returncode == 1
    assert done.stderr.strip() == "Error: WEB_CONCURRENCY must be a whole number from 1 to 1024, not 'many'"


def test_keys_close_the_door(compose: Compose) -> None:
    told = compose("run", "--rm", "-T", "app", "python", "scripts/keys.py", "--file", "/models/.keys.json", "add", "me")
    key = next(line for line in told.splitlines() if len(line) > 40 and " " not in line)
    up = ("up", "-d", "--no-deps", "app")
    try:
        compose("-f", "docker-compose.yml", "-f", "deploy/compose.keys.yml", *up)
        wait_until(compose.ready, "it is ready with keys", 60)
        with compose.client() as client:
            assert client.predict(SETOSA).status == 401
            assert client.predict(SETOSA, Authorization=f"Bearer {key}").status == 200
    finally:
        compose(*up)
        wait_until(compose.ready, "it is ready without keys", 60)


def test_the_addition_for_tls_fits_the_compose_file() -> None:
    need_docker()
    program = ("docker", "compose") if run("docker", "compose", "version").returncode == 0 else ("docker-compose",)
    done = run(*program, "-f", "docker-compose.yml", "-f", "deploy/compose.tls.yml", "config", TLS_DIR="./tls")
    assert done.returncode == 0, done.stderr
    assert f"{ROOT}/tls" in done.stdout
