"""What scripts print: tables for people, plain where they are piped, and JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

_PIPE_WIDTH = 200
_MOST_SHOWN = 20


class TellingErrors(click.Group):
    """A group of commands that tells users' mistakes in one line, and exits with 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        from app.errors import ServiceError, StoreError
        from app.settings import SettingsError

        try:
            return super().invoke(ctx)
        except (StoreError, ServiceError, SettingsError) as fault:
            click.echo(f"error: {' '.join(str(fault).split())}", err=True)
            ctx.exit(1)


def print_json(document: Mapping[str, Any]) -> None:
    from app.store.manifest import dump_json

    click.echo(dump_json(document))


def print_table(header: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max([_PIPE_WIDTH, *(sum(len(_cell(cell)) + 2 for cell in row) for row in rows)])
    table = Table(*header, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        # Strangers' names are printed as they are, never read as markup.
        table.add_row(*(Text(_cell(cell)) for cell in row))
    console.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, Mapping):
        text = ", ".join(f"{key}={item}" for key, item in value.items())
    elif isinstance(value, list | tuple):
        text = ", ".join(_cell(item) for item in value[:_MOST_SHOWN]) + (", …" if len(value) > _MOST_SHOWN else "")
    else:
        text = f"{value:.6g}" if isinstance(value, float) else str(value)
    # Control characters could steer a terminal.
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
