"""The models that answer now, kept in step with the store.

One thread watches every ``serving.json`` and loads what it names, away from the requests; a version
takes over in one assignment once it is loaded, checked and warmed by its golden rows. A request
holds on to the :class:`LoadedModel` that it was given, so its answer never mixes two versions.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from typing import Protocol

from app.errors import NotFound, NotServed, StoreError, Unavailable
from app.store.catalog import SERVING_FILE, ModelStore, Serving
from app.store.loading import LoadedModel, load_version
from app.store.manifest import Manifest

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
_NAMES_SHOWN = 20

Key = tuple[str, int]


class Observer(Protocol):
    """Who wants to know what becomes of the models; the metrics do."""

    def model_loaded(self, name: str, version: int) -> None:
        """Take note that a version was loaded."""

    def model_refused(self, name: str, version: int) -> None:
        """Take note that a version could not be loaded."""

    def model_serving(self, name: str, version: int) -> None:
        """Take note that a version answers for its model from now on."""

    def model_gone(self, name: str) -> None:
        """Take note that a model answers no more."""


class LiveModels:
    """The loaded models of one process.

    Parameters
    ----------
    catalog
        The store.
    default
        The model that answers where none is named; None leaves it to the names there are.
    max_loaded
        So many versions stay loaded; the least recently used goes first, the default model never.
    allow_mismatch
        Whether a version fitted with another scikit-learn may be served when its golden rows agree.
    observer
        Is told of loads, refusals and promotions.
    """

    def __init__(
        self, catalog: ModelStore, *, default: str | None, max_loaded: int, allow_mismatch: bool, observer: Observer
    ) -> None:
        self._catalog = catalog
        self._default = default
        self._max_loaded = max_loaded
        self._allow_mismatch = allow_mismatch
        self._observer = observer
        self._seen: dict[str, tuple[int, int]] = {}
        self._pending: set[str] = set()
        self._serving: dict[str, Serving] = {}
        self._current: dict[str, LoadedModel] = {}
        self._loaded: dict[Key, LoadedModel] = {}
        self._last_used: dict[Key, float] = {}
        self._refused: dict[Key, str] = {}
        self._manifests: dict[Key, Manifest] = {}
        self._wanted: dict[Key, Future[LoadedModel]] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopped = threading.Event()

    # What requests ask

    @property
    def ready(self) -> bool:
        """Whether at least one promoted model answers."""
        return bool(self._current)

    def get(self, name: str | None, version: int | None, timeout: float) -> LoadedModel:
        """Return the model that answers for `name` and `version`; None stands for the default and the promoted one.

        A served version that is not loaded is loaded first; that may take up to `timeout` seconds.

        Raises
        ------
        NotFound
            No such model or version.
        NotServed
            The version exists but is not among those that are served.
        Unavailable
            No model yet, or this one cannot be loaded, or not in time.
        """
        name = self.default_name() if name is None else name
        model = self._current.get(name) if version is None else self._loaded.get((name, version))
        if model is None or (version is not None and version not in self._serving[name].served):
            model = self._fetch((name, self._served_version(name, version)), timeout)
        self._last_used[model.name, model.version] = time.monotonic()
        return model

    def default_name(self) -> str:
        """Return the default model's name: the one that is set, else the only one, else ``default``."""
        names = self.names()
        if not names:
            raise Unavailable(
                "there is no model yet; train one with `python scripts/train.py --dataset iris`, "
                "and this service takes it within two seconds",
                retry_after=2,
            )
        if self._default is not None:
            return self._default
        if len(names) == 1:
            return names[0]
        if "default" in names:
            return "default"
        raise NotFound(
            "there are several models and none is the default; ask /models/<name>/predict with one of "
            f"{_shown(names)}, or set DEFAULT_MODEL"
        )

    def text_name(self) -> str:
        """Return the model that classifies texts: the default one if it takes text, else the only one that does."""
        names = [name for name in self.names() if self.manifest(name).signature.container == "texts"]
        if len(names) == 1:
            return names[0]
        default = self.default_name()
        if default in names:
            return default
        raise NotFound(
            f"several models take text; ask /models/<name>/classify with one of {_shown(names)}"
            if names
            else "no model takes text; train one with `python scripts/train.py --recipe text --data FILE`"
        )

    def names(self) -> list[str]:
        """Return the names of the models that have a promoted version."""
        return sorted(name for name, serving in list(self._serving.items()) if serving.promoted is not None)

    def serving(self, name: str) -> Serving:
        """Return what of `name` is served; raises NotFound where nothing is."""
        serving = self._serving.get(name)
        if serving is None or serving.promoted is None:
            names = self.names()
            raise NotFound(f"there is no model {name!r}" + (f"; there are {_shown(names)}" if names else ""))
        return serving

    def manifest(self, name: str, version: int | None = None) -> Manifest:
        """Return a served version's manifest, by default that of the one that answers; raises as :meth:`get` does."""
        current = self._current.get(name)
        if version is None and current is not None:
            return current.manifest
        key = (name, self._served_version(name, version))
        if key not in self._manifests:
            try:
                self._manifests[key] = self._catalog.manifest(*key)
            except StoreError as fault:
                raise Unavailable(f"{name} version {key[1]} cannot be served: {fault}") from fault
        return self._manifests[key]

    def _served_version(self, name: str, version: int | None) -> int:
        serving = self.serving(name)
        if version is None:
            return serving.served[0]
        if version in serving.served:
            return version
        if version not in self._catalog.versions(name):
            raise NotFound(f"model {name!r} has no version {version}; served are {_shown(serving.served)}")
        raise NotServed(
            f"{name} version {version} is not served: it is neither promoted, labelled nor the one promoted before; "
            f"label it with `python scripts/models.py label {name} {version} LABEL`"
        )

    def _fetch(self, key: Key, timeout: float) -> LoadedModel:
        """Let the watcher load a version, and wait for it."""
        with self._lock:
            if key in self._loaded:
                return self._loaded[key]
            if key in self._refused:
                raise Unavailable(f"{key[0]} version {key[1]} cannot be served: {self._refused[key]}", retry_after=30)
            future = self._wanted.setdefault(key, Future())
        self._wake.set()
        try:
            return future.result(timeout)
        except TimeoutError:
            raise Unavailable(f"{key[0]} version {key[1]} is still being loaded") from None

    # What the watcher does

    def start(self) -> None:
        """Look at what there is, and start to watch it in a thread that ends with the process."""
        self._pending |= set(self._read_changes())
        threading.Thread(target=self._watch, name="model-watcher", daemon=True).start()

    def stop(self) -> None:
        """Stop watching; what is loaded goes on answering."""
        self._stopped.set()
        self._wake.set()

    def _watch(self) -> None:
        while not self._stopped.is_set():
            try:
                self.refresh()
            except Exception:
                log.exception("watching the model store failed; it is tried again")
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()

    def refresh(self) -> None:
        """Look at the store once: load what is newly promoted and what requests wait for, drop what is gone."""
        self._pending |= set(self._read_changes())
        self._load_wanted()
        first = self._default if self._default is not None else "default"
        for name in sorted(self._pending, key=lambda name: (name != first, name)):
            self._follow(name)
            self._load_wanted()
        self._pending.clear()
        self._evict()

    def _read_changes(self) -> list[str]:
        """Read every ``serving.json`` that is new or was replaced; returns the names of these models."""
        changed = []
        seen: dict[str, tuple[int, int]] = {}
        for name in self._catalog.names():
            try:
                stat = (self._catalog.folder(name) / SERVING_FILE).stat()
                seen[name] = (stat.st_mtime_ns, stat.st_ino)
                if self._seen.get(name) != seen[name]:
                    self._serving = {**self._serving, name: self._catalog.serving(name)}
                    changed.append(name)
            except FileNotFoundError:
                continue
            except (OSError, StoreError) as fault:
                log.error("model %s: %s; what is served stays as it is", name, fault)
        for name in self._serving.keys() - seen.keys():
            self._forget(name)
        self._seen = seen
        return changed

    def _follow(self, name: str) -> None:
        """Bring the version that answers for `name` in step with what is promoted."""
        serving = self._serving[name]
        self._refused = {key: why for key, why in self._refused.items() if key[0] != name}
        current = self._current.get(name)
        if serving.promoted is None or (current is not None and current.version == serving.promoted):
            return
        if current is None and self._is_full() and name != self._default:
            return  # loaded when somebody asks for it
        # A worker that starts while a broken version is promoted serves what its siblings went on serving.
        earlier = [] if current is not None else list(reversed(serving.history))
        for version in dict.fromkeys([serving.promoted, *earlier]):
            model = self._load((name, version))
            if model is not None:
                self._current = {**self._current, name: model}
                self._observer.model_serving(name, version)
                log.info("model %s: version %d answers", name, version)
                return

    def _load_wanted(self) -> None:
        with self._lock:
            wanted, self._wanted = self._wanted, {}
        for key, future in wanted.items():
            model = self._load(key)
            if model is None:
                future.set_exception(Unavailable(f"{key[0]} version {key[1]} cannot be served: {self._refused[key]}"))
                continue
            if key[0] not in self._current and self._serving[key[0]].promoted == key[1]:
                self._current = {**self._current, key[0]: model}
                self._observer.model_serving(*key)
            future.set_result(model)

    def _load(self, key: Key) -> LoadedModel | None:
        if key in self._loaded:
            return self._loaded[key]
        try:
            model = load_version(self._catalog, *key, allow_mismatch=self._allow_mismatch)
        except StoreError as fault:
            self._refuse(key, str(fault))
            return None
        except Exception as fault:
            log.exception("model %s: version %d", *key)
            self._refuse(key, f"{type(fault).__name__}: {fault}")
            return None
        self._last_used[key] = time.monotonic()
        with self._lock:
            self._loaded = {**self._loaded, key: model}
        self._observer.model_loaded(*key)
        self._evict()
        return model

    def _refuse(self, key: Key, why: str) -> None:
        with self._lock:
            self._refused = {**self._refused, key: why}
        self._observer.model_refused(*key)
        current = self._current.get(key[0])
        stays = f"version {current.version} stays" if current else "nothing answers in its place yet"
        log.error("model %s: version %d is refused, %s: %s", *key, stays, why)

    def _forget(self, name: str) -> None:
        self._serving = {other: serving for other, serving in self._serving.items() if other != name}
        self._current = {other: model for other, model in self._current.items() if other != name}
        self._loaded = {key: model for key, model in self._loaded.items() if key[0] != name}
        self._manifests = {key: manifest for key, manifest in self._manifests.items() if key[0] != name}
        self._observer.model_gone(name)
        log.info("model %s is gone", name)

    def _is_full(self) -> bool:
        return len(self._loaded) >= self._max_loaded

    def _evict(self) -> None:
        """Unload versions that are served no more, then the least recently used ones beyond the limit."""
        keep = {
            key
            for key, model in self._loaded.items()
            if self._current.get(key[0]) is model or key[1] in self._serving[key[0]].served
        }
        default = self._current.get(self._default_or_only() or "")
        by_age = sorted(keep, key=lambda key: self._last_used.get(key, 0.0), reverse=True)
        if default is not None:
            by_age.sort(key=lambda key: key != (default.name, default.version))
        keep = set(by_age[: self._max_loaded])
        if len(keep) < len(self._loaded):
            self._loaded = {key: model for key, model in self._loaded.items() if key in keep}
            self._current = {
                name: model for name, model in self._current.items() if (name, model.version) in self._loaded
            }

    def _default_or_only(self) -> str | None:
        try:
            return self.default_name()
        except (NotFound, Unavailable):
            return None


def _shown(names: list[str] | tuple[int, ...]) -> str:
    shown = ", ".join(map(str, names[:_NAMES_SHOWN]))
    return f"{shown}, …" if len(names) > _NAMES_SHOWN else shown
