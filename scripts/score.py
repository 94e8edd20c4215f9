"""Score a whole file with a model of the store, or through a running service."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _checkout  # noqa: F401
import click

if TYPE_CHECKING:
    from app.scoring.asking import Asker

_EXAMPLES = """
\b
Examples
  python scripts/score.py passengers.csv scored.csv --model passengers
  python scripts/score.py big.parquet scored.parquet --model fares --version 3 --only
  python scripts/score.py rows.npy proba.npy --model iris --method predict_proba
  python scripts/score.py in.jsonl out.csv.gz --model iris --url http://127.0.0.1:8000 --skip-bad
"""
_PLAIN_SECONDS = 5.0
_Told = Callable[[int, float], None]


@click.command(epilog=_EXAMPLES, context_settings={"max_content_width": 110, "help_option_names": ["-h", "--help"]})
@click.argument("source", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--model", required=True, help="The model's name.")
@click.option("--version", type=click.IntRange(1), help="Its version.  [default: the promoted one]")
@click.option("--url", help="Ask a running service instead of the store (MODEL_STORE): http://127.0.0.1:8000")
@click.option("--key", envvar="API_KEY", help="The service's API key; better in the environment, as API_KEY.")
@click.option("--method", default="predict", show_default=True, help="predict, predict_proba, transform, …")
@click.option("--chunk", type=click.IntRange(1, 1_000_000), default=10_000, show_default=True, help="Rows at once.")
@click.option("--only", is_flag=True, help="Write the answers without the input's columns (as NPY always is).")
@click.option("--skip-bad", is_flag=True, help="Write rows that the model cannot take to TARGET.rejects, and go on.")
def main(**given: Any) -> None:
    """Score the rows of SOURCE into TARGET: CSV, TSV, JSON lines (each also as .gz), Parquet or NPY, by their names.

    Rows are asked in chunks, as a request would ask them, so that answers are the service's and memory stays the
    same however large the file is. TARGET appears once it is whole.
    """
    from app.errors import StoreError
    from app.scoring import ScoringError
    from app.settings import SettingsError

    try:
        _score(**given)
    except (ScoringError, StoreError, SettingsError) as fault:
        click.echo(f"error: {' '.join(str(fault).split())}", err=True)
        raise SystemExit(1) from None


def _score(  # noqa: PLR0913  # the command's options, by name
    *,
    source: Path,
    target: Path,
    model: str,
    version: int | None,
    url: str | None,
    key: str | None,
    method: str,
    chunk: int,
    only: bool,
    skip_bad: bool,
) -> None:
    from app.scoring import score
    from app.scoring.asking import ByUrl, InProcess
    from app.settings import Settings
    from app.store import ModelStore

    if url is None:
        settings = Settings.from_environ()
        catalog = ModelStore(settings.model_store)
        asker: Asker = InProcess(catalog, model, version, method, allow=settings.allow_version_mismatch)
    else:
        asker = ByUrl(url, key, model, version, method)
    started = time.perf_counter()
    with _progress() as told:
        done = score(source, target, asker, only=only, skip_bad=skip_bad, chunk=chunk, told=told)
    seconds = time.perf_counter() - started
    click.echo(f"scored {done.rows:,} rows in {seconds:.1f} s: {target}", err=True)
    if done.rejected:
        click.echo(f"set {done.rejected:,} bad rows aside: {target}.rejects", err=True)


@contextmanager
def _progress() -> Iterator[_Told]:
    """Show how far it is: a bar in a terminal, a line now and then elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if console.is_terminal:
        columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[rows]:,} rows"), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("", total=1.0, rows=0)
            yield lambda rows, share: bar.update(task, completed=share, rows=rows)
        return
    last = time.monotonic()

    def tell(rows: int, share: float) -> None:
        nonlocal last
        if time.monotonic() - last >= _PLAIN_SECONDS:
            last = time.monotonic()
            click.echo(f"{rows:,} rows, {share:.0%}", err=True)

    yield tell


if __name__ == "__main__":
    main()
