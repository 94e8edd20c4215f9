"""The stages in their order: this is the whole road from data to a saved version."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app import store
from app.memory import return_free_memory
from app.store.showing import curl_line
from app.training.data import read_table
from app.training.datasets import read_dataset
from app.training.errors import TrainingError, about
from app.training.evaluation import MAIN_METRIC, Metrics, evaluate, evaluate_baseline, row_losses
from app.training.fitting import Fitter
from app.training.layout import Wanted
from app.training.leakage import find_leaks
from app.training.options import Options, choose_name
from app.training.preprocess import describe_pipeline
from app.training.problem import Problem, drop_columns, frame_problem, mark_table
from app.training.progress import Progress
from app.training.promotion import Challenger, Decision, decide_promotion
from app.training.recipes import RECIPES, Recipe
from app.training.recipes.base import check_problem
from app.training.reference import summarise_columns
from app.training.split import Split, split_rows
from app.training.table import Table

# Enough rows to infer a signature and to choose golden rows from.
_SAMPLE_ROWS = 2000


@dataclass(frozen=True)
class Outcome:
    """What a training came to; `curl` is a command line that asks the saved model for a prediction."""

    saved: store.Saved
    decision: Decision
    metrics: Metrics
    baseline: Metrics
    curl: str


def train(options: Options, progress: Progress) -> Outcome:
    """Train one model as `options` ask, telling `progress` what happens.

    Raises
    ------
    TrainingError
        The data or the options cannot be trained on.
    StoreError
        The model cannot be saved.
    """
    recipe = RECIPES[options.recipe]
    table = read_source(options, recipe)
    name = choose_name(options.name, table.source)
    progress.read(table)
    problem = make_problem(table, recipe, options)
    progress.found(problem)
    table = table.without_rows()
    with about(table.source):
        problem, split = split_rows(problem, options.test_size, options.seed, drawn=recipe.drawn_split)
    return_free_memory()
    model = recipe.build(problem, options, len(split.y_train))
    fitter = Fitter(recipe, options, progress.say)
    progress.building(describe_pipeline(model), split)

    with progress.step(f"fitting {type(model[-1]).__name__} on {len(split.y_train):,} rows"):
        model = fitter.fit(model, split.X_train, split.y_train)
    with progress.step(f"evaluating on {len(split.y_test):,} held-out rows"):
        metrics = evaluate(model, split.X_test, split.y_test, problem.task)
        baseline = evaluate_baseline(split.y_train, split.X_test, split.y_test, problem.task)
        leaks = find_leaks(problem, split)
    progress.evaluated(metrics, baseline, leaks)

    data = describe_data(table, problem, split, options)
    losses = row_losses(model, split.X_test, split.y_test, problem.task)
    challenger = Challenger(metrics, losses, baseline, data, problem, split)
    decision = decide_promotion(options.promote, challenger, name=name, store=options.store)
    if options.refit:
        with progress.step(f"fitting again on all {len(problem.y):,} rows"):
            model = fitter.fit(model, problem.X, problem.y)
    with progress.step("saving"):
        saved = save(model, challenger, name=name, root=options.store, promote=decision.promote)
    manifest = store.ModelStore(options.store).manifest(saved.name, saved.version)
    curl = curl_line(manifest, f"localhost:{options.port}")
    progress.saved(saved, decision, curl)
    return Outcome(saved, decision, metrics, baseline, curl)


def read_source(options: Options, recipe: Recipe) -> Table:
    """Read the file or the data set that the options name, else the recipe's own."""
    if options.data is not None:
        return read_table(options.data, Wanted(options.separator, options.encoding, options.decimal))
    dataset = options.dataset or recipe.dataset
    if dataset is None:
        raise TrainingError("there is nothing to train on; give --data FILE or --dataset NAME")
    return read_dataset(dataset)


def make_problem(table: Table, recipe: Recipe, options: Options) -> Problem:
    """Leave out what was asked to be, let the recipe choose, and frame the problem it is for."""
    if recipe.task and options.task not in (None, recipe.task):
        raise TrainingError(f"the recipe {recipe.name} is for {recipe.task}, not {options.task}")
    if options.target is not None and options.target in (options.group, options.time):
        raise TrainingError(f"{options.target!r} cannot be the target and what rows are split by")
    with about(table.source):
        table = mark_table(table, options.group, options.time)
        dropped = [name for name in options.drop if name != options.group]
        table = drop_columns(table, dropped) if dropped else table
        table, target = recipe.prepare(table, options.target)
        problem = frame_problem(
            table,
            target,
            recipe.task or options.task,
            keep_all=recipe.container is not None,
            as_texts=recipe.container == "texts",
        )
        check_problem(recipe, problem)
    return problem


def describe_data(table: Table, problem: Problem, split: Split, options: Options) -> dict[str, Any]:
    """Return what the manifest says of the data: where it is from, how it was split, what it looked like."""
    own_split = problem.n_held_out > 0
    return {
        "source": table.source,
        "sha256": table.sha256,
        "rows": len(problem.y),
        "columns": list(problem.columns.names),
        "target": problem.target,
        "split": split.rule,
        "group": options.group,
        "time": options.time,
        "seed": options.seed,
        "test_size": None if own_split else options.test_size,
        "rows_trained": len(problem.y) if options.refit else len(split.y_train),
        "rows_held_out": len(split.y_test),
        "refitted": options.refit,
        "recipe": options.recipe,
        "reference": summarise_columns(split.X_train, problem),
    }


def save(model: Any, challenger: Challenger, *, name: str, root: Path, promote: bool) -> store.Saved:
    """Save the model with its metrics, the baseline's beside them, and the description of the data."""
    problem = challenger.problem
    of_texts = problem.container == "texts" and problem.task == "classification"
    return store.save(
        model,
        challenger.split.X_train[:_SAMPLE_ROWS],
        name,
        root=root,
        promote=promote,
        metrics={"main": MAIN_METRIC[problem.task], **challenger.metrics, "baseline": challenger.baseline},
        data=challenger.data,
        task="text-classification" if of_texts else problem.task,
        feature_names=problem.feature_names,
    )
