"""Register a model that was fitted elsewhere, so that it is served."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import _checkout  # noqa: F401
import click

if TYPE_CHECKING:
    from app.store import ModelStore, Saved

_EXAMPLES = """
\b
Examples
  python scripts/register.py mine.joblib --name mine --sample x.npy
  python scripts/register.py churn.pkl --name churn --sample rows.csv --code helpers.py
  python scripts/register.py spam.joblib --name spam --sample texts.txt --no-promote
  python scripts/register.py my-bert/ --name tone
  python scripts/register.py owner/name --revision 40-digits-of-a-commit --name tone

Loading a joblib file runs whatever is in it: register only files that you trust. Of a Hugging Face model only
numbers are loaded (safetensors), never code.
"""


@click.command(epilog=_EXAMPLES, context_settings={"max_content_width": 110, "help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE|FOLDER|HUB-NAME")
@click.option("--name", required=True, help="The model's name in the store.")
@click.option(
    "--sample",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Rows like those it was fitted on: NPY, NPZ, CSV, TSV, Parquet, JSON, JSON lines, or lines of text. "
    "A Hugging Face model does without.",
)
@click.option(
    "--code",
    type=click.Path(path_type=Path),
    metavar="FILE.py",
    help="The functions and classes that the model refers to; the file is run whenever the model is loaded.",
)
@click.option("--revision", metavar="SHA", help="The commit of a model on the Hugging Face hub.")
@click.option("--promote/--no-promote", default=True, show_default=True, help="Whether it answers from now on.")
@click.option("--allow-version-mismatch", is_flag=True, help="Take a file fitted with another scikit-learn.")
def main(**given: Any) -> None:
    """Register a model that was fitted elsewhere as a version of a model.

    FILE holds a fitted estimator (joblib or pickle, compressed or not); FOLDER a Hugging Face text classifier, as
    save_pretrained writes it with its tokenizer; HUB-NAME is one on the hub. The sample says what rows the model
    takes, and how it must answer some of them after every load.
    """
    from app.errors import StoreError
    from app.settings import SettingsError

    try:
        revision = given.pop("revision")
        if given["file"].is_dir() or revision is not None or _is_hub_name(given["file"]):
            if given["code"] is not None:
                raise StoreError("a Hugging Face model brings no code; leave out --code")
            _register_classifier(given["file"], given["name"], given["sample"], revision, promote=given["promote"])
        else:
            _register_estimator(**given)
    except (StoreError, SettingsError) as fault:
        click.echo(f"error: {' '.join(str(fault).split())}", err=True)
        raise SystemExit(1) from None


def _is_hub_name(path: Path) -> bool:
    from app.store.huggingface import is_hub_name

    return is_hub_name(path)


def _register_estimator(  # noqa: PLR0913  # the command's options, by name
    *, file: Path, name: str, sample: Path | None, code: Path | None, promote: bool, allow_version_mismatch: bool
) -> None:
    from app import store
    from app.errors import StoreError
    from app.settings import Settings
    from app.store.foreign import read_foreign
    from app.store.sample_files import read_rows

    if sample is None:
        needs = "needs a --sample: a file with a few rows like those it was fitted on"
        raise StoreError(f"{file.name} {needs}" if file.exists() else f"there is no file and no folder {file}")
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
    _tell(catalog, saved, settings.port)


def _register_classifier(source: Path, name: str, sample: Path | None, revision: str | None, *, promote: bool) -> None:
    from app import store
    from app.engines import text_classifier
    from app.settings import Settings
    from app.store import huggingface
    from app.store.sample_files import read_rows

    settings = Settings.from_environ()
    catalog = store.ModelStore(settings.model_store)
    catalog.folder(name)
    folder = source if source.is_dir() else huggingface.fetch(str(source), revision)
    files = huggingface.read_folder(folder)
    classifier = text_classifier.build(dict(files), batch=text_classifier.BATCH)
    texts = huggingface.DEFAULT_TEXTS if sample is None else read_rows(sample, classifier).fitted.X
    data = {"source": source.name if source.is_dir() else f"{source}@{revision}", "rows": len(texts)}
    saved = huggingface.save_classifier(
        files, name, classifier=classifier, texts=texts, root=settings.model_store, promote=promote, data=data
    )
    click.echo(f"texts are cut after {classifier.max_tokens} tokens")
    _tell(catalog, saved, settings.port)


def _tell(catalog: ModelStore, saved: Saved, port: int) -> None:
    from app.store.showing import describe, example

    name = saved.name
    manifest = catalog.manifest(name, saved.version)
    click.echo(f"found {describe(manifest)}")
    click.echo(f"saved {name} version {saved.version} in {saved.path}")
    if not saved.promoted:
        click.echo(f"not promoted; to promote it: python scripts/models.py promote {name} {saved.version}")
        return
    curl = example(manifest, f"http://127.0.0.1:{port}")
    click.echo(f"promoted; to {curl.purpose}, once it is served:")
    click.echo(curl.line)


if __name__ == "__main__":
    main()
