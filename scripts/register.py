"""Register a model that was fitted elsewhere, so that it is served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import _checkout  # noqa: F401
import click

_EXAMPLES = """
\b
Examples
  python scripts/register.py mine.joblib --name mine --sample x.npy
  python scripts/register.py churn.pkl --name churn --sample rows.csv --code helpers.py
  python scripts/register.py spam.joblib --name spam --sample texts.txt --no-promote

Loading such a file runs whatever is in it: register only files that you trust.
"""


@click.command(epilog=_EXAMPLES, context_settings={"max_content_width": 110, "help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="The model's name in the store.")
@click.option(
    "--sample",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="Rows like those it was fitted on: NPY, NPZ, CSV, TSV, Parquet, JSON, JSON lines, or lines of text.",
)
@click.option(
    "--code",
    type=click.Path(path_type=Path),
    metavar="FILE.py",
    help="The functions and classes that the model refers to; the file is run whenever the model is loaded.",
)
@click.option("--promote/--no-promote", default=True, show_default=True, help="Whether it answers from now on.")
@click.option("--allow-version-mismatch", is_flag=True, help="Take a file fitted with another scikit-learn.")
def main(**given: Any) -> None:
    """Register the fitted estimator in FILE (joblib or pickle, compressed or not) as a version of a model.

    The sample says what rows the model takes, and how it must answer some of them after every load.
    Only files that you trust: loading one runs whatever is in it.
    """
    from app.errors import StoreError
    from app.settings import SettingsError

    try:
        _register(**given)
    except (StoreError, SettingsError) as fault:
        click.echo(f"error: {' '.join(str(fault).split())}", err=True)
        raise SystemExit(1) from None


def _register(  # noqa: PLR0913  # the command's options, by name
    *, file: Path, name: str, sample: Path, code: Path | None, promote: bool, allow_version_mismatch: bool
) -> None:
    from app import store
    from app.settings import Settings
    from app.store.foreign import read_foreign
    from app.store.sample_files import read_rows
    from app.store.showing import curl_line, describe

    settings = Settings.from_environ()
    catalog = store.ModelStore(settings.model_store)
    catalog.folder(name)
    foreign = read_foreign(file, code=code, allow_mismatch=allow_version_mismatch)
    if foreign.mismatch:
        click.echo(f"warning: {foreign.mismatch}", err=True)
    rows = read_rows(sample, foreign.estimator)
    if rows.fitted.left_out:
        click.echo(f"left out, as the model was not fitted on it: {', '.join(rows.fitted.left_out)}")
    data = {"source": rows.source, "sha256": rows.sha256, "rows": len(rows.fitted.X), "registered": file.name}
    saved = store.save(
        foreign.estimator,
        rows.fitted.X,
        name,
        root=settings.model_store,
        promote=promote,
        data=data,
        feature_names=rows.fitted.feature_names,
        code=code,
    )
    manifest = catalog.manifest(name, saved.version)
    click.echo(f"found {describe(manifest)}")
    click.echo(f"saved {name} version {saved.version} in {saved.path}")
    if not promote:
        click.echo(f"not promoted; to promote it: python scripts/models.py promote {name} {saved.version}")
        return
    click.echo("promoted; ask it, once it is served:")
    click.echo(curl_line(manifest, f"http://127.0.0.1:{settings.port}"))


if __name__ == "__main__":
    main()
