"""Scripts run as users run them, from another folder, on a store of their own."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

SCRIPTS = Path(__file__).parents[2] / "scripts"
Run = Callable[..., Result]


def _command(name: str) -> click.Command:
    sys.path.insert(0, str(SCRIPTS))
    try:
        spec = importlib.util.spec_from_file_location(f"scripts_{name}", SCRIPTS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(SCRIPTS))
    command: click.Command = module.main
    return command


@pytest.fixture(scope="session")
def commands() -> dict[str, click.Command]:
    return {name: _command(name) for name in ("register", "models", "keys", "score")}


@pytest.fixture
def run(commands: dict[str, click.Command], root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a script in tmp_path; it must end with `status`."""
    monkeypatch.setenv("MODEL_STORE", str(root))
    monkeypatch.chdir(tmp_path)

    def run(script: str, *arguments: Any, status: int = 0, given: bytes | str | None = None) -> Result:
        result = CliRunner().invoke(commands[script], list(map(str, arguments)), input=given)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == status, result.output
        return result

    return run
