"""Train a model from a table, evaluate it on held-out rows, save it and promote it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _checkout  # noqa: F401
import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from app.training.options import Options

_EXAMPLES = """
\b
Examples
  python scripts/train.py --dataset iris
  python scripts/train.py --data titanic.csv --target survived --drop alive
  python scripts/train.py --data prices.parquet --target price --estimator forest
  python scripts/train.py --data sms.tsv --recipe text
  python scripts/train.py --data mnist.npz --recipe digits

\b
Recipes
  table    any table, any estimator (the default)
  linear   numbers without a header, the last column is y: LinearRegression; prints MSE
  forest   numbers with a label: drops rows with missing values, log(x + 1),
           a random forest; --pca N puts PCA before it
  digits   images of digits: a network of 128 hidden units, 5 epochs with
           their loss; --epochs; scikit-learn's own digits without --data
  sgd      stochastic gradient descent with early stopping on a validation
           split; --schedule, --penalty, --epochs
  text     label and text, with a header or without: TF-IDF and a linear
           classifier

\b
Estimators (--estimator)
  both             dummy sgd knn svm tree forest extra-trees boosting mlp
  classification   logistic lda naive-bayes linear-svm
  regression       linear ridge lasso elastic-net

\b
Metrics (--objective)
  classification   accuracy balanced_accuracy precision recall f1 roc_auc
                   average_precision log_loss brier
  regression       rmse mse mae r2 mape
