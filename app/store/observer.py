"""Who is told what becomes of the models."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol


class Observer(Protocol):
    """Who wants to know what becomes of the models; the metrics do."""

    def model_loaded(self, name: str, version: int) -> None:
        """Take note that a version was loaded."""

    def model_refused(self, name: str, version: int) -> None:
        """Take note that a version could not be loaded."""

    def engine_fell_back(self, name: str, form: str) -> None:
        """Take note that scikit-learn answers in the place of a form that cannot be built; from any thread."""

    def model_serving(self, name: str, version: int) -> None:
        """Take note that a version answers for its model from now on."""

    def model_gone(self, name: str) -> None:
        """Take note that a model answers no more."""

    def model_answering(self, name: str, versions: Collection[int]) -> None:
        """Take note of the versions of a model that requests may reach from now on; of none where it is gone."""

    def model_split(self, name: str, version: int, share: float) -> None:
        """Take note that a version gets another share of the requests to its model that name none."""
