"""Measure this service and its peers side by side: the same models, one worker on one core, in one run."""

from __future__ import annotations

import json
from pathlib import Path

import _checkout  # noqa: F401
import click

_MODELS = ("linear", "forest", "hgb", "mlp", "table")
_PEERS = ("ours", "constant", "flask", "fastapi", "mlserver", "litserve", "mlflow", "bentoml", "ray")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--peer", "peers", multiple=True, type=click.Choice(_PEERS), default=_PEERS[:4], show_default=True)
@click.option("--model", "models", multiple=True, type=click.Choice(_MODELS), default=_MODELS, show_default=True)
@click.option("--rows", multiple=True, type=click.IntRange(1, 1000), default=(1, 100), show_default=True)
@click.option("--seconds", type=click.IntRange(1, 600), default=5, show_default=True, help="Of load, for each figure.")
@click.option(
    "--environments",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path.home() / ".cache" / "model-as-a-service" / "peers",
    show_default=True,
    help="Where the peers' virtual environments are, or are made.",
)
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each figure.")
def main(  # noqa: PLR0913, PLR0917  # click hands over each option by name
    peers: tuple[str, ...],
    models: tuple[str, ...],
    rows: tuple[int, ...],
    seconds: int,
    environments: Path,
    as_json: bool,
) -> None:
    """Measure requests per second, latency, memory and start; needs wrk and two cores.

    Every server's first answers are compared with scikit-learn's own before anything is timed. Compare ratios
    within one run only: the figures move with the machine.
    """
    from benchmarks.measure import HEADING, measure
    from benchmarks.models import cases
    from benchmarks.peers import PEERS, install

    for peer in peers:
        install(peer, environments)
    if not as_json:
        click.echo(HEADING)
    for case in cases(models):
        for peer in peers:
            if case.name == "table" and not PEERS[peer].tables:
                continue  # its tables need code of the user's own
            for figure in measure(peer, case, list(rows), seconds, environments):
                if as_json:
                    click.echo(json.dumps(figure.as_dict()))
                    continue
                click.echo(figure.as_line())


if __name__ == "__main__":
    main()
