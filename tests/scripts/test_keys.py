"""Making, listing and removing API keys from the shell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from flask.testing import FlaskClient

Run = Callable[..., Result]


def test_a_key_is_printed_once_and_kept_as_a_digest(run: Run, tmp_path: Path) -> None:
    key = run("keys", "--file", "k.json", "add", "ci").stdout.strip()
    assert len(key) >= 43
    assert key not in (tmp_path / "k.json").read_text()
    assert (tmp_path / "k.json").stat().st_mode & 0o777 == 0o600


def test_keys_are_listed_without_their_digests(run: Run) -> None:
    run("keys", "--file", "k.json", "add", "ci")
    run("keys", "--file", "k.json", "add", "ops", "--scope", "admin", "--scope", "predict")
    lines = run("keys", "--file", "k.json", "list").stdout.splitlines()
    assert [line.split()[:3] for line in lines[1:]][1][:3] == ["ops", "predict,", "admin"]
    listed = json.loads(run("keys", "--file", "k.json", "list", "--json").stdout)["keys"]
    assert [(key["name"], key["scopes"]) for key in listed] == [("ci", ["predict"]), ("ops", ["predict", "admin"])]
    assert all(set(key) == {"name", "scopes", "created"} for key in listed)


def test_a_made_key_opens_the_service_and_a_removed_one_does_not(
    run: Run, client_of: Callable[..., FlaskClient], tmp_path: Path
) -> None:
    key = run("keys", "--file", "k.json", "add", "ci").stdout.strip()
    run("keys", "--file", "k.json", "add", "other")
    headers = {"Authorization": f"Bearer {key}"}
    assert client_of(api_keys_file=tmp_path / "k.json").get("/models", headers=headers).status_code == 200
    run("keys", "--file", "k.json", "remove", "ci")
    assert client_of(api_keys_file=tmp_path / "k.json").get("/models", headers=headers).status_code == 401


def test_the_file_is_the_one_that_the_service_is_told_of(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEYS_FILE", str(tmp_path / "set.json"))
    run("keys", "add", "ci")
    assert (tmp_path / "set.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("add", "ci"), "has a key named 'ci' already"),
        (("add", ""), "cannot be a key's name"),
        (("add", "a\nb"), "cannot be a key's name"),
        (("remove", "nobody"), "no key named 'nobody'; it has ci"),
    ],
)
def test_mistakes_are_told_in_one_line(run: Run, arguments: tuple[str, ...], told: str) -> None:
    run("keys", "--file", "k.json", "add", "ci")
    result = run("keys", "--file", "k.json", *arguments, status=1)
    assert result.stderr.startswith("error: ")
    assert told in result.stderr


def test_no_keys_yet_is_no_error(run: Run) -> None:
    assert "has no keys; make one with" in run("keys", "--file", "k.json", "list").stdout
    assert "cannot be read" in run("keys", "--file", "k.json", "remove", "ci", status=1).stderr
