"""Look after the model store: what is in it, what is served, and whether it is sound."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import _checkout  # noqa: F401
import click
from _moving import export_model, import_model
from _printing import TellingErrors, print_json, print_table
from _store import HELP, Store, pass_store, promoted_version
from _traffic import print_serving, shadow, split

if TYPE_CHECKING:
    from app.store import Manifest, ModelStore, Serving

_json = click.option("--json", "as_json", is_flag=True, help="For programs.")
_name = click.argument("name")
_version = click.argument("version", type=click.IntRange(1))


@click.group(cls=TellingErrors, context_settings=HELP)
def main() -> None:
    """Look after the models in the store (MODEL_STORE): a running service takes what changes within two seconds."""


for command in (split, shadow, export_model, import_model):
    main.add_command(command)


@main.command(name="list", context_settings=HELP)
@_json
@pass_store
def list_models(store: Store, as_json: bool) -> None:
    """List the models, their versions and which of them are served."""
    from app.store.showing import summaries

    found = summaries(store.catalog)
    if as_json:
        print_json({"models": found})
        return
    if not found:
        click.echo(f"{store.catalog.root} has no models; train one with: python scripts/train.py --dataset iris")
        return
    rows = [
        (
            model["name"],
            model["promoted"],
            model["versions"],
            model["labels"],
            model.get("fault") or model["task"],
            model["created"],
        )
        for model in found
    ]
    print_table(("model", "promoted", "versions", "labels", "task", "created"), rows)


@main.command(context_settings=HELP)
@_name
@click.argument("version", type=click.IntRange(1), required=False)
@_json
@pass_store
def show(store: Store, name: str, version: int | None, as_json: bool) -> None:
    """Show what a version takes and gives, its metrics and where it is from; the promoted one by default."""
    from app.store.showing import ENGINE_COLUMNS, describe, describe_shadow, describe_split, engine_table

    catalog = store.catalog
    manifest, serving = _manifest(catalog, name, version), catalog.serving(name)
    if as_json:
        click.echo(manifest.to_json())
        return
    state = ", ".join(serving.roles(manifest.version))
    click.echo(f"{name} version {manifest.version}{f' ({state})' if state else ''}, made {manifest.created}")
    for what, told in (("split", describe_split(serving)), ("shadow", describe_shadow(serving))):
        if told:
            click.echo(f"{what}: {told}")
    click.echo(f"{describe(manifest)}")
    click.echo(", ".join(f"{library} {number}" for library, number in manifest.library.items()))
    inputs = [
        (
            column.name,
            column.dtype,
            "yes" if column.nullable else "no",
            "yes" if column.used else "no",
            column.categories,
        )
        for column in manifest.signature.inputs
    ]
    print_table(("input", "dtype", "missing", "used", "values"), inputs)
    numbers = [(name, value) for name, value in manifest.metrics.items() if isinstance(value, int | float | str)]
    if numbers:
        print_table(("metric", "value"), numbers)
    engines = engine_table(manifest)
    if engines:
        print_table(ENGINE_COLUMNS, engines)
    known = {key: value for key, value in manifest.data.items() if isinstance(value, int | float | str)}
    click.echo("data: " + ", ".join(f"{key} {value}" for key, value in known.items()))


@main.command(name="try", context_settings=HELP)
@_name
@click.argument("rows", required=False)
@click.option("--version", type=click.IntRange(1), help="The version.  [default: the promoted one]")
@click.option("--method", default="predict", show_default=True, help="predict, predict_proba, transform, …")
@_json
@pass_store
def try_model(  # noqa: PLR0913  # the command's options
    store: Store, *, name: str, rows: str | None, version: int | None, method: str, as_json: bool
) -> None:
    """Predict from the shell: ROWS are the JSON body of a /predict, @FILE or - for the standard input.

    Bare lists are rows too: '[[5.1, 3.5, 1.4, 0.2]]'. Without ROWS, the few that are kept with the version.
    """
    from app.store.trying import ask

    catalog, settings = store.catalog, store.settings
    version = version or promoted_version(catalog, name)
    body = None if rows is None else _body(rows)
    asked = ask(catalog, name, version, method, body, allow_mismatch=settings.allow_version_mismatch)
    if as_json:
        click.echo(asked.reply)
        return
    answers = [(row, answer) for row, answer in enumerate(asked.answers)]
    print_table(("row", method), answers)


@main.command(context_settings=HELP)
@_name
@_version
@_json
@pass_store
def promote(store: Store, name: str, version: int, as_json: bool) -> None:
    """Let a version answer from now on, once it has passed every check."""
    from app.store import upkeep

    allow = store.settings.allow_version_mismatch
    before = _serving_if_sound(store.catalog, name)
    serving = upkeep.promote(store.catalog, name, version, allow_mismatch=allow)
    print_serving(name, serving, f"{name} version {version} is promoted{_left(before, serving)}", as_json=as_json)


@main.command(context_settings=HELP)
@_name
@_json
@pass_store
def rollback(store: Store, name: str, as_json: bool) -> None:
    """Promote the version that was promoted before."""
    from app.store import upkeep

    before = store.catalog.serving(name)
    serving = upkeep.rollback(store.catalog, name, allow_mismatch=store.settings.allow_version_mismatch)
    told = f"{name} is back from version {before.promoted} to {serving.promoted}{_left(before, serving)}"
    print_serving(name, serving, told, as_json=as_json)


@main.command(context_settings=HELP)
@_name
@_version
@click.argument("label")
@_json
@pass_store
def label(store: Store, *, name: str, version: int, label: str, as_json: bool) -> None:
    """Serve a version under a LABEL, and under its own number."""
    serving = store.catalog.label(name, version, label)
    told = f"{name} version {version} is {label}: POST /models/{name}/labels/{label}/predict"
    print_serving(name, serving, told, as_json=as_json)


@main.command(context_settings=HELP)
@_name
@click.argument("label")
@_json
@pass_store
def unlabel(store: Store, name: str, label: str, as_json: bool) -> None:
    """Take a LABEL away."""
    print_serving(name, store.catalog.unlabel(name, label), f"{name} has no {label} any more", as_json=as_json)


@main.command(context_settings=HELP)
@click.argument("name", required=False)
@click.argument("version", type=click.IntRange(1), required=False)
@_json
@pass_store
def verify(store: Store, name: str | None, version: int | None, as_json: bool) -> None:
    """Check digests, library versions and golden rows; exits with 1 where a version would be refused."""
    from app.store import upkeep

    allow = store.settings.allow_version_mismatch
    verdicts = list(upkeep.verify(store.catalog, name, version, allow_mismatch=allow))
    if as_json:
        shown = [{"name": v.name, "version": v.version, "ok": not v.refused, "refused": v.refused} for v in verdicts]
        print_json({"versions": shown})
    else:
        print_table(("model", "version", "verdict"), [(v.name, v.version, v.refused or "ok") for v in verdicts])
    if any(verdict.refused for verdict in verdicts):
        raise SystemExit(1)


@main.command(context_settings=HELP)
@_name
@_version
@click.option("--promote", is_flag=True, help="Let the new version answer from now on.")
@_json
@pass_store
def recheck(store: Store, *, name: str, version: int, promote: bool, as_json: bool) -> None:
    """Make a new version under the installed scikit-learn of one that another fitted, if it answers the same."""
    from app.store import upkeep

    saved = upkeep.recheck(store.catalog, name, version, promote=promote)
    if as_json:
        print_json({"name": name, "rechecked": version, "version": saved and saved.version, "promoted": promote})
    elif saved is None:
        click.echo(f"{name} version {version} is of the installed scikit-learn already; nothing to do")
    else:
        how = "promoted" if promote else f"promote it with: python scripts/models.py promote {name} {saved.version}"
        click.echo(f"{name} version {version} answers the same here; saved as version {saved.version}; {how}")


@main.command(context_settings=HELP)
@_name
@click.option("--keep", type=click.IntRange(0), required=True, help="So many of the newest versions stay.")
@_json
@pass_store
def prune(store: Store, name: str, keep: int, as_json: bool) -> None:
    """Delete old versions; those that are served stay as well."""
    deleted = store.catalog.prune(name, keep)
    if as_json:
        print_json({"name": name, "deleted": deleted, "versions": store.catalog.versions(name)})
    else:
        click.echo(f"deleted {', '.join(map(str, deleted)) or 'nothing'}; left are {_joined(store, name)}")


@main.command(context_settings=HELP)
@_name
@click.argument("version", type=click.IntRange(1), required=False)
@click.option("--yes", is_flag=True, help="Don't ask.")
@_json
@pass_store
def remove(store: Store, *, name: str, version: int | None, yes: bool, as_json: bool) -> None:
    """Delete a version that is not served, or a whole model."""
    catalog = store.catalog
    catalog.existing(name) if version is None else catalog.path(name, version)
    what = f"{name} version {version}" if version else f"{name} with all its versions ({_joined(store, name)})"
    if not yes and not click.confirm(f"Delete {what}?", err=True):
        raise SystemExit(1)
    deleted = catalog.remove(name, version)
    if as_json:
        print_json({"name": name, "deleted": deleted})
    else:
        click.echo(f"deleted {what}")


def _manifest(catalog: ModelStore, name: str, version: int | None) -> Manifest:
    return catalog.manifest(name, version or promoted_version(catalog, name))


def _joined(store: Store, name: str) -> str:
    return ", ".join(map(str, store.catalog.versions(name))) or "none"


def _serving_if_sound(catalog: ModelStore, name: str) -> Serving:
    """Return what is served; nothing where that cannot be read, and a promotion writes it anew."""
    from app.errors import StoreError
    from app.store import Serving

    try:
        return catalog.serving(name)
    except StoreError:
        return Serving()


def _left(before: Serving, after: Serving) -> str:
    """Say what a version has ceased to be by being promoted."""
    roles = ["in the split"] * (len(after.split) < len(before.split))
    roles += ["the shadow"] * (after.shadow != before.shadow)
    return f", and no longer {' or '.join(roles)}" if roles else ""


def _body(rows: str) -> bytes:
    from app.errors import StoreError

    if rows == "-":
        return sys.stdin.buffer.read()
    if not rows.startswith("@"):
        return rows.encode("utf-8", "surrogateescape")
    try:
        return Path(rows[1:]).read_bytes()
    except OSError as fault:
        raise StoreError(f"{rows[1:]} cannot be read: {fault.strerror}") from fault


if __name__ == "__main__":
    main()
