"""What of a model is served: the content of ``serving.json``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import orjson

FILE = "serving.json"


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

    def to_json(self) -> bytes:
        """Return the bytes of ``serving.json``."""
        fields: dict[str, Any] = asdict(self)
        return orjson.dumps(fields, option=orjson.OPT_INDENT_2)

    @classmethod
    def from_json(cls, content: bytes) -> Serving:
        """Read the bytes of ``serving.json``; raises ValueError, TypeError, KeyError or AttributeError."""
        fields = orjson.loads(content)
        known = {key: fields[key] for key in cls.__dataclass_fields__ if key in fields}
        serving = cls(**known | {"promoted": fields["promoted"], "history": tuple(fields["history"])})
        numbers = [*serving.history, *serving.labels.values(), serving.latest]
        if serving.promoted is not None:
            numbers.append(serving.promoted)
        if set(map(type, numbers)) != {int}:
            raise ValueError("a version is no whole number")
        return serving

    def promoting(self, version: int) -> Serving:
        """Return what is served once `version` is promoted."""
        # One that was withdrawn and comes back stands in the history already.
        history = self.history if self.history[-1:] == (version,) else (*self.history, version)
        return self if self.promoted == version else replace(self, promoted=version, history=history)

    def without(self, versions: Collection[int]) -> Serving:
        """Return what is served once `versions` are deleted; the same version never follows itself in the history."""
        left: list[int] = []
        for version in self.history:
            if version not in versions and left[-1:] != [version]:
                left.append(version)
        return replace(self, history=tuple(left))
