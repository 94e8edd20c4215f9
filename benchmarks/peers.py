"""Who is measured: how each is set up, started and asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
APPS = Path(__file__).resolve().parent / "apps"


@dataclass(frozen=True)
class Setup:
    """What a server is started with: its environment's programs, the model and its sample, a port, a scratch folder."""

    bin: Path
    model: Path
    sample: Path
    port: int
    folder: Path


@dataclass(frozen=True)
class Peer:
    """A way to serve a model.

    Attributes
    ----------
    packages: what its virtual environment holds; none for ours.
    command: the command that starts it.
    prepare: what it needs on disk before that.
    path, body, answer: where it is asked, with what, and where the answer stands in the reply.
    port: the port that it insists on.
    """

    packages: tuple[str, ...]
    command: Callable[[Setup], list[str]]
    environ: Callable[[Setup], Mapping[str, str]] = lambda setup: {}
    prepare: Callable[[Setup], None] = lambda setup: None
    path: str = "/predict"
    body: Callable[[list[Any]], Any] = lambda rows: {"X": rows}
    answer: Callable[[Any], Any] = lambda reply: reply["y_pred"]
    tables: bool = True
    port: int | None = None
    checked: bool = field(default=True)


def _gunicorn(setup: Setup, app: str, *options: str) -> list[str]:
    command = [str(setup.bin / "gunicorn"), "--bind", f"127.0.0.1:{setup.port}", "--workers", "1"]
    return [*command, "--chdir", str(APPS), "--log-level", "error", *options, app]


def _register(setup: Setup) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "register.py"), str(setup.model), "--name", "m"]
    command += ["--sample", str(setup.sample)]
    environ = os.environ | {"MODEL_STORE": str(setup.folder / "store")}
    subprocess.run(command, env=environ, check=True, capture_output=True)


def _write_mlserver(setup: Setup) -> None:
    folder = setup.folder / "repository" / "m"
    folder.mkdir(parents=True)
    ports = {"http_port": setup.port, "grpc_port": setup.port + 1, "metrics_port": setup.port + 2}
    settings = {**ports, "host": "127.0.0.1", "debug": False, "parallel_workers": 0, "logging_settings": None}
    (folder.parent / "settings.json").write_text(json.dumps(settings))
    model = {"name": "m", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": str(setup.model)}}
    (folder / "model-settings.json").write_text(json.dumps(model))


def _write_mlflow(setup: Setup) -> None:
    code = (
        "import joblib, mlflow, sys; mlflow.sklearn.save_model(joblib.load(sys.argv[1]), sys.argv[2], "
        "serialization_format='cloudpickle')"
    )
    command = [str(setup.bin / "python"), "-c", code, str(setup.model), str(setup.folder / "mlflow")]
    subprocess.run(command, check=True, capture_output=True)


def v2_body(rows: list[Any]) -> dict[str, Any]:
    """Write rows as an Open Inference request."""
    data = [value for row in rows for value in row]
    return {"inputs": [{"name": "predict", "shape": [len(rows), len(rows[0])], "datatype": "FP64", "data": data}]}


def _on_path(setup: Setup) -> dict[str, str]:
    return {"PATH": f"{setup.bin}:{os.environ['PATH']}"}


PEERS: dict[str, Peer] = {
    "ours": Peer(
        (),
        lambda setup: [str(setup.bin / "gunicorn"), "-c", str(ROOT / "gunicorn.conf.py")],
        environ=lambda setup: {"MODEL_STORE": str(setup.folder / "store"), "WEB_CONCURRENCY": "1"},
        prepare=_register,
        body=lambda rows: {"X": rows},
    ),
    "constant": Peer(
        (),
        lambda setup: _gunicorn(setup, "constant_app:app", "--worker-class", "app.server.worker.EventWorker"),
        environ=lambda setup: {"PYTHONPATH": str(ROOT)},
        checked=False,
    ),
    "flask": Peer((), lambda setup: _gunicorn(setup, "flask_app:app", "--worker-class", "gthread", "--threads", "4")),
    "fastapi": Peer(
        ("fastapi", "uvicorn[standard]", "scikit-learn", "joblib", "pandas"),
        lambda setup: [
            str(setup.bin / "uvicorn"),
            "fastapi_app:app",
            "--port",
            str(setup.port),
            "--app-dir",
            str(APPS),
            "--log-level",
            "error",
            "--no-access-log",
        ],
    ),
    "mlserver": Peer(
        ("mlserver", "mlserver-sklearn"),
        lambda setup: [str(setup.bin / "mlserver"), "start", str(setup.folder / "repository")],
        prepare=_write_mlserver,
        path="/v2/models/m/infer",
        body=v2_body,
        answer=lambda reply: reply["outputs"][0]["data"],
        tables=False,
    ),
    "litserve": Peer(
        ("litserve", "scikit-learn", "pandas"),
        lambda setup: [str(setup.bin / "python"), str(APPS / "litserve_app.py")],
    ),
    "mlflow": Peer(
        ("mlflow", "scikit-learn"),
        lambda setup: [
            str(setup.bin / "mlflow"),
            "models",
            "serve",
            "-m",
            str(setup.folder / "mlflow"),
            "-p",
            str(setup.port),
            "--env-manager",
            "local",
            "-w",
            "1",
        ],
        environ=_on_path,
        prepare=_write_mlflow,
        path="/invocations",
        body=lambda rows: {"dataframe_records": rows} if isinstance(rows[0], dict) else {"inputs": rows},
        answer=lambda reply: reply["predictions"],
    ),
    "bentoml": Peer(
        ("bentoml", "scikit-learn"),
        lambda setup: [
            str(setup.bin / "bentoml"),
            "serve",
            "bentoml_app:Predictor",
            "--working-dir",
            str(APPS),
            "--port",
            str(setup.port),
            "-q",
        ],
        environ=lambda setup: {"BENTOML_DO_NOT_TRACK": "true", "BENTOML_HOME": str(setup.folder / "bento")},
        answer=lambda reply: reply,
        tables=False,
    ),
    "ray": Peer(
        ("ray[serve]", "scikit-learn", "pandas"),
        lambda setup: [str(setup.bin / "serve"), "run", "ray_app:app", "--app-dir", str(APPS)],
        environ=lambda setup: {**_on_path(setup), "RAY_USAGE_STATS_ENABLED": "0"},
        path="/",
        port=8000,
    ),
}


def install(name: str, folder: Path) -> None:
    """Make a peer's virtual environment under `folder`, where it is not there yet."""
    packages = PEERS[name].packages
    if packages and not (folder / name / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
        subprocess.run([str(folder / name / "bin" / "pip"), "install", "-q", *packages], check=True)
