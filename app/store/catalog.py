"""The folder of models: names, versions, and which of them are promoted.

Layout: ``<root>/<name>/<version>/`` holds a version and never changes once it exists;
``<root>/<name>/serving.json`` says what is served and is replaced in one step. Whoever writes holds
``<root>/<name>/.lock``; nobody who reads needs it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from app.errors import StoreError
from app.settings import MODEL_NAME
from app.store import disk
from app.store.manifest import FILE as MANIFEST_FILE
from app.store.manifest import Manifest

SERVING_FILE = "serving.json"


@dataclass(frozen=True)
class Serving:
    """What of a model is served.

    Attributes
    ----------
    promoted: the version that answers where none is asked for, if any.
    history: what was promoted, oldest first.
    labels: versions by label.
    split: weights of versions by label; shadow: the version that answers unseen. Both are kept, not yet obeyed.
    latest: the highest version number ever given, so that no number comes twice.
    """

    promoted: int | None = None
    history: tuple[int, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)
    split: Mapping[str, float] = field(default_factory=dict)
    shadow: int | None = None
    latest: int = 0

    @property
    def served(self) -> tuple[int, ...]:
        """The versions that answer: the promoted one first, then the labelled ones and the one promoted before."""
        wanted = [self.promoted, *self.labels.values(), *self.history[-2:-1]]
        return tuple(dict.fromkeys(version for version in wanted if version is not None))


class ModelStore:
    """The model store under one root folder; holds nothing in memory, so that any process may change it."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def names(self) -> list[str]:
        """Return the names of the models that have a version, in alphabetical order."""
        try:
            folders = [path for path in self.root.iterdir() if MODEL_NAME.fullmatch(path.name) and path.is_dir()]
        except FileNotFoundError:
            return []
        return sorted(folder.name for folder in folders if self.versions(folder.name))

    def versions(self, name: str) -> list[int]:
        """Return the versions of `name`, in ascending order; none where there is no such model."""
        try:
            entries = list(self.folder(name).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(int(path.name) for path in entries if path.name.isdecimal() and path.is_dir())

    def folder(self, name: str) -> Path:
        """Return the folder of the model `name`; raises StoreError where `name` cannot be one."""
        if not MODEL_NAME.fullmatch(name):
            raise StoreError(
                f"{name!r} cannot be a model's name: use 1 to 64 lower-case letters, digits, '.', '_' or '-', "
                "and a letter or a digit first"
            )
        return self.root / name

    def existing(self, name: str) -> Path:
        """Return the folder of a model that exists; raises StoreError otherwise."""
        folder = self.folder(name)
        if not folder.is_dir():
            raise StoreError(f"there is no model {name!r}; there are {', '.join(self.names()) or 'none'}")
        return folder

    def path(self, name: str, version: int) -> Path:
        """Return the folder of a version that exists; raises StoreError otherwise."""
        path = self.folder(name) / str(version)
        if not path.is_dir():
            known = ", ".join(map(str, self.versions(name))) or "none"
            raise StoreError(f"model {name!r} has no version {version}; it has {known}")
        return path

    def manifest(self, name: str, version: int) -> Manifest:
        """Read the manifest of a version; raises StoreError where it is missing or damaged."""
        try:
            return Manifest.from_json((self.path(name, version) / MANIFEST_FILE).read_bytes())
        except OSError as fault:
            raise StoreError(f"{name} version {version} has no readable {MANIFEST_FILE}: {fault.strerror}") from fault

    def serving(self, name: str) -> Serving:
        """Return what of `name` is served; an empty Serving where nothing was ever promoted."""
        path = self.folder(name) / SERVING_FILE
        try:
            fields = orjson.loads(path.read_bytes())
            known = {key: fields[key] for key in Serving.__dataclass_fields__ if key in fields}
            return Serving(**known | {"history": tuple(fields["history"])})
        except (FileNotFoundError, NotADirectoryError):
            return Serving()
        except (ValueError, TypeError, KeyError) as fault:
            raise StoreError(f"{path} is damaged: {fault}; promote a version again to write it anew") from fault

    def promoted(self, name: str) -> int | None:
        """Return the promoted version of `name`, if there is one."""
        return self.serving(name).promoted

    def publish(self, staged: Path, name: str, manifest: Callable[[int], Manifest], *, promote: bool) -> int:
        """Turn the staged folder into the next version of `name`.

        `manifest` makes the version's manifest from its number, which is known only under the lock.
        The folder is renamed into place once every byte of it is on the disk.
        """
        with disk.write_lock(self.folder(name)):
            serving = self._serving_or_new(name)
            version = max([serving.latest, *serving.history, *self.versions(name)]) + 1
            disk.write_file(staged / MANIFEST_FILE, manifest(version).to_json())
            disk.sync_folder(staged)
            staged.rename(self.folder(name) / str(version))
            disk.sync_folder(self.folder(name))
            serving = replace(serving, latest=version)
            self._write(name, _promoting(serving, version) if promote else serving)
            return version

    def promote(self, name: str, version: int) -> Serving:
        """Let `version` answer for `name` from now on; raises StoreError where it does not exist."""
        self.path(name, version)
        return self._change(name, lambda serving: _promoting(serving, version))

    def rollback(self, name: str) -> Serving:
        """Promote the version that was promoted before; raises StoreError where there is none left."""

        def step_back(serving: Serving) -> Serving:
            if len(serving.history) < 2:  # noqa: PLR2004  # the promoted one and one before it
                raise StoreError(f"model {name!r} has no earlier promoted version to go back to")
            before = serving.history[-2]
            self.path(name, before)
            return replace(serving, promoted=before, history=serving.history[:-1])

        return self._change(name, step_back)

    def label(self, name: str, version: int, label: str) -> Serving:
        """Point `label` at `version`, which is served under its own number from then on."""
        self.path(name, version)
        if not MODEL_NAME.fullmatch(label):
            raise StoreError(f"{label!r} cannot be a label: use lower-case letters, digits, '.', '_' or '-'")
        return self._change(name, lambda serving: replace(serving, labels={**serving.labels, label: version}))

    def unlabel(self, name: str, label: str) -> Serving:
        """Take `label` away; raises StoreError where there is no such label."""

        def take_away(serving: Serving) -> Serving:
            if label not in serving.labels:
                raise StoreError(f"model {name!r} has no label {label!r}; it has {', '.join(serving.labels) or 'none'}")
            return replace(serving, labels={key: value for key, value in serving.labels.items() if key != label})

        return self._change(name, take_away)

    def prune(self, name: str, keep: int) -> list[int]:
        """Delete all but the `keep` newest versions and those that are served; returns what was deleted."""
        with disk.write_lock(self.existing(name)):
            serving = self._serving_or_new(name)
            versions = self.versions(name)
            newest = versions[max(0, len(versions) - keep) :]
            doomed = [version for version in versions if version not in (*newest, *serving.served)]
            self._delete(name, doomed)
            return doomed

    def remove(self, name: str, version: int | None = None) -> None:
        """Delete one version, or the whole model; raises StoreError for one that is still served."""
        if version is None:
            with disk.write_lock(self.existing(name)):
                shutil.rmtree(self.folder(name))
            return
        self.path(name, version)
        with disk.write_lock(self.folder(name)):
            if version in self._serving_or_new(name).served:
                raise StoreError(
                    f"{name} version {version} is served (promoted, labelled or promoted before); "
                    "promote another one first, or remove the whole model"
                )
            self._delete(name, [version])

    def _delete(self, name: str, versions: list[int]) -> None:
        # Renamed first: a reader that lists versions meanwhile finds a whole one or none.
        for version in versions:
            doomed = self.folder(name) / f".removed-{version}"
            (self.folder(name) / str(version)).rename(doomed)
            shutil.rmtree(doomed)
        serving = self._serving_or_new(name)
        left = tuple(version for version in serving.history if version not in versions)
        self._write(name, replace(serving, history=left))

    def _serving_or_new(self, name: str) -> Serving:
        try:
            return self.serving(name)
        except StoreError:
            return Serving()

    def _change(self, name: str, change: Callable[[Serving], Serving]) -> Serving:
        with disk.write_lock(self.existing(name)):
            serving = change(self._serving_or_new(name))
            self._write(name, serving)
            return serving

    def _write(self, name: str, serving: Serving) -> None:
        fields: dict[str, Any] = asdict(serving)
        disk.replace_file(self.folder(name) / SERVING_FILE, orjson.dumps(fields, option=orjson.OPT_INDENT_2))


def _promoting(serving: Serving, version: int) -> Serving:
    if serving.promoted == version:
        return serving
    return replace(serving, promoted=version, history=(*serving.history, version))
