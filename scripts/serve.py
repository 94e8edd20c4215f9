"""Serve the model store with gunicorn; an empty store gets a first model."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import _checkout  # noqa: F401
import click

from app.errors import StoreError
from app.settings import ROOT, Settings, SettingsError
from app.store import showing
from app.store.catalog import ModelStore

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
FIRST_MODEL = ("--dataset", "iris", "--name", "iris")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--first-model/--no-first-model", default=True, help="Train on iris where the store is empty.")
def main(first_model: bool) -> None:
    """Serve the models of MODEL_STORE on BIND:PORT until a signal says stop.

    Everything else is set by environment variables too; app/settings.py lists them.
    """
    try:
        settings = Settings.from_environ()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    check_address(settings)
    store = ModelStore(settings.model_store)
    if first_model and not store.names():
        train_first_model(settings)
    announce(settings, store)
    # This process becomes gunicorn: signals reach it directly.
    os.chdir(ROOT)
    # gunicorn reads this one itself, and cannot read an empty one.
    os.environ["WEB_CONCURRENCY"] = str(settings.web_concurrency)
    gunicorn = str(Path(sys.executable).with_name("gunicorn"))
    os.execv(gunicorn, [gunicorn, "-c", "gunicorn.conf.py"])  # noqa: S606


def check_address(settings: Settings) -> None:
    """Raise a ClickException where gunicorn could not listen on the address.

    gunicorn would find out too, but tries for a while and says it in many lines.
    """
    if settings.bind.startswith("unix:"):
        return
    host = settings.bind.strip("[]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, settings.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            # Two sockets may be bound to one address with SO_REUSEADDR; only one of them may listen.
            probe.listen()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            other = settings.port % 65_535 + 1
            fault = f"port {settings.port} is in use; stop what listens there, or choose another: PORT={other}"
        else:
            fault = f"cannot listen on {settings.address}: {error.strerror}; BIND and PORT say where"
        raise click.ClickException(fault) from None


def train_first_model(settings: Settings) -> None:
    """Train the first model with the training script itself, as anyone would."""
    folder = settings.model_store
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(nearest, os.W_OK):
        click.echo(
            f"The model store {folder} is empty and cannot be written to: nothing to serve until it has a model."
        )
        return
    click.echo(f"The model store {folder} is empty: training a first model on the iris data ...")
    status = subprocess.run([sys.executable, ROOT / "scripts" / "train.py", *FIRST_MODEL], check=False).returncode  # noqa: S603
    if status:
        raise click.ClickException("the first model could not be trained; --no-first-model serves without one")


def announce(settings: Settings, store: ModelStore) -> None:
    """Print where the service will be and, on this machine's own address, a request that works.

    The request holds a row that the model has seen: fit for the terminal of who trained it, not for the
    log of a service that others reach.
    """
    if settings.bind.startswith("unix:"):
        click.echo(f"Serving on {settings.bind}")
        return
    url = f"http://{settings.address}"
    click.echo(f"Serving on {url} (Ctrl-C stops)")
    if settings.bind in LOOPBACK and (line := curl_line(settings, store, url)):
        click.echo(f"Try:  {line}")


def curl_line(settings: Settings, store: ModelStore, url: str) -> str | None:
    """Return a curl command to try on a promoted model, or None where there is none."""
    names = [name for name in store.names() if _promoted(store, name)]
    if not names:
        return None
    name = settings.default_model if settings.default_model in names else names[0]
    bare = len(names) == 1 or name in (settings.default_model, "default")
    try:
        return showing.example(store.manifest(name, _promoted(store, name) or 0), url, as_default=bare).line
    except StoreError:
        return None


def _promoted(store: ModelStore, name: str) -> int | None:
    try:
        return store.promoted(name)
    except StoreError:
        return None


if __name__ == "__main__":
    main()
