"""Who answers a request that names no version, and who answers it unseen."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from app.store.loading import LoadedModel
from app.store.serving import Serving

_PLACES = 2**64


class Caller(Protocol):
    """Who asks, as far as it keeps him on one version: a request's headers by lower-case name, and its API key."""

    @property
    def header(self) -> Callable[[str], str]:
        """Returns a header by its lower-case name, empty where it was not sent."""

    @property
    def key(self) -> str | None:
        """The API key, where one was sent."""

    @property
    def place(self) -> float | None:
        """The place in the split, where it was drawn before."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """The split and the shadow of one model, as far as their versions are in memory.

    Attributes
    ----------
    ends: where each version's part of [0, 1) ends, and the version; None where it cannot answer, so that the
        promoted one does. What lies beyond the last end is the promoted one's.
    sticky: the header that keeps a caller on one version, in lower case; None leaves every request to chance.
    shadow: the version that answers unseen, and the share of requests that it is asked.
    """

    ends: tuple[tuple[float, LoadedModel | None], ...]
    sticky: str | None
    shadow: tuple[LoadedModel, float] | None

    def draw(self, name: str, caller: Caller | None) -> float:
        """Return a caller's place in the split of the model `name`, in [0, 1).

        The same caller gets the same place, in every worker and after every start: the value of the header decides,
        else the API key, else chance.
        """
        known = None
        if caller is not None:
            if caller.place is not None:
                return caller.place
            if self.sticky is not None:
                known = caller.header(self.sticky) or caller.key
        if not known:
            return random.random()  # noqa: S311  # no secret: it only spreads requests evenly
        digest = hashlib.blake2b(f"{name}\0{known}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return int.from_bytes(digest, "big") / _PLACES

    def at(self, place: float) -> LoadedModel | None:
        """Return the version of the split that answers at a place; None leaves it to the promoted one."""
        return next((model for end, model in self.ends if place < end), None)

    def unseen(self, shown: LoadedModel) -> LoadedModel | None:
        """Return the version that is asked unseen too, for a request that `shown` answers; None where none is."""
        if self.shadow is None:
            return None
        model, share = self.shadow
        return model if model is not shown and random.random() < share else None  # noqa: S311


def traffic_of(serving: Serving, loaded: Mapping[int, LoadedModel]) -> Traffic | None:
    """Return the traffic that `serving` asks for, given the versions in memory; None where there is none."""
    ends: list[tuple[float, LoadedModel | None]] = []
    end = 0.0
    for version, share in sorted(serving.split.items()):
        end += share
        ends.append((end, loaded.get(version)))
    unseen = loaded.get(serving.shadow.version) if serving.shadow else None
    shadow = (unseen, serving.shadow.share) if serving.shadow and unseen else None
    if shadow is None and not any(model for _, model in ends):
        return None
    return Traffic(tuple(ends), serving.sticky.lower() if serving.sticky else None, shadow)
