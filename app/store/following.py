"""Following the store: the one thread that loads, swaps and unloads models, away from the requests.

It alone replaces the :class:`View`; whoever reads one has a consistent picture for as long as they
hold on to it.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Collection
from concurrent.futures import Future
from dataclasses import replace

from app.errors import StoreError, Unavailable, VersionRefused
from app.memory import return_free_memory
from app.store.catalog import ModelStore, Stamp
from app.store.loading import LoadedModel, load_version
from app.store.observer import Observer
from app.store.serving import percent
from app.store.view import Key, View, default_of

log = logging.getLogger(__name__)

# What failed for a reason that may pass (a disk that was away, too little memory) is tried again after so long.
RETRY_SECONDS = 30.0


class Follower:
    """Keeps :attr:`view` in step with the store; only :meth:`want` and :meth:`touch` may be called from any thread.

    The parameters are those of :class:`app.store.live.LiveModels`.
    """

    def __init__(
        self, catalog: ModelStore, *, default: str | None, max_loaded: int, allow_mismatch: bool, observer: Observer
    ) -> None:
        self.view = View()
        self.looked = threading.Event()
        self._catalog = catalog
        self._default = default
        self._max_loaded = max_loaded
        self._allow_mismatch = allow_mismatch
        self._observer = observer
        self._stamps: dict[str, Stamp] = {}
        self._troubles: dict[str, str] = {}
        self._last_used: dict[Key, float] = {}
        self._retry_at: dict[Key, float] = {}
        self._wanted: dict[tuple[str, int | None], Future[LoadedModel]] = {}
        self._answering: dict[str, tuple[int, ...]] = {}
        self._shares: dict[Key, float] = {}
        self._lock = threading.Lock()

    def want(self, name: str, version: int | None) -> Future[LoadedModel]:
        """Ask for a version, or for the one that answers (None), to be loaded at the next :meth:`refresh`."""
        with self._lock:
            return self._wanted.setdefault((name, version), Future())

    def touch(self, model: LoadedModel) -> None:
        """Take note that a model is in use."""
        self._last_used[model.name, model.version] = time.monotonic()

    def refresh(self) -> None:
        """Look at the store once: load what is newly promoted and what requests wait for, drop what is gone."""
        changed = {*self._read_changes(), *self._due_again()}
        self._tell_answering()
        self.looked.set()
        self._grant_wishes()
        before = self.view.loaded
        first = self._default if self._default is not None else "default"
        for name in sorted(changed, key=lambda name: (name != first, name)):
            self._follow(name)
            self._grant_wishes()
        self._load_challengers(changed)
        self.view = self._trimmed(self.view, None)
        self._tell_answering()
        self._tell_shares()
        dropped = any(self.view.loaded.get(key) is not model for key, model in before.items())
        del before
        if dropped:
            return_free_memory()

    # Reading the store

    def _read_changes(self) -> list[str]:
        """Read every ``serving.json`` that is new or was replaced; returns the names of these models."""
        try:
            stamps = self._catalog.stamps()
        except FileNotFoundError as fault:
            if self.view.serving:
                self._report("", f"the model store is not there ({fault.filename})")
            return []
        except OSError as fault:
            self._report("", f"the model store cannot be read: {fault}")
            return []
        self._troubles.pop("", None)
        replaced = [name for name, stamp in stamps.items() if self._stamps.get(name) != stamp]
        changed = [name for name in replaced if self._read(name, stamps[name])]
        for name in list(self._stamps.keys() - stamps.keys()):
            self._forget(name)
        return changed

    def _read(self, name: str, stamp: Stamp) -> bool:
        """Read what of `name` is served; returns whether something is."""
        try:
            serving = self._catalog.serving(name)
        except StoreError as fault:
            self._report(name, f"model {name}: {fault}")
            return False
        self._troubles.pop(name, None)
        if serving.promoted is None:
            self._forget(name)
        else:
            self.view = replace(self.view, serving={**self.view.serving, name: serving})
        self._stamps[name] = stamp
        return serving.promoted is not None

    def _report(self, name: str, trouble: str) -> None:
        """Log what is wrong with the store, once; it is looked at again and again."""
        if self._troubles.get(name) != trouble:
            self._troubles[name] = trouble
            log.error("%s; what is served stays as it is", trouble)

    def _forget(self, name: str) -> None:
        self._stamps.pop(name, None)
        self._retry_at = {key: when for key, when in self._retry_at.items() if key[0] != name}
        if name in self.view.serving:
            self.view = self.view.without(name)
            self._observer.model_gone(name)
            log.info("model %s is gone", name)

    def _due_again(self) -> list[str]:
        """Return the models of which a version failed for a reason that may have passed by now."""
        now = time.monotonic()
        return [name for (name, _), when in self._retry_at.items() if when <= now and name in self.view.serving]

    # Loading

    def _follow(self, name: str) -> None:
        """Bring the version that answers for `name` in step with what is promoted."""
        refused = {key: why for key, why in self.view.refused.items() if key[0] != name}
        self.view = replace(self.view, refused=refused)
        self._retry_at = {key: when for key, when in self._retry_at.items() if key[0] != name}
        promoted = self.view.serving[name].promoted
        current = self.view.current.get(name)
        if current is None:
            # Loaded when somebody asks for it, where there is no room.
            if len(self.view.loaded) < self._max_loaded or name == self._default_name():
                self._find_current(name)
            return
        if current.version == promoted and self._is_unchanged(current):
            return
        model = self._load((name, promoted)) if promoted is not None else None
        if model is not None:
            self._answer_with(model)

    def _find_current(self, name: str) -> LoadedModel | None:
        """Find a version that answers for `name`; returns None where all are refused.

        A worker that starts while a broken version is promoted serves what its siblings go on serving.
        """
        if name in self.view.current:
            return self.view.current[name]
        for version in self.view.candidates(name):
            model = self._load((name, version)) if (name, version) not in self.view.refused else None
            if model is not None:
                self._answer_with(model)
                return model
        return None

    def _answer_with(self, model: LoadedModel) -> None:
        self.view = self._trimmed(self.view, model, answers=True)
        self._observer.model_serving(model.name, model.version)
        log.info("model %s: version %d answers", model.name, model.version)

    def _load_challengers(self, changed: Collection[str]) -> None:
        """Load what splits and shadows name ahead of the requests, where there is room."""
        for name, serving in self.view.serving.items():
            for key in ((name, version) for version in serving.challengers):
                if key in self.view.refused or (key in self.view.loaded and name not in changed):
                    continue
                if key not in self.view.loaded and len(self.view.loaded) >= self._max_loaded:
                    told = (
                        f"model {name}: there is no room for version {key[1]}, MAX_LOADED_MODELS is {self._max_loaded}"
                    )
                    self._report(f"{name} {key[1]}", told)
                    continue
                self._troubles.pop(f"{name} {key[1]}", None)
                model = self._load(key)
                if model is not None:
                    self.view = self._trimmed(self.view, model)
                self._grant_wishes()

    def _tell_answering(self) -> None:
        """Tell which versions requests may reach."""
        answering = self.view.answering()
        for name in self._answering.keys() | answering.keys():
            if self._answering.get(name) != answering.get(name):
                self._observer.model_answering(name, answering.get(name, ()))
        self._answering = answering

    def _tell_shares(self) -> None:
        """Tell which versions of splits get requests: what is not in memory leaves its share to the promoted one."""
        shares = {
            (name, version): share if (name, version) in self.view.loaded else 0.0
            for name, serving in self.view.serving.items()
            for version, share in serving.split.items()
        }
        before, self._shares = self._shares, shares
        for key, share in {**dict.fromkeys(before, 0.0), **shares}.items():
            if before.get(key) != share:
                self._observer.model_split(*key, share)
                log.info("model %s: version %d gets %s of the requests that name none", *key, percent(share))

    def _grant_wishes(self) -> None:
        with self._lock:
            wanted, self._wanted = self._wanted, {}
        for (name, version), future in wanted.items():
            try:
                future.set_result(self._granted(name, version))
            except Exception as fault:
                future.set_exception(fault)

    def _granted(self, name: str, version: int | None) -> LoadedModel:
        if name not in self.view.serving:
            raise Unavailable(f"model {name!r} was removed just now")
        if version is None:
            model = self._find_current(name)
            version = self.view.candidates(name)[0]
        else:
            model = self._load((name, version))
            if model is not None:
                self.view = self._trimmed(self.view, model)
        if model is None:
            raise refusal(name, version, self.view.refused[name, version])
        return model

    def _load(self, key: Key) -> LoadedModel | None:
        """Return a version from memory or from the store; None where it is refused."""
        loaded = self.view.loaded.get(key)
        if loaded is not None and self._is_unchanged(loaded):
            return loaded
        try:
            model = load_version(
                self._catalog,
                *key,
                allow_mismatch=self._allow_mismatch,
                fell_back=functools.partial(self._fell_back, key),
            )
        except VersionRefused as fault:
            self._refuse(key, str(fault))
            return None
        except Exception as fault:
            told = str(fault)
            if not isinstance(fault, StoreError):
                log.exception("model %s: version %d", *key)
                told = f"{type(fault).__name__}: {fault}"
            self._retry_at[key] = time.monotonic() + RETRY_SECONDS
            self._refuse(key, told)
            return None
        self.touch(model)
        self._observer.model_loaded(*key)
        return model

    def _fell_back(self, key: Key, form: str) -> None:
        log.warning("model %s: version %d: scikit-learn answers in place of %s, which cannot be built", *key, form)
        self._observer.engine_fell_back(key[0], form)

    def _is_unchanged(self, model: LoadedModel) -> bool:
        """Tell whether the store still means this model by its number; a store may be put in the place of another."""
        try:
            return self._catalog.manifest(model.name, model.version) == model.manifest
        except StoreError:
            return True

    def _refuse(self, key: Key, why: str) -> None:
        self.view = replace(self.view, refused={**self.view.refused, key: why})
        self._observer.model_refused(*key)
        current = self.view.current.get(key[0])
        stays = f"version {current.version} stays" if current else "nothing answers in its place yet"
        log.error("model %s: version %d is refused, %s: %s", *key, stays, why)

    # Unloading

    def _trimmed(self, view: View, newest: LoadedModel | None, *, answers: bool = False) -> View:
        """Return `view` with the model `newest`, without what is served no more and what is beyond the limit."""
        trimmed = view.trimmed(
            newest, answers=answers, default=self._default_name(), most=self._max_loaded, used=self._last_used
        )
        for key in list(self._last_used):
            if key not in trimmed.loaded:
                self._last_used.pop(key, None)
        return trimmed

    def _default_name(self) -> str | None:
        return default_of(self.view.serving.keys(), self._default)


def refusal(name: str, version: int, why: str) -> Unavailable:
    """Make the error for a version that was refused."""
    return Unavailable(f"{name} version {version} cannot be served: {why}", retry_after=30)
