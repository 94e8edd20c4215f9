"""``models.py export`` and ``import``: a version as one file, from a store to another."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click
from _store import HELP, Store, pass_store, promoted_version

if TYPE_CHECKING:
    from app.store import Saved


@click.command(name="export", context_settings=HELP)
@click.argument("name")
@click.argument("version", type=click.IntRange(1), required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="[default: the standard output]")
@pass_store
def export_model(store: Store, name: str, version: int | None, output: Path | None) -> None:
    """Write a version as a tar.gz, the promoted one by default, for `models.py import` in another store.

    The same version gives the same bytes. Some rows of the data are in it: golden rows, and those for explanations.
    """
    from app.errors import StoreError
    from app.store.moving import export_version

    catalog = store.catalog
    version = version or promoted_version(catalog, name)
    if output is None:
        if sys.stdout.isatty():
            raise StoreError(f"an archive is nothing for a terminal; write it to a file: -o {name}-{version}.tar.gz")
        export_version(catalog, name, version, sys.stdout.buffer)
        return
    partly = output.with_name(f".{output.name}.partly")
    try:
        with partly.open("wb") as file:
            export_version(catalog, name, version, file)
        partly.replace(output)
    except OSError as fault:
        raise StoreError(f"{output} cannot be written: {fault.strerror}") from fault
    finally:
        partly.unlink(missing_ok=True)
    click.echo(f"{name} version {version} is in {output}")


@click.command(name="import", context_settings=HELP)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--name", help="Another name than it had.")
@click.option("--promote/--no-promote", default=True, show_default=True, help="Whether it answers from now on.")
@pass_store
def import_model(store: Store, file: Path, name: str | None, promote: bool) -> None:
    """Take a version in from FILE, which `models.py export` wrote, or from the standard input (-).

    It becomes the next version of its model. Digests are checked before anything is put in place; they tell what was
    damaged, not whom to trust: promoting loads the model, and that runs whatever is in it. Import only files that you
    trust.
    """
    from app.errors import StoreError
    from app.store.moving import import_version

    allow = store.settings.allow_version_mismatch

    def take_in(stream: BinaryIO) -> Saved:
        return import_version(store.catalog, stream, name=name, promote=promote, allow_mismatch=allow)

    if str(file) == "-":
        saved = take_in(sys.stdin.buffer)
    else:
        try:
            opened = file.open("rb")
        except OSError as fault:
            raise StoreError(f"{file} cannot be read: {fault.strerror}") from fault
        with opened:
            saved = take_in(opened)
    how = "promoted" if promote else f"promote it with: python scripts/models.py promote {saved.name} {saved.version}"
    click.echo(f"imported as {saved.name} version {saved.version}; {how}")
