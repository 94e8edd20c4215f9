"""The models that answer now, kept in step with the store.

One thread watches every ``serving.json`` and loads what it names, away from the requests; a version
takes over in one assignment once it is loaded, checked and warmed by its golden rows. A request
holds on to the :class:`LoadedModel` that it was given, so its answer never mixes two versions.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence

from app.errors import NotFound, NotServed, StoreError, Unavailable
from app.store.catalog import ModelStore
from app.store.following import Follower, refusal
from app.store.loading import LoadedModel
from app.store.manifest import Manifest
from app.store.observer import Observer
from app.store.serving import Serving
from app.store.traffic import Caller, Traffic
from app.store.view import View, default_of

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
_FIRST_LOOK_SECONDS = 10.0
_NAMES_SHOWN = 20

# How a version is asked for: by its number, by a label, or not at all.
Version = int | str | None


class LiveModels:
    """The loaded models of one process; every method but :meth:`refresh` may be called from any thread.

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
        self._follower = Follower(
            catalog, default=default, max_loaded=max_loaded, allow_mismatch=allow_mismatch, observer=observer
        )
        # With what was served when each was read: it is read again once that has changed.
        self._manifests: dict[tuple[str, int], tuple[Serving, Manifest]] = {}
        self._wake = threading.Event()
        self._looked_again = threading.Condition()
        self._stopped = threading.Event()

    @property
    def ready(self) -> bool:
        """Whether at least one promoted model answers."""
        return bool(self._follower.view.current)

    def get(self, name: str | None, version: Version, timeout: float, caller: Caller | None = None) -> LoadedModel:
        """Return the version that answers, as :meth:`choose` does."""
        return self.choose(name, version, timeout, caller)[0]

    def choose(
        self, name: str | None, version: Version, timeout: float, caller: Caller | None = None
    ) -> tuple[LoadedModel, LoadedModel | None]:
        """Return the version that answers, and the one that is asked unseen, if any; every door comes here.

        A served version that is not loaded is loaded first; that may take up to `timeout` seconds.

        Parameters
        ----------
        name
            The model's name; None for the default model.
        version
            A version's number or label. None leaves it to the split, in which the same `caller` stays on the same
            version; without a split the promoted one answers.
        timeout
            Seconds to wait for a version to be loaded.
        caller
            Who asks.

        Raises
        ------
        NotFound
            No such model, version or label.
        NotServed
            The version exists but is not among those that are served.
        Unavailable
            No model yet, or this one cannot be loaded, or not in time.
        """
        view = self._view(timeout)
        name = self._default_in(view) if name is None else name
        version = _number_of(view, name, version)
        traffic = None
        if version is None:
            traffic = view.traffic.get(name) if view.traffic else None
            model = (traffic and traffic.at(traffic.draw(name, caller))) or view.current.get(name)
        else:
            self._check_served(view, name, version)
            model = view.loaded.get((name, version))
        if model is None:
            model = self._fetch(view, name, version, timeout)
        self._follower.touch(model)
        return model, traffic.unseen(model) if traffic else None

    def draw(self, name: str | None, caller: Caller) -> tuple[float, int] | None:
        """Return a caller's place in a model's split, and the version there, 0 for the promoted one.

        None where there is no split; raises as :meth:`get` does.
        """
        view = self._view()
        name = self._default_in(view) if name is None else name
        traffic = view.traffic.get(name)
        if traffic is None or not traffic.ends:
            return None
        place = traffic.draw(name, caller)
        model = traffic.at(place)
        return place, model.version if model else 0

    @property
    def traffic(self) -> Mapping[str, Traffic]:
        """The split and the shadow of each model that has one whose versions are in memory."""
        return self._follower.view.traffic

    def is_loaded(self, name: str | None, version: Version = None) -> bool:
        """Tell whether :meth:`get` would return at once; raises as it does."""
        view = self._view()
        name = self._default_in(view) if name is None else name
        version = _number_of(view, name, version)
        if version is None:
            return name in view.current or name not in view.serving
        return name not in view.serving or (name, version) in view.loaded

    def loaded_bytes(self) -> dict[tuple[str, int], int]:
        """Return the size of each loaded version's files, by name and number."""
        return {
            key: sum(entry.bytes for entry in model.manifest.files.values())
            for key, model in self._follower.view.loaded.items()
        }

    def default_name(self) -> str:
        """Return the default model's name: the one that is set, else the only one, else ``default``.

        Raises
        ------
        Unavailable
            There is no model yet.
        NotFound
            There are several, and none of them is the default.
        """
        return self._default_in(self._view())

    def text_name(self) -> str:
        """Return the model that classifies texts: the default one if it does, else the only one."""
        names = [name for name in self.names() if self._classifies(name)]
        if len(names) == 1:
            return names[0]
        default = self.default_name()
        if default in names:
            return default
        raise NotFound(
            f"several models classify texts; ask /models/<name>/classify with one of {_shown(names)}"
            if names
            else "no model classifies texts; train one with `python scripts/train.py --recipe text --data FILE`"
        )

    def names(self) -> list[str]:
        """Return the names of the models that have a promoted version."""
        return sorted(self._view().serving)

    def serving(self, name: str) -> Serving:
        """Return what of `name` is served; raises NotFound where nothing is."""
        return _serving_in(self._view(), name)

    def refused(self, name: str) -> dict[int, str]:
        """Return why versions of `name` that are served cannot answer, by version."""
        view = self._view()
        served = _serving_in(view, name).served
        return {version: why for (other, version), why in view.refused.items() if other == name and version in served}

    def answers(self, name: str, version: Version = None) -> bool:
        """Tell whether a version answers, or would once it is loaded; raises NotFound or NotServed as `get` does."""
        view = self._view()
        serving = _serving_in(view, name)
        version = _number_of(view, name, version)
        if version is None:
            return name in view.current or not all((name, each) in view.refused for each in view.candidates(name))
        self._check_served(view, name, version)
        return (name, version) in view.loaded or (version in serving.served and (name, version) not in view.refused)

    def manifest(self, name: str, version: Version = None) -> Manifest:
        """Return a served version's manifest, by default that of the one that answers; raises as :meth:`get` does."""
        view = self._view()
        version = _number_of(view, name, version)
        current = view.current.get(name)
        if current is not None and version in (None, current.version):
            return current.manifest
        serving = _serving_in(view, name)
        if version is None:
            version = serving.served[0]
        else:
            self._check_served(view, name, version)
        known = self._manifests.get((name, version))
        if known is None or known[0] is not serving:
            try:
                known = self._manifests[name, version] = (serving, self._catalog.manifest(name, version))
            except StoreError as fault:
                raise refusal(name, version, str(fault)) from fault
        return known[1]

    def start(self) -> None:
        """Start to watch the store, in a thread that ends with the process."""
        threading.Thread(target=self._watch, name="model-watcher", daemon=True).start()

    def stop(self) -> None:
        """Stop watching; what is loaded goes on answering."""
        self._stopped.set()
        self._wake.set()

    def catch_up(self, name: str, timeout: float) -> None:
        """Wait until what the store says of `name` now is in force here, or cannot be; `timeout` is in seconds."""
        promoted = self._catalog.promoted(name)

        def in_step() -> bool:
            view = self._follower.view
            serving = view.serving.get(name)
            if promoted is None or serving is None:
                return promoted is None and serving is None
            return serving.promoted == promoted and (name in view.current or (name, promoted) in view.refused)

        self._wake.set()
        with self._looked_again:
            self._looked_again.wait_for(in_step, timeout)

    def refresh(self) -> None:
        """Look at the store once, in the watcher's thread or, where it was never started, in any one thread."""
        self._follower.refresh()

    def _watch(self) -> None:
        while not self._stopped.is_set():
            try:
                self.refresh()
            except Exception:
                log.exception("watching the model store failed; it is tried again")
            with self._looked_again:
                self._looked_again.notify_all()
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()

    def _view(self, timeout: float = _FIRST_LOOK_SECONDS) -> View:
        """Return what is served, once the watcher has looked for the first time; waits `timeout` seconds at most."""
        if not self._follower.looked.is_set():
            self._follower.looked.wait(min(timeout, _FIRST_LOOK_SECONDS))
        return self._follower.view

    def _default_in(self, view: View) -> str:
        if not view.serving:
            raise Unavailable(
                "there is no model yet; train one with `python scripts/train.py --dataset iris`, "
                "and this service takes it within two seconds",
                retry_after=2,
            )
        name = default_of(view.serving.keys(), self._default)
        if name is None:
            raise NotFound(
                "there are several models and none is the default; ask /models/<name>/predict with one of "
                f"{_shown(sorted(view.serving))}, or set DEFAULT_MODEL"
            )
        return name

    def _classifies(self, name: str) -> bool:
        try:
            return self.manifest(name).signature.labels_texts
        except (NotFound, Unavailable):
            return False

    def _check_served(self, view: View, name: str, version: int) -> None:
        """Raise NotFound or NotServed where a version does not answer."""
        serving = _serving_in(view, name)
        current = view.current.get(name)
        if version in serving.served or (current is not None and current.version == version):
            return
        if version not in self._catalog.versions(name):
            raise NotFound(f"model {name!r} has no version {version}; served are {_shown(serving.served)}")
        raise NotServed(
            f"{name} version {version} is not served: it is neither promoted, labelled, in the split or shadow nor the "
            "one promoted before; "
            f"label it with `python scripts/models.py label {name} {version} LABEL`"
        )

    def _fetch(self, view: View, name: str, version: int | None, timeout: float) -> LoadedModel:
        """Let the watcher load a version, and wait for it."""
        _serving_in(view, name)
        candidates = view.candidates(name) if version is None else [version]
        if all((name, candidate) in view.refused for candidate in candidates):
            raise refusal(name, candidates[0], view.refused[name, candidates[0]])
        future = self._follower.want(name, version)
        self._wake.set()
        try:
            return future.result(timeout)
        except TimeoutError:
            raise Unavailable(f"{name} version {candidates[0]} is still being loaded") from None


def _serving_in(view: View, name: str) -> Serving:
    serving = view.serving.get(name)
    if serving is None:
        names = sorted(view.serving)
        raise NotFound(f"there is no model {name!r}" + (f"; there are {_shown(names)}" if names else ""))
    return serving


def _number_of(view: View, name: str, version: Version) -> int | None:
    """Return the number of a version that may be given by its label; raises NotFound where there is no such label."""
    if not isinstance(version, str):
        return version
    labels = _serving_in(view, name).labels
    if version not in labels:
        raise NotFound(f"model {name!r} has no label {version[:80]!r}; it has {_shown(sorted(labels)) or 'none'}")
    return labels[version]


def _shown(names: Sequence[str] | Sequence[int]) -> str:
    shown = ", ".join(map(str, names[:_NAMES_SHOWN]))
    return f"{shown}, …" if len(names) > _NAMES_SHOWN else shown
