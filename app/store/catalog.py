"""The folder of models: names, versions, and which of them are promoted.

Layout: ``<root>/<name>/<version>/`` holds a version and never changes once it exists;
``<root>/<name>/serving.json`` says what is served and is replaced in one step. Whoever writes holds
``<root>/<name>/.lock``; nobody who reads needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from app.errors import InvalidValue, StoreError
from app.settings import MODEL_NAME
from app.store import disk
from app.store.manifest import FILE as MANIFEST_FILE
from app.store.manifest import Manifest
from app.store.serving import FILE as SERVING_FILE
from app.store.serving import STICKY, Serving, Shadow

Stamp = tuple[int, int]


class ModelStore:
    """The model store under one root folder; holds nothing in memory, so that any process may change it."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def names(self) -> list[str]:
        """Return the names of the models that have a version, in alphabetical order.

        Raises
        ------
        StoreError
            The root is no folder, or cannot be read; a missing one is an empty store.
        """
        try:
            found = [path.name for path in self.root.iterdir() if MODEL_NAME.fullmatch(path.name)]
        except FileNotFoundError:
            return []
        except OSError as fault:
            raise StoreError(f"the model store {self.root} cannot be read: {fault.strerror}") from fault
        return sorted(name for name in found if self.versions(name))

    def stamps(self) -> dict[str, Stamp]:
        """Return what changes whenever ``serving.json`` does, by model; one look at each file and no more.

        Raises
        ------
        OSError
            The root or one of the files cannot be looked at.
        """
        found: dict[str, Stamp] = {}
        for path in self.root.iterdir():
            if MODEL_NAME.fullmatch(path.name):
                try:
                    stat = (path / SERVING_FILE).stat()
                except (FileNotFoundError, NotADirectoryError):
                    continue
                found[path.name] = (stat.st_mtime_ns, stat.st_ino)
        return found

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
        if not self.versions(name):
            raise StoreError(f"there is no model {name!r}; there are {', '.join(self.names()) or 'none'}")
        return folder

    def path(self, name: str, version: int) -> Path:
        """Return the folder of a version that exists; raises StoreError otherwise."""
        path = self.folder(name) / str(version)
        if not path.is_dir():
            self.existing(name)
            known = ", ".join(map(str, self.versions(name)))
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
            return Serving.from_json(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return Serving()
        except OSError as fault:
            raise StoreError(f"{path} cannot be read: {fault.strerror}") from fault
        except (ValueError, TypeError, KeyError, AttributeError) as fault:
            raise StoreError(f"{path} is damaged: {fault}; promote a version again to write it anew") from fault

    def promoted(self, name: str) -> int | None:
        """Return the promoted version of `name`, if there is one."""
        return self.serving(name).promoted

    def publish(self, staged: Path, name: str, manifest: Callable[[int], Manifest], *, promote: bool) -> int:
        """Turn the staged folder into the next version of `name`.

        `manifest` makes the version's manifest from its number, which is known only under the lock.
        The folder is renamed into place once every byte of it is on the disk; where anything fails, it
        is back where it was.
        """
        folder = self.folder(name)
        with disk.write_lock(folder):
            serving = self._serving_or_new(name)
            version = max([serving.latest, *serving.history, *self.versions(name)]) + 1
            disk.write_file(staged / MANIFEST_FILE, manifest(version).to_json())
            disk.sync_folder(staged)
            serving = replace(serving, latest=version)
            serving = serving.promoting(version) if promote else serving
            with _moved(staged, folder / str(version)):
                disk.sync_folder(folder)
                # Where nobody can tell what is promoted, only a promotion may say so anew.
                if promote or not self._is_damaged(name):
                    self._write(name, serving)
            return version

    def promote(self, name: str, version: int) -> Serving:
        """Let `version` answer for `name` from now on; raises StoreError where it does not exist."""

        def take_over(serving: Serving) -> Serving:
            self.path(name, version)
            return serving.promoting(version)

        return self._change(name, take_over, mend=True)

    def rollback(self, name: str) -> Serving:
        """Promote the version that was promoted before; raises StoreError where there is none left.

        What was rolled back leaves the history, so that a second rollback goes one step further.
        Versions that were deleted by hand are passed over.
        """

        def step_back(serving: Serving) -> Serving:
            version = self.earlier(name, serving)
            history = list(serving.history[:-1])
            while history[-1] != version:
                history.pop()
            return replace(serving, promoted=version, history=tuple(history)).without_challenger(version)

        return self._change(name, step_back)

    def earlier(self, name: str, serving: Serving) -> int:
        """Return the version that a rollback would promote; raises StoreError where there is none."""
        there = self.versions(name)
        for version in reversed(serving.history[:-1]):
            if version in there and version != serving.promoted:
                return version
        raise StoreError(f"model {name!r} has no earlier promoted version to go back to")

    def withdraw(self, name: str) -> Serving:
        """Let no version of `name` answer until one is promoted; the history stays."""
        return self._change(name, lambda serving: replace(serving, promoted=None))

    def label(self, name: str, version: int, label: str) -> Serving:
        """Point `label` at `version`, which is served under its own number from then on.

        Raises
        ------
        InvalidValue
            `label` cannot be one.
        StoreError
            There is no such version.
        """
        if not MODEL_NAME.fullmatch(label):
            raise InvalidValue(f"{label[:80]!r} cannot be a label: use lower-case letters, digits, '.', '_' or '-'")
        if label.isdigit():
            raise InvalidValue(f"{label!r} cannot be a label: it would be taken for a version's number")

        def point(serving: Serving) -> Serving:
            self.path(name, version)
            return replace(serving, labels={**serving.labels, label: version})

        return self._change(name, point)

    def unlabel(self, name: str, label: str) -> Serving:
        """Take `label` away; raises StoreError where there is no such label."""

        def take_away(serving: Serving) -> Serving:
            if label not in serving.labels:
                raise StoreError(f"model {name!r} has no label {label!r}; it has {', '.join(serving.labels) or 'none'}")
            return replace(serving, labels={key: value for key, value in serving.labels.items() if key != label})

        return self._change(name, take_away)

    def split(self, name: str, split: Mapping[int, float], sticky: str | None = STICKY) -> Serving:
        """Share the requests that name no version among the promoted one and those of `split`; empty ends it.

        Raises
        ------
        StoreError
            There is no such version, or :meth:`Serving.splitting` says why not.
        """

        def share_out(serving: Serving) -> Serving:
            for version in split:
                self.path(name, version)
            return serving.splitting(split, sticky)

        return self._change(name, share_out)

    def shadow(self, name: str, shadow: Shadow | None) -> Serving:
        """Let a version answer unseen what the promoted one answers; None ends it; raises as :meth:`split` does."""

        def follow(serving: Serving) -> Serving:
            if shadow is not None:
                self.path(name, shadow.version)
            return serving.shadowing(shadow)

        return self._change(name, follow)

    def prune(self, name: str, keep: int) -> list[int]:
        """Delete all but the `keep` newest versions and those that are served; returns what was deleted."""
        with self._writing(name):
            serving = self.serving(name)
            versions = self.versions(name)
            newest = versions[max(0, len(versions) - keep) :]
            doomed = [version for version in versions if version not in (*newest, *serving.served)]
            self._delete(name, serving.without(doomed), doomed)
            return doomed

    def remove(self, name: str, version: int | None = None) -> list[int]:
        """Delete one version, or the whole model; returns what was deleted.

        Of a whole model ``serving.json`` stays, with the highest number ever given: a new model of that
        name goes on counting, so that a name and a number never mean two things.

        Raises
        ------
        StoreError
            There is no such version, or it is still served.
        """
        if version is not None:
            self.path(name, version)
        with self._writing(name):
            serving = self._serving_or_new(name) if version is None else self.serving(name)
            if version is None:
                versions = self.versions(name)
                latest = max([serving.latest, *serving.history, *versions])
                self._delete(name, Serving(latest=latest), versions)
                return versions
            if version in serving.served:
                raise StoreError(
                    f"{name} version {version} is served ({', '.join(serving.roles(version))}); "
                    "let another one take its place first, or remove the whole model"
                )
            self._delete(name, serving.without([version]), [version])
            return [version]

    def _delete(self, name: str, serving: Serving, versions: Collection[int]) -> None:
        # Nobody is led to a version that goes: what is served is written first.
        self._write(name, serving)
        for version in versions:
            disk.remove_folder(self.folder(name) / str(version))
        disk.sweep(self.folder(name))

    def _serving_or_new(self, name: str) -> Serving:
        try:
            return self.serving(name)
        except StoreError:
            return Serving()

    def _is_damaged(self, name: str) -> bool:
        try:
            self.serving(name)
        except StoreError:
            return True
        return False

    def _change(self, name: str, change: Callable[[Serving], Serving], *, mend: bool = False) -> Serving:
        with self._writing(name):
            serving = change(self._serving_or_new(name) if mend else self.serving(name))
            self._write(name, serving)
            return serving

    @contextmanager
    def _writing(self, name: str) -> Iterator[None]:
        """Hold the right to change an existing model; raises StoreError where the disk says no."""
        try:
            with disk.write_lock(self.existing(name)):
                yield
        except OSError as fault:
            raise StoreError(f"the model store {self.root} cannot be written: {fault.strerror or fault}") from fault

    def _write(self, name: str, serving: Serving) -> None:
        disk.replace_file(self.folder(name) / SERVING_FILE, serving.to_json())


@contextmanager
def _moved(source: Path, target: Path) -> Iterator[None]:
    """Rename a folder; where the block fails, it is renamed back."""
    source.rename(target)
    try:
        yield
    except BaseException:
        target.rename(source)
        raise
