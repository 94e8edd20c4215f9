"""The journal of a search: a line of JSON for each result, so that a search that was killed can go on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from app.training.candidates import Candidate
from app.training.errors import TrainingError
from app.training.selection.plan import Result, Trial

FILE = ".search.jsonl"


class Journal:
    """Results by candidate and rung, as far as they are known; new ones are written at once."""

    def __init__(self, stream: TextIO, known: dict[tuple[str, int], Result]) -> None:
        self._stream = stream
        self._known = known

    def __len__(self) -> int:
        return len(self._known)

    def find(self, trial: Trial) -> Result | None:
        """Return what is known of a trial."""
        return self._known.get((trial.candidate.key, trial.rung))

    def write(self, result: Result) -> None:
        """Add a result; it is on its way to the disk when this returns."""
        self._known[result.trial.candidate.key, result.trial.rung] = result
        self._stream.write(json.dumps(_as_json(result)) + "\n")
        self._stream.flush()


@contextmanager
def open_journal(folder: Path, asked: Mapping[str, Any], *, resume: bool) -> Iterator[Journal]:
    """Open the journal in a model's folder: anew, or with what is there of the same search.

    Parameters
    ----------
    asked
        What the results depend on: data, columns, split, seed, objective, versions. JSON values.

    Raises
    ------
    TrainingError
        There is nothing to resume, it was a search for something else, or the folder cannot be written to.
    """
    path = folder / FILE
    head = json.loads(json.dumps(dict(asked)))
    known = _read(path, head) if resume else {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        opened = path.open("w", encoding="utf-8")
    except OSError as fault:
        raise TrainingError(f"the model store {folder.parent} cannot be written: {fault.strerror}") from fault
    with opened as stream:
        journal = Journal(stream, {})
        stream.write(json.dumps(head) + "\n")
        for result in known.values():
            journal.write(result)
        yield journal


def forget(folder: Path) -> None:
    """Remove the journal of a search that has ended."""
    (folder / FILE).unlink(missing_ok=True)


def _read(path: Path, head: Mapping[str, Any]) -> dict[tuple[str, int], Result]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise TrainingError("--resume: there is no search of this model to go on with") from None
    try:
        before = json.loads(lines[0])
    except (IndexError, ValueError):
        raise TrainingError(f"--resume: {path} is not the journal of a search; start anew without --resume") from None
    differing = [name for name in head if before.get(name) != head[name]]
    if differing:
        name = differing[0]
        raise TrainingError(
            f"--resume: the search that was interrupted had another {name} ({before.get(name)!r}, now {head[name]!r}); "
            "start anew without --resume"
        )
    found: dict[tuple[str, int], Result] = {}
    for line in lines[1:]:
        try:
            result = _from_json(json.loads(line))
        except (ValueError, KeyError, TypeError):
            # The last line of a killed process may be half a line.
            continue
        found[result.trial.candidate.key, result.trial.rung] = result
    return found


def _as_json(result: Result) -> dict[str, Any]:
    return {
        "candidate": _candidate_json(result.trial.candidate),
        "rung": result.trial.rung,
        "scores": list(result.scores),
        "seconds": round(result.seconds, 4),
        "state": result.state,
        "why": result.why,
    }


def _candidate_json(candidate: Candidate) -> dict[str, Any]:
    found: dict[str, Any] = {"family": candidate.family, "settings": candidate.settings}
    return found | ({"members": list(map(_candidate_json, candidate.members))} if candidate.members else {})


def _from_json(read: Mapping[str, Any]) -> Result:
    trial = Trial(_candidate(read["candidate"]), int(read["rung"]))
    return Result(trial, tuple(map(float, read["scores"])), float(read["seconds"]), read["state"], read["why"])


def _candidate(read: Mapping[str, Any]) -> Candidate:
    return Candidate(read["family"], dict(read["settings"]), tuple(map(_candidate, read.get("members", ()))))
