"""The store as the commands of ``models.py`` are given it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from app.settings import Settings
    from app.store import ModelStore

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class Store:
    """The store that MODEL_STORE names, opened when it is first needed: --help needs none."""

    @property
    def settings(self) -> Settings:
        """What the environment says."""
        from app.settings import Settings

        return Settings.from_environ()

    @property
    def catalog(self) -> ModelStore:
        """The models."""
        from app.store import ModelStore

        return ModelStore(self.settings.model_store)


pass_store = click.make_pass_decorator(Store, ensure=True)


def promoted_version(catalog: ModelStore, name: str) -> int:
    """Return the promoted version of a model that exists; raises StoreError where none is."""
    from app.errors import StoreError

    catalog.existing(name)
    version = catalog.promoted(name)
    if version is None:
        raise StoreError(
            f"model {name!r} has no promoted version; name one, of {', '.join(map(str, catalog.versions(name)))}"
        )
    return version