"""

_LARGEST_SEED = 2**32 - 1
_OF_SEARCHES = ("budget", "trials", "jobs", "resume", "max_latency_ms", "max_size_mb", "compress")
_OWN_OPTIONS = ("estimator", "pca", "epochs", "schedule", "penalty")


_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|min|sec)?")
_UNITS = {None: 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}


def _seconds(context: click.Context, option: click.Parameter, value: str | None) -> float | None:
    """Read a time such as 90, 60s, 10m or 1h as seconds."""
    if value is None:
        return None
    found = _TIME.fullmatch(value.strip())
    if found is None or float(found[1]) == 0:
        raise click.BadParameter(f"{value!r} is no time; write 60s, 10m or 1h")
    return float(found[1]) * _UNITS[found[2]]


@click.command(epilog=_EXAMPLES, context_settings={"max_content_width": 110, "help_option_names": ["-h", "--help"]})
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="CSV, TSV, text, Parquet, NPY or NPZ (x_train, y_train, x_test, y_test or X, y), each also as .gz.",
)
@click.option(
    "--dataset",
    metavar="NAME",
    help="iris, digits, wine, breast_cancer, diabetes, or openml:NAME from the network.",
)
@click.option("--separator", metavar="SIGN", help="What stands between columns of text.  [default: found by looking]")
@click.option("--encoding", metavar="NAME", help="Of text, such as latin-1.  [default: found by looking]")
@click.option("--decimal", type=click.Choice([".", ","]), help="The decimal mark of text.  [default: found by looking]")
@click.option("--target", metavar="COLUMN", help="What to predict.  [default: target, label, y, else the last column]")
@click.option("--drop", metavar="COLUMN", multiple=True, help="Leave a column out; may be given several times.")
@click.option(
    "--task",
    type=click.Choice(["auto", "classification", "regression"]),
    default="auto",
    show_default=True,
    help="What kind of target it is.",
)
@click.option("--estimator", metavar="NAME", help="The model, see below.  [default: one that suits the data]")
@click.option(
    "--recipe",
    type=click.Choice(["table", "linear", "forest", "digits", "sgd", "text"]),
    default="table",
    show_default=True,
    help="A known service done properly, see below.",
)
@click.option("--name", help="The model's name in the store.  [default: the file's or the data set's]")
@click.option(
    "--seed", type=click.IntRange(0, _LARGEST_SEED), metavar="N", default=42, show_default=True, help="Of all chance."
)
@click.option(
    "--test-size",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.2,
    show_default=True,
    help="The share of rows held out to evaluate on, unless the data has its own test split.",
)
@click.option(
    "--group", metavar="COLUMN", help="Hold out whole groups: rows with the same value; it is no feature then."
)
@click.option("--time", metavar="COLUMN", help="Hold out the latest rows, by dates or numbers.")
@click.option(
    "--promote",
    type=click.Choice(["if-better", "always", "never"]),
    default="if-better",
    show_default=True,
    help="Whether the new version answers from now on; if-better: not worse than the promoted one by more than chance.",
)
@click.option(
    "--objective",
    metavar="METRIC",
    help="The metric that models are compared by, see below.  [default: what --threshold is chosen by, else the "
    "first; a search, which knows no threshold yet, goes by the first]",
)
@click.option(
    "--calibrate",
    type=click.Choice(["auto", "isotonic", "sigmoid"]),
    is_flag=False,
    flag_value="auto",
    help="Make probabilities as often right as they say, where that helps.  [without a value: auto]",
)
@click.option(
    "--threshold",
    metavar="COST:COST",
    help="Two classes: what a missed positive and a false alarm cost, as 5:1; or f1, or balanced.",
)
@click.option("--positive", metavar="LABEL", help="The class that --threshold looks for.  [default: the rarer]")
@click.option("--balance", is_flag=True, help="Let classes weigh the same in fitting, however many rows each has.")
@click.option("--refit", is_flag=True, help="Once evaluated, fit on all rows before saving.")
@click.option("--no-report", "report", is_flag=True, default=True, flag_value=False, help="Write no report.html.")
@click.option("--pca", type=click.IntRange(1), metavar="N", help="Recipe forest: keep N principal components.")
@click.option("--epochs", type=click.IntRange(1), metavar="N", help="Recipes digits and sgd: passes over the rows.")
@click.option(
    "--schedule",
    type=click.Choice(["optimal", "constant", "invscaling", "adaptive"]),
    help="Recipe sgd: the learning rate's.",
)
@click.option("--penalty", type=click.Choice(["l2", "l1", "elasticnet"]), help="Recipe sgd: the weights'.")
@click.option("--search", is_flag=True, help="Choose among many candidates, see below.")
@click.option("--budget", metavar="TIME", callback=_seconds, help="Search: 60s, 10m or 1h.  [default: 60s]")
@click.option("--trials", type=click.IntRange(1), metavar="N", help="Search: so many trials; the same model again.")
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Search: trials side by side.  [default: the cores]")
@click.option("--resume", is_flag=True, help="Search: go on with the one that was interrupted.")
@click.option(
    "--max-latency-ms",
    type=click.FloatRange(0, min_open=True),
    metavar="MS",
    help="Search: the most that answering one row may take.",
)
@click.option("--max-size-mb", type=click.FloatRange(0, min_open=True), metavar="MB", help="Search: the largest file.")
@click.option("--compress", is_flag=True, help="Search: make the chosen model smaller and quicker if it stays as good.")
@click.option(
    "--max-loss",
    type=click.FloatRange(0),
    default=0.005,
    show_default=True,
    metavar="X",
    help="Compress: what of the metric may be lost; of rmse, mse, mae, mape and log_loss as a share, 0.01 being 1 %.",
)
def main(**given: Any) -> None:
    """Train a model from a table, evaluate it on rows held out, save it and promote it.

    The columns' types are found and one scikit-learn Pipeline carries everything from raw columns to
    the answer. The model goes to the store (MODEL_STORE), where a running service picks it up.
    """
    from app.errors import StoreError
    from app.settings import SettingsError
    from app.training.errors import TrainingError

    if given["data"] is not None and given["dataset"] is not None:
        raise click.UsageError("--data and --dataset cannot be given together")
    if given["group"] is not None and given["time"] is not None:
        raise click.UsageError("--group and --time cannot be given together")
    if given["data"] is None and given["dataset"] is None and given["recipe"] != "digits":
        raise click.UsageError("give --data FILE or --dataset NAME")
    try:
        _run(given)
    except (TrainingError, StoreError, SettingsError) as fault:
        from app.training.progress import printable

        click.echo(f"error: {printable(str(fault))}", err=True)
        raise SystemExit(1) from None


def _run(given: dict[str, Any]) -> None:
    from app.memory import give_large_blocks_pages_of_their_own
    from app.training.pipeline import train
    from app.training.progress import Progress
    from app.training.recipes import RECIPES

    if not given["search"]:
        for option in _OF_SEARCHES:
            if given[option]:
                raise click.UsageError(f"--{option.replace('_', '-')} is for searches; give --search too")
    elif given["recipe"] not in ("table", "text"):
        raise click.UsageError(f"--search chooses the model itself; leave out --recipe {given['recipe']}")
    elif given["estimator"] is not None:
        raise click.UsageError("--search chooses the estimator itself; leave out --estimator")
    elif given["balance"]:
        raise click.UsageError("--search tries weights of classes itself; leave out --balance")
    chosen = click.get_current_context().get_parameter_source("max_loss")
    if chosen is ParameterSource.COMMANDLINE and not given["compress"]:
        raise click.UsageError("--max-loss is for --compress; give that too")
    for option in _OWN_OPTIONS:
        if given[option] is not None and option not in RECIPES[given["recipe"]].takes:
            takers = " and ".join(recipe.name for recipe in RECIPES.values() if option in recipe.takes)
            raise click.UsageError(f"--{option} is for the recipe {takers}, not {given['recipe']}")
    give_large_blocks_pages_of_their_own()
    train(_options(given), Progress())


def _options(given: dict[str, Any]) -> Options:
    from app.settings import Settings
    from app.training.options import Options

    settings = Settings.from_environ()
    task = None if given["task"] == "auto" else given["task"]
    return Options(**given | {"store": settings.model_store, "port": settings.port, "task": task})


if __name__ == "__main__":
    main()
