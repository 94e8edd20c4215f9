"""The commands of ``models.py`` that share requests out among versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from _printing import print_json
from _store import HELP, Store, pass_store

_MOST_DIGITS = 9

if TYPE_CHECKING:
    from app.store import Serving


@click.command(context_settings=HELP)
@click.argument("name")
@click.argument("shares", nargs=-1, metavar="VERSION=SHARE...")
@click.option("--sticky", metavar="HEADER", help="Its value keeps a caller on a version.  [default: X-Session-Id]")
@click.option("--by-chance", is_flag=True, help="Keep nobody on a version: each request is drawn anew.")
@click.option("--off", is_flag=True, help="End the split.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@pass_store
def split(  # noqa: PLR0913  # the command's options
    store: Store, *, name: str, shares: tuple[str, ...], sticky: str | None, by_chance: bool, off: bool, as_json: bool
) -> None:
    """Share requests out: "split iris 2=10%" gives version 2 a tenth, and the promoted one the rest.

    A caller stays on one version by the header's value, else by its API key; without either, chance decides.
    """
    from app.store import upkeep
    from app.store.serving import STICKY
    from app.store.showing import describe_split

    if off == bool(shares):
        raise click.UsageError("give VERSION=SHARE, such as 2=10%, or --off")
    if sticky is not None and by_chance:
        raise click.UsageError("give --sticky HEADER or --by-chance, not both")
    header = None if by_chance else sticky or STICKY
    wanted = dict(_version_and_share(given) for given in shares)
    if len(wanted) < len(shares):
        raise click.UsageError("a version has two shares; give each once")
    allow = store.settings.allow_version_mismatch
    serving = upkeep.split(store.catalog, name, wanted, header, allow_mismatch=allow)
    told = describe_split(serving) or f"none, version {serving.promoted} answers alone"
    print_serving(name, serving, f"{name}'s split: {told}", as_json=as_json)


@click.command(context_settings=HELP)
@click.argument("name")
@click.argument("version", type=click.IntRange(1), required=False)
@click.option("--share", default="100%", show_default=True, help="The share of requests that it is asked too.")
@click.option("--off", is_flag=True, help="End the shadow traffic.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@pass_store
def shadow(  # noqa: PLR0913  # the command's options
    store: Store, *, name: str, version: int | None, share: str, off: bool, as_json: bool
) -> None:
    """Ask a version too what the others answer, after they have: its answers are compared, and sent to nobody."""
    from app.store import Shadow, upkeep
    from app.store.showing import describe_shadow

    if off == (version is not None):
        raise click.UsageError("give a VERSION, or --off")
    wanted = None if version is None else Shadow(version, _share(share))
    allow = store.settings.allow_version_mismatch
    serving = upkeep.shadow(store.catalog, name, wanted, allow_mismatch=allow)
    print_serving(name, serving, f"{name}'s shadow: {describe_shadow(serving) or 'none'}", as_json=as_json)


def _version_and_share(given: str) -> tuple[int, float]:
    from app.errors import StoreError

    version, equals, share = given.partition("=")
    if not (equals and version.isascii() and version.isdigit() and len(version) <= _MOST_DIGITS):
        raise StoreError(f"{given!r} is no VERSION=SHARE, such as 2=10%")
    return int(version), _share(share)


def _share(given: str) -> float:
    """Read a share, written as 10% or as 0.1."""
    from app.errors import StoreError

    try:
        return float(given.removesuffix("%")) / (100 if given.endswith("%") else 1)
    except ValueError:
        raise StoreError(f"{given!r} is no share; write 10% or 0.1") from None


def print_serving(name: str, serving: Serving, told: str, *, as_json: bool) -> None:
    """Say what was changed, or for programs what is served now."""
    if as_json:
        print_json({"name": name} | serving.as_dict())
    else:
        click.echo(told)
