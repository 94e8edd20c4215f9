"""Every command of README.md, run as it stands there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from processes import ROOT, Server, free_port, need, start_gunicorn, wait_until
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from test_containers import IMAGE, need_docker, run

from app.store import save

BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
README = ROOT / "README.md"
BLOCKS = [(language, code) for language, code in BLOCK.findall(README.read_text(encoding="utf-8"))]
OPENING, *OTHERS = [code for _, code in BLOCKS]
CONTAINERS = [code for code in OTHERS if "docker" in code]
# What wants large libraries is run by test_transformers.py.
COMMANDS = [(language, code) for language, code in BLOCKS[1:] if "docker" not in code and "transformers" not in code]


def shell(command: str, folder: Path, **environ: str) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with the environment of this one, and the files that README's reader has."""
    need("git")
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    (folder / ".venv").symlink_to(Path(os.environ.get("VIRTUAL_ENV", ROOT / ".venv")))
    chance = np.random.default_rng(0)
    numbers = chance.normal(size=(80, 3)).round(4)
    people = pd.DataFrame(
        {
            "age": numbers[:, 0] * 10 + 40,
            "sex": ["male", "female"] * 40,
            "fare": np.exp(numbers[:, 1]) * 10,
            "family": np.arange(80) // 2,
            "booked": pd.date_range("2026-01-01", periods=80).strftime("%Y-%m-%d"),
            "survived": (numbers[:, 0] + np.tile([0.0, 1.0], 40) > 0.5).astype(int),
        }
    )
    people.loc[::9, "age"] = np.nan
    people.to_csv(folder / "passengers.csv", index=False)
    np.savetxt(folder / "numbers.txt", np.column_stack([numbers, numbers.sum(axis=1)]), delimiter=",")
    labelled = pd.DataFrame(np.abs(numbers), columns=["a", "b", "c"]).assign(label=people["survived"])
    labelled.to_csv(folder / "labelled.csv", index=False)
    messages = ["ham\tsee you at lunch number {}", "spam\twin a prize now, call {}"] * 30
    (folder / "messages.tsv").write_text("".join(f"{line}\n".format(i) for i, line in enumerate(messages)))
    joblib.dump(LinearRegression().fit(numbers, numbers[:, 0]), folder / "mine.joblib")
    np.save(folder / "rows.npy", numbers)
    return folder


def test_it_opens_with_the_two_commands() -> None:
    # `make serve` runs in test_fresh_clone.py, and `make test` is what runs these tests' neighbours.
    assert [line.split("#")[0].strip() for line in OPENING.splitlines()] == ["make serve", "make test"]


def test_its_commands_do_what_it_says(clone: Path, tmp_path: Path) -> None:
    need("curl")
    store = clone / "models"
    shell(".venv/bin/python scripts/train.py --dataset iris", clone)
    shell(".venv/bin/python scripts/train.py --dataset iris", clone)
    server = start_gunicorn(store, tmp_path, DEFAULT_MODEL="iris", WEB_CONCURRENCY="1")
    server.wait_for("/readyz")
    answers, told = [], ""
    try:
        for language, code in COMMANDS:
            if language == "python":
                ported = code.replace("localhost:8000", f"localhost:{server.port}")
                told += shell('.venv/bin/python -c "$CODE"', clone, CODE=ported)
                continue
            for line in code.strip().splitlines():
                if "/labels/" in line:
                    wait_until(lambda: labels(server), "the service knows the label")
                said = shell(line.replace("localhost:8000", f"localhost:{server.port}"), clone)
                answers += [said] if line.startswith("curl") else []
    finally:
        server.stop()
    assert json.loads(answers[0]) == {"y_pred": [0]}
    assert set(json.loads(answers[1])) == {"y_pred", "classes"}
    assert answers[2].split() == ["y_pred", "0"]
    assert json.loads(answers[3])["label"] == "spam"
    assert json.loads(answers[4])["name"] == "iris"
    assert json.loads(answers[5]) == json.loads(shown_json()[1])
    assert [json.loads(answer) for answer in answers[6:8]] == [{"predictions": [0]}] * 2
    whole, one = (json.loads(answer)["paths"] for answer in answers[8:10])
    assert "/predict" in whole
    assert "/models/iris/versions/2/predict" in one
    explained = json.loads(answers[10])
    assert sum(value[0] for value in explained["contributions"][0].values()) + explained["base_value"][0] == (
        pytest.approx(explained["value"][0][0])
    )
    assert "422 ['/X/0/3']" in told
    refused = json.loads(answers[11])
    assert {key: refused[key] for key in ("type", "title", "status", "detail")} == {
        key: shown_error()[key] for key in ("type", "title", "status", "detail")
    }
    assert refused["errors"] == shown_error()["errors"]
    assert json.loads(answers[12]) == {"y_pred": [0]}


def labels(server: Server) -> object:
    with server.client() as client:
        return client.get("/models/iris").json["labels"]


def shown_json() -> list[str]:
    """The documents that README shows."""
    return re.findall(r"^```json\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def shown_error() -> dict[str, object]:
    """The problem document that README shows."""
    document: dict[str, object] = json.loads(shown_json()[2])
    return document


def test_its_containers_answer(tmp_path: Path) -> None:
    need_docker()
    need("curl")
    port = free_port()
    plugin = run("docker", "compose", "version").returncode == 0
    compose = f"{'docker compose' if plugin else 'docker-compose'} -p maas-readme-{os.getpid()}"
    environ = {"HTTP_PORT": f"127.0.0.1:{port}", "APP_IMAGE": IMAGE, "WEB_CONCURRENCY": "1"}
    X, y = load_iris(return_X_y=True)
    save(LogisticRegression(max_iter=500).fit(X, y), X, "iris", root=tmp_path)
    environ["MODEL_STORE"] = str(tmp_path)
    (block,) = CONTAINERS
    commands = block.replace("docker compose", compose).replace("localhost:8080", f"localhost:{port}")
    commands = commands.replace(".venv/bin/python", sys.executable)
    try:
        said = shell(commands, ROOT, **environ)
    finally:
        shell(f"{compose} down --volumes --remove-orphans --timeout 5", ROOT, **environ)
    assert '{"y_pred":[0]}' in said
    assert "saved iris version 2" in said
    assert "imported as iris version 3; promoted" in said
