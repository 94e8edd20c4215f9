"""Measure this service: beside its peers, against its own limits, and for a long time."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

# One thread for arithmetic here too, as in the service; before NumPy is imported.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import _checkout  # noqa: F401
import click

_HELP = {"help_option_names": ["-h", "--help"]}
_MODELS = ("linear", "forest", "hgb", "mlp", "table")
_PEERS = ("ours", "constant", "flask", "fastapi", "mlserver", "litserve", "mlflow", "bentoml", "ray")
_MOST_GROWTH = 5.0

_environments = click.option(
    "--environments",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path.home() / ".cache" / "model-as-a-service" / "peers",
    show_default=True,
    help="Where the peers' virtual environments are, or are made.",
)
_seconds = click.option(
    "--seconds", type=click.IntRange(1, 600), default=5, show_default=True, help="Of load, for each figure."
)


@click.group(context_settings=_HELP)
def main() -> None:
    """Measure this service; all but `memory`, `million` and `soak` need wrk, and two cores that do nothing else.

    Compare ratios within one run only: the figures move with the machine.
    """


_environments = click.option(
    "--environments",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path.home() / ".cache" / "model-as-a-service" / "peers",
    show_default=True,
    help="Where the peers' virtual environments are, or are made.",
)


@main.command(context_settings=_HELP)
@click.option("--peer", "names", multiple=True, type=click.Choice(_PEERS), default=_PEERS[:4], show_default=True)
@click.option("--model", "models", multiple=True, type=click.Choice(_MODELS), default=_MODELS, show_default=True)
@click.option("--rows", multiple=True, type=click.IntRange(1, 1000), default=(1, 100), show_default=True)
@_seconds
@_environments
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each figure.")
def peers(  # noqa: PLR0913, PLR0917  # click hands over each option by name
    names: tuple[str, ...],
    models: tuple[str, ...],
    rows: tuple[int, ...],
    seconds: int,
    environments: Path,
    as_json: bool,
) -> None:
    """Measure requests per second, latency, memory and start beside other ways to serve the same models.

    Every server's first answers are compared with scikit-learn's own before anything is timed.
    """
    from benchmarks.measure import HEADING, measure
    from benchmarks.models import cases
    from benchmarks.peers import PEERS, install

    for name in names:
        install(name, environments)
    if not as_json:
        click.echo(HEADING)
    for case in cases(models):
        for name in names:
            if case.name == "table" and not PEERS[name].tables:
                continue  # its tables need code of the user's own
            try:
                for figure in measure(name, case, list(rows), seconds, environments):
                    click.echo(json.dumps(figure.as_dict()) if as_json else figure.as_line())
            except RuntimeError as fault:
                click.echo(f"{name} with {case.name}: {fault}", err=True)


@main.command(context_settings=_HELP)
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--set", "names", multiple=True, metavar="NAME", help="titanic, penguins, diamonds, sms_spam.  [all]")
@click.option("--budget", type=click.FloatRange(5), default=60, show_default=True, help="Seconds for each.")
@click.option("--splits", type=click.IntRange(1, 20), default=3, show_default=True)
@_environments
def automl(folder: Path, names: tuple[str, ...], budget: float, splits: int, environments: Path) -> None:
    """Search on files in FOLDER beside FLAML: the same rows and seconds; its environment needs flaml[automl].

    FOLDER holds titanic.csv, penguins.csv and diamonds.csv.gz of seaborn-data, and sms_spam.tsv of UCI.
    """
    from benchmarks.automl import contests

    _tell(contests(folder, environments, budget, splits, names))


@main.command(context_settings=_HELP)
@click.option("--model", "name", type=click.Choice(_MODELS[:-1]), default="linear", show_default=True)
@click.option("--rows", type=click.IntRange(1, 1000), default=1, show_default=True)
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True)
@_seconds
@_environments
def v2(name: str, rows: int, rounds: int, seconds: int, environments: Path) -> None:
    """Measure the Open Inference Protocol, with raw tensors and with JSON, beside MLServer.

    The median of the rounds' ratios counts: what else the machine does moves all figures of a round alike.
    """
    from statistics import median

    from benchmarks import v2
    from benchmarks.models import cases
    from benchmarks.peers import install

    install("mlserver", environments)
    found: dict[str, list[float]] = {}
    for case in cases((name,)):
        for speed in v2.rounds(case, rows, seconds, rounds, environments):
            click.echo(str(speed))
            found.setdefault(f"{speed.server} {speed.form}", []).append(speed.load.requests_per_second)
    for form in ("binary", "json"):
        pairs = zip(found[f"ours {form}"], found["mlserver json"], strict=True)
        click.echo(f"ours {form} / mlserver json: {median(ours / theirs for ours, theirs in pairs):.1f}x")


@main.command(context_settings=_HELP)
@click.argument("file", type=click.File())
def tables(file: TextIO) -> None:
    """Print what `peers --json` wrote to FILE as the tables of BENCHMARKS.md."""
    from benchmarks import tables

    for line in tables.tables([json.loads(figure) for figure in file]):
        click.echo(line)


@main.command(context_settings=_HELP)
def bulk() -> None:
    """Time a request of 10,000 rows as NPY against the engine's own time for them."""
    from benchmarks import limits

    _tell(limits.bulk())


@main.command(context_settings=_HELP)
@_seconds
def nginx(seconds: int) -> None:
    """Load the service behind nginx, over a unix socket and on the same core, against the same without."""
    from benchmarks import limits

    _tell(limits.nginx(seconds))


@main.command(context_settings=_HELP)
def memory() -> None:
    """Weigh four workers with a forest of 200 MB against one, at the start and after a promotion."""
    from benchmarks import limits

    _tell(limits.memory())


@main.command(context_settings=_HELP)
@click.option("--rows", type=click.IntRange(1000), default=1_000_000, show_default=True)
def million(rows: int) -> None:
    """Train on a million rows of 20 columns, and weigh the command's memory against the data."""
    from benchmarks.million import million

    _tell(million(rows))


@main.command(context_settings=_HELP)
@_seconds
def store(seconds: int) -> None:
    """Load one of 200 models in the store against the only one."""
    from benchmarks import limits

    _tell(limits.many_models(seconds))


@main.command(context_settings=_HELP)
@click.option("--minutes", type=click.FloatRange(0.5, 24 * 60), default=30.0, show_default=True)
def soak(minutes: float) -> None:
    """Load it for long, with promotions, bad requests and clients that vanish.

    Fails where its memory grows or an answer is wrong.
    """
    from benchmarks.soak import HEADING, growth, soak

    click.echo(HEADING)
    samples = []
    for sample in soak(int(minutes * 60)):
        samples.append(sample)
        click.echo(str(sample))
    grown, last = growth(samples), samples[-1]
    click.echo(f"memory grew by {grown:+.2f} MB an hour; {last.wrong} wrong answers")
    if grown > _MOST_GROWTH or last.wrong or not last.answers:
        sys.exit(1)


def _tell(found: Iterator[object]) -> None:
    for ratio in found:
        click.echo(str(ratio))


if __name__ == "__main__":
    main()
