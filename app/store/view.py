"""What a process serves at one moment, for whoever reads it without a lock."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from app.store.loading import LoadedModel
from app.store.serving import Serving

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
    """

    serving: Mapping[str, Serving] = field(default_factory=dict)
    current: Mapping[str, LoadedModel] = field(default_factory=dict)
    loaded: Mapping[Key, LoadedModel] = field(default_factory=dict)
    refused: Mapping[Key, str] = field(default_factory=dict)

    def candidates(self, name: str) -> list[int]:
        """Return the versions that may answer for `name`: the promoted one, else the one promoted before, and so on."""
        serving = self.serving[name]
        versions = dict.fromkeys([serving.promoted, *reversed(serving.history)])
        return [version for version in versions if version is not None][:_MOST_TRIED]

    def without(self, name: str) -> View:
        """Return the view in which the model `name` is gone."""
        return View(
            {other: serving for other, serving in self.serving.items() if other != name},
            {other: model for other, model in self.current.items() if other != name},
            {key: model for key, model in self.loaded.items() if key[0] != name},
            {key: why for key, why in self.refused.items() if key[0] != name},
        )


def default_of(names: Collection[str], wanted: str | None) -> str | None:
    """Return the default model's name: the one that is set, else the only one, else ``default``, else None."""
    if wanted is not None:
        return wanted
    if len(names) == 1:
        return next(iter(names))
    return "default" if "default" in names else None
