"""What a process serves at one moment, for whoever reads it without a lock."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from app.store.loading import LoadedModel
from app.store.serving import Serving
from app.store.traffic import Traffic, traffic_of

# So many versions are tried, newest first, where the promoted one is refused at the start.
_MOST_TRIED = 5

Key = tuple[str, int]


@dataclass(frozen=True)
class View:
    """What a process serves at one moment; never changed, only replaced.

    Attributes
    ----------
    serving: what the store says of every model that has a promoted version.
    current: the version that answers for its model; each of them is in `loaded` too.
    loaded: the versions in memory.
    refused: why a version cannot be served.
    traffic: the split and the shadow of each model that has one in `loaded`.
    """

    serving: Mapping[str, Serving] = field(default_factory=dict)
    current: Mapping[str, LoadedModel] = field(default_factory=dict)
    loaded: Mapping[Key, LoadedModel] = field(default_factory=dict)
    refused: Mapping[Key, str] = field(default_factory=dict)
    traffic: Mapping[str, Traffic] = field(default_factory=dict)

    def answering(self) -> dict[str, tuple[int, ...]]:
        """Return the versions of each model that requests may reach."""
        answering = {name: serving.served for name, serving in self.serving.items()}
        for name, model in self.current.items():
            if model.version not in answering[name]:
                answering[name] += (model.version,)
        return answering

    def candidates(self, name: str) -> list[int]:
        """Return the versions that may answer for `name`: the promoted one, else the one promoted before, and so on."""
        serving = self.serving[name]
        versions = dict.fromkeys([serving.promoted, *reversed(serving.history)])
        return [version for version in versions if version is not None][:_MOST_TRIED]

    def trimmed(
        self, newest: LoadedModel | None, *, answers: bool, default: str | None, most: int, used: Mapping[Key, float]
    ) -> View:
        """Return the view with the model `newest`, without what is served no more and what is beyond `most`.

        Parameters
        ----------
        newest
            A version that was loaded just now, if any.
        answers
            Whether it answers for its model from now on.
        default
            The default model, whose current version always stays.
        most
            So many versions stay; the least recently used goes first.
        used
            When each version was used last.
        """
        loaded, current = dict(self.loaded), dict(self.current)
        if newest is not None:
            loaded[newest.name, newest.version] = newest
            if answers:
                current[newest.name] = newest
        served = [
            key
            for key, model in loaded.items()
            if current.get(key[0]) is model or key[1] in self.serving[key[0]].served
        ]
        first = current.get(default or "")
        served.sort(key=lambda key: (loaded[key] is not first, loaded[key] is not newest, -used.get(key, 0.0)))
        loaded = {key: loaded[key] for key in served[:most]}
        current = {name: model for name, model in current.items() if loaded.get((name, model.version)) is model}
        return replace(self, loaded=loaded, current=current, traffic=self._traffic(loaded))

    def _traffic(self, loaded: Mapping[Key, LoadedModel]) -> dict[str, Traffic]:
        """Return the traffic of each model that has challengers among the versions in memory."""
        found = {}
        for name, serving in self.serving.items():
            if serving.challengers:
                there = {version: loaded[name, version] for version in serving.challengers if (name, version) in loaded}
                traffic = traffic_of(serving, there)
                if traffic is not None:
                    found[name] = traffic
        return found

    def without(self, name: str) -> View:
        """Return the view in which the model `name` is gone."""
        return View(
            {other: serving for other, serving in self.serving.items() if other != name},
            {other: model for other, model in self.current.items() if other != name},
            {key: model for key, model in self.loaded.items() if key[0] != name},
            {key: why for key, why in self.refused.items() if key[0] != name},
            {other: traffic for other, traffic in self.traffic.items() if other != name},
        )


def default_of(names: Collection[str], wanted: str | None) -> str | None:
    """Return the default model's name: the one that is set, else the only one, else ``default``, else None."""
    if wanted is not None:
        return wanted
    if len(names) == 1:
        return next(iter(names))
    return "default" if "default" in names else None
