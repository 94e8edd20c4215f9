"""What of a model is served: the content of ``serving.json``."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import orjson

from app.errors import InvalidValue, StoreError

FILE = "serving.json"

# The header whose value keeps a caller on one version of a split, unless another is set.
STICKY = "X-Session-Id"
# What that may be.
HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
# Shares are written in decimals, whose sum may miss 1 by a rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Shadow:
    """The version that answers unseen, and the share of requests that it is asked too: above 0, at most 1."""

    version: int
    share: float = 1.0


@dataclass(frozen=True)
class Serving:
    """What of a model is served.

    Attributes
    ----------
    promoted: the version that answers where none is asked for, if any.
    history: what was promoted, oldest first.
    labels: versions by label.
    split: shares of the requests that name no version, by version; the promoted one gets the rest.
    sticky: the header whose value keeps a caller on one version of the split, else its API key does; None leaves
        every request to chance.
    shadow: the version that answers unseen, if any.
    latest: the highest version number ever given, so that no number comes twice.
    """

    promoted: int | None = None
    history: tuple[int, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)
    split: Mapping[int, float] = field(default_factory=dict)
    sticky: str | None = STICKY
    shadow: Shadow | None = None
    latest: int = 0

    @property
    def challengers(self) -> tuple[int, ...]:
        """The versions that requests reach without naming them: those of the split, then the shadow."""
        return (*self.split, self.shadow.version) if self.shadow else tuple(self.split)

    @property
    def served(self) -> tuple[int, ...]:
        """The versions that answer: the promoted one, then labelled ones, challengers and the one promoted before."""
        wanted = [self.promoted, *self.labels.values(), *self.challengers, *self.history[-2:-1]]
        return tuple(dict.fromkeys(version for version in wanted if version is not None))

    def roles(self, version: int) -> list[str]:
        """Say in words as what `version` is served; empty where it is not."""
        told = ["promoted"] * (version == self.promoted)
        told += [label for label, labelled in self.labels.items() if labelled == version]
        if version in self.split:
            told.append(f"{percent(self.split[version])} of the split")
        if self.shadow and self.shadow.version == version:
            told.append(f"shadow of {percent(self.shadow.share)}")
        if version in self.history[-2:-1] and version != self.promoted:
            told.append("promoted before")
        return told

    def as_dict(self) -> dict[str, Any]:
        """Return what is served for a reply in JSON."""
        return {
            "promoted": self.promoted,
            "served": self.served,
            "labels": self.labels,
            "split": {str(version): share for version, share in self.split.items()},
            "sticky": self.sticky,
            "shadow": self.shadow and asdict(self.shadow),
        }

    def to_json(self) -> bytes:
        """Return the bytes of ``serving.json``."""
        fields: dict[str, Any] = asdict(self)
        return orjson.dumps(fields, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)

    @classmethod
    def from_json(cls, content: bytes) -> Serving:
        """Read the bytes of ``serving.json``; raises ValueError, TypeError, KeyError or AttributeError."""
        fields = orjson.loads(content)
        known = {key: fields[key] for key in cls.__dataclass_fields__ if key in fields}
        known |= {"promoted": fields["promoted"], "history": tuple(fields["history"])}
        known["split"] = {int(version): float(share) for version, share in known.get("split", {}).items()}
        shadow = known.get("shadow")
        known["shadow"] = None if shadow is None else Shadow(shadow["version"], float(shadow["share"]))
        serving = cls(**known)
        numbers = [*serving.history, *serving.labels.values(), *serving.challengers, serving.latest]
        if serving.promoted is not None:
            numbers.append(serving.promoted)
        if set(map(type, numbers)) != {int}:
            raise ValueError("a version is no whole number")
        return serving

    def promoting(self, version: int) -> Serving:
        """Return what is served once `version` is promoted: it leaves the split and is nobody's shadow any more."""
        # One that was withdrawn and comes back stands in the history already.
        history = self.history if self.history[-1:] == (version,) else (*self.history, version)
        return replace(self, promoted=version, history=history).without_challenger(version)

    def without_challenger(self, version: int | None) -> Serving:
        """Return what is served once `version` is neither in the split nor the shadow."""
        split = {each: share for each, share in self.split.items() if each != version}
        shadow = None if self.shadow and self.shadow.version == version else self.shadow
        return replace(self, split=split, shadow=shadow)

    def splitting(self, split: Mapping[int, float], sticky: str | None = STICKY) -> Serving:
        """Return what is served once `split` tells who answers requests that name no version.

        Raises
        ------
        InvalidValue
            A share is not above 0 and at most 1, they add up to more than 1, or `sticky` cannot be a header's name.
        StoreError
            The promoted version is among them, or there is none.
        """
        for version, share in split.items():
            _check_share(share, f"version {version}")
        if sum(split.values()) > 1 + _ROUNDING:
            told = percent(sum(split.values()))
            raise InvalidValue(f"the shares add up to {told}; give 100% or less, the promoted version gets the rest")
        if sticky is not None and not HEADER.fullmatch(sticky):
            raise InvalidValue(f"{sticky[:80]!r} cannot be a header's name: use letters, digits and '-', 64 at most")
        self._require_promoted("take the rest of a split", split)
        return replace(self, split=dict(split), sticky=sticky)

    def shadowing(self, shadow: Shadow | None) -> Serving:
        """Return what is served once `shadow` answers unseen; raises as :meth:`splitting` does."""
        if shadow is not None:
            _check_share(shadow.share, "the shadow")
            self._require_promoted("be compared with", [shadow.version])
        return replace(self, shadow=shadow)

    def _require_promoted(self, purpose: str, challengers: Collection[int]) -> None:
        if challengers and self.promoted is None:
            raise StoreError(f"no version is promoted that could {purpose}; promote one first")
        if self.promoted in challengers:
            raise StoreError(f"version {self.promoted} is promoted and answers already; name other versions")

    def without(self, versions: Collection[int]) -> Serving:
        """Return what is served once `versions` are deleted; the same version never follows itself in the history."""
        left: list[int] = []
        for version in self.history:
            if version not in versions and left[-1:] != [version]:
                left.append(version)
        return replace(self, history=tuple(left))


def percent(share: float) -> str:
    """Write a share as a percentage: 0.1 is 10%."""
    return f"{share * 100:.6g}%"


def _check_share(share: float, whose: str) -> None:
    if not 0 < share <= 1:
        raise InvalidValue(f"the share of {whose} must be above 0% and at most 100%, not {percent(share)}")
