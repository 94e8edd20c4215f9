"""Make, list and remove the API keys of the service."""

from __future__ import annotations

from pathlib import Path

import _checkout  # noqa: F401
import click
from _printing import TellingErrors, print_json, print_table

from app import keys
from app.settings import keys_file_to_write

_HELP = {"help_option_names": ["-h", "--help"]}


@click.group(cls=TellingErrors, context_settings=_HELP)
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The keys file.  [default: API_KEYS_FILE, else keys.json in the checkout]",
)
@click.pass_context
def main(context: click.Context, path: Path | None) -> None:
    """Make, list and remove the API keys of the service.

    The file holds digests, never keys. A running service that was started with API_KEYS_FILE naming it
    takes a change within a second.
    """
    context.obj = path or keys_file_to_write()


@main.command(context_settings=_HELP)
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(keys.SCOPES),
    multiple=True,
    default=("predict",),
    show_default="predict",
    help="What the key may do; may be given several times.",
)
@click.pass_obj
def add(path: Path, name: str, scopes: tuple[str, ...]) -> None:
    """Make a key for NAME and print it, this once."""
    click.echo(keys.add_key(path, name, scopes))
    click.echo(
        f"This is the key of {name!r}, shown only now; it may {' and '.join(scopes)}.\n"
        f"Serve with API_KEYS_FILE={path} and send it as 'Authorization: Bearer KEY'.",
        err=True,
    )


@main.command(name="list", context_settings=_HELP)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def list_keys(path: Path, as_json: bool) -> None:
    """List the keys: whose they are, what they may do, and since when."""
    entries = keys.read_entries(path) if path.exists() else ()
    if as_json:
        shown = [{"name": entry.name, "scopes": entry.scopes, "created": entry.created} for entry in entries]
        print_json({"keys": shown})
        return
    if not entries:
        click.echo(f"{path} has no keys; make one with: python scripts/keys.py add NAME")
        return
    print_table(("name", "scopes", "created"), [(entry.name, entry.scopes, entry.created) for entry in entries])


@main.command(context_settings=_HELP)
@click.argument("name")
@click.pass_obj
def remove(path: Path, name: str) -> None:
    """Take the key of NAME away."""
    keys.remove_key(path, name)
    click.echo(f"The key of {name!r} is removed.")


if __name__ == "__main__":
    main()
