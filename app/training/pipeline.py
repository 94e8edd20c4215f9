"""The stages in their order: this is the whole road from data to a saved version."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sklearn

from app import store
from app.memory import return_free_memory
from app.store.saving import pickled
from app.store.showing import example
from app.training.balance import balance_classes
from app.training.baseline import ask_baseline, find_doubt
from app.training.data import read_table
from app.training.datasets import read_dataset
from app.training.errors import TrainingError, about
from app.training.evaluation import Answers, Appraisal, Metrics, ask, evaluate, find_intervals
from app.training.finishing import Told, Wishes, find_finish, read_wishes
from app.training.fitting import Fitter
from app.training.layout import Wanted
from app.training.leakage import find_leaks
from app.training.metrics import find_metric
from app.training.options import Options, choose_name
from app.training.preprocess import describe_pipeline, name_of
from app.training.problem import Problem, drop_columns, frame_problem, mark_table
from app.training.progress import Progress
from app.training.promotion import Challenger, Decision, decide_promotion
from app.training.recipes import RECIPES, Recipe
from app.training.recipes.base import check_problem
from app.training.reference import summarise_columns, summarise_predictions
from app.training.report import Report, Subject, make_report
from app.training.seen import earliest
from app.training.selection import Found, Limits, Wish, select, start_forking
from app.training.split import Split, split_rows
from app.training.table import Table

# Enough rows to infer a signature and to choose golden rows from.
_SAMPLE_ROWS = 2000
# Seconds that a search takes unless told otherwise.
DEFAULT_BUDGET = 60.0


@dataclass(frozen=True)
class Outcome:
    """What a training came to; `curl` is a command line to try on the saved model."""

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
    if options.search:
        start_forking()
    table = read_source(options, recipe)
    name = choose_name(options.name, table.source)
    progress.read(table)
    problem = make_problem(table, recipe, options)
    progress.found(problem)
    table = table.without_rows()
    drawn = recipe.drawn_split and not options.search
    with about(table.source):
        problem, split = split_rows(problem, options.test_size, options.seed, drawn=drawn)
    return_free_memory()
    wishes = read_wishes(options, problem, split.y_train)
    fitter = Fitter(recipe, options, progress.say)
    if options.search:
        found = search(table, problem, split, options, options.store / name, progress)
        pipeline, fitted = found.pipeline, found.model
        sections = {"search": found.told, "compression": found.compression}
    else:
        pipeline, fitted = fit(problem, split, wishes, fitter, progress)
        sections = {}
    finish = find_finish(wishes, pipeline, split, fitter, progress)
    model = finish.wrap(fitted)
    with progress.step(f"evaluating on {len(split.y_test):,} held-out rows"):
        answers = ask(model, split.X_test)
        before = answers if model is fitted else ask(fitted, split.X_test)
        appraisal = appraise(answers, wishes, problem, split, finish.describe(split.y_test, answers, before))
        leaks = find_leaks(problem, split)
    progress.evaluated(appraisal, leaks)

    data = describe_data(table, problem, split, options, answers)
    challenger = Challenger(wishes.objective, appraisal, answers, data, problem, split)
    decision = decide_promotion(options.promote, challenger, name=name, store=options.store)
    if decision.promote and options.promote != "always" and model is not fitted:
        decision = keep_limits(decision, model, limits_of(options), challenger)
    report = None
    if options.report:
        subject = Subject(name, model, options, challenger, decision, leaks, fitter.warned, sections)
        with progress.step("writing the report"):
            report = make_report(subject)
    if options.refit:
        with progress.step(f"fitting again on all {len(problem.y):,} rows"):
            model = finish.wrap(fitter.fit(pipeline, problem.X, problem.y))
    with progress.step("saving"):
        saved = save(model, challenger, name=name, root=options.store, promote=decision.promote, report=report)
    manifest = store.ModelStore(options.store).manifest(saved.name, saved.version)
    curl = example(manifest, f"localhost:{options.port}")
    progress.saved(saved, decision, curl, reported=report is not None)
    return Outcome(saved, decision, appraisal.metrics, appraisal.baseline, curl.line)


def fit(problem: Problem, split: Split, wishes: Wishes, fitter: Fitter, progress: Progress) -> tuple[Any, Any]:
    """Return the pipeline that was asked for, and the same fitted to the training rows."""
    options = fitter.options
    pipeline = fitter.recipe.build(problem, options, len(split.y_train))
    if options.balance:
        progress.say(f"balanced: {balance_classes(pipeline, problem)}")
    if options.calibrate is None:
        wishes.objective.check(pipeline)
    progress.building(describe_pipeline(pipeline), split)
    with progress.step(f"fitting {name_of(pipeline)} on {len(split.y_train):,} rows"):
        return pipeline, fitter.fit(pipeline, split.X_train, split.y_train)


def search(  # noqa: PLR0913, PLR0917  # what is searched, how, and where it is kept and shown
    table: Table, problem: Problem, split: Split, options: Options, folder: Path, progress: Progress
) -> Found:
    """Choose a model among many candidates."""
    progress.divided(split)
    found = select(
        problem,
        split,
        make_wish(options, problem),
        folder=folder,
        about=tell_apart(table, problem),
        watcher=progress.search,
    )
    progress.searched(found)
    return found


def make_wish(options: Options, problem: Problem) -> Wish:
    """Return what is asked of a search; without a budget or a number of trials it is given a minute."""
    seconds = options.budget if options.budget is not None or options.trials is not None else DEFAULT_BUDGET
    return Wish(
        metric=find_metric(options.objective, problem.task),
        seconds=seconds,
        trials=options.trials,
        jobs=options.jobs or os.cpu_count() or 1,
        seed=options.seed,
        limits=limits_of(options),
        resume=options.resume,
        max_loss=options.max_loss if options.compress else None,
    )


def limits_of(options: Options) -> Limits:
    """Return the serving budget."""
    return Limits(options.max_latency_ms, options.max_size_mb)


def keep_limits(decision: Decision, model: Any, limits: Limits, challenger: Challenger) -> Decision:
    """Measure a model with what came around it after the search had measured it, and keep one back that is beyond."""
    if limits == Limits():
        return decision
    cost = store.serving_cost(model, challenger.split.X_train[:_SAMPLE_ROWS], challenger.problem.feature_names)
    why = limits.why_beyond(cost.one * 1e3, len(pickled(model)) / 1e6)
    return decision if why is None else Decision(False, f"with its calibration and threshold around it, {why}")


def tell_apart(table: Table, problem: Problem) -> dict[str, Any]:
    """Return what tells one search from another, beside its own settings."""
    return {
        "source": table.source,
        "sha256": table.sha256,
        "rows": len(problem.y),
        "target": problem.target,
        "columns": list(problem.columns.kinds),
        "scikit-learn": sklearn.__version__,
    }


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


def appraise(answers: Answers, wishes: Wishes, problem: Problem, split: Split, told: Told) -> Appraisal:
    """Measure a model's answers on the held-out rows; `told` is what is said of its calibration and threshold.

    Raises
    ------
    TrainingError
        These rows do not define the metric that models are to be compared by.
    """
    y, task = split.y_test, problem.task
    metrics = evaluate(answers, y, task, wishes.more)
    if wishes.objective.name not in metrics:
        raise TrainingError(
            f"{wishes.objective.name} cannot be computed on the held-out rows, which lack a class or hold one that "
            "was not learnt; choose another --objective, another --seed or a larger --test-size"
        )
    baseline = ask_baseline(split.y_train, len(y), task)
    doubt = find_doubt(wishes.objective, y, answers, baseline)
    intervals = find_intervals(answers, y, task, metrics, wishes.more)
    return Appraisal(metrics, evaluate(baseline, y, task, wishes.more), intervals, *told, doubt=doubt)


def describe_data(table: Table, problem: Problem, split: Split, options: Options, answers: Answers) -> dict[str, Any]:
    """Return what the manifest says of the data: where it is from, how it was split, what it looked like."""
    own_split = problem.n_held_out > 0
    marks = problem.held_out_marks(len(split.y_test))
    return {
        "source": table.source,
        "sha256": table.sha256,
        "rows": len(problem.y),
        "columns": list(problem.columns.names),
        "target": problem.target,
        "split": split.rule,
        "group": options.group,
        "time": options.time,
        "held_out_since": None if marks is None else earliest(marks),
        "hashed": [] if marks is None else list(marks.columns),
        "seed": options.seed,
        "test_size": None if own_split else options.test_size,
        "rows_trained": len(problem.y) if options.refit else len(split.y_train),
        "rows_held_out": len(split.y_test),
        "refitted": options.refit,
        "recipe": options.recipe,
        "reference": summarise_columns(split.X_train, problem),
        "predictions": summarise_predictions(answers),
    }


def save(  # noqa: PLR0913  # each is one thing to say of a version, all but two by name
    model: Any, challenger: Challenger, *, name: str, root: Path, promote: bool, report: Report | None
) -> store.Saved:
    """Save the model with its metrics, the baseline's beside them, the description of the data, and the report."""
    problem = challenger.problem
    of_texts = problem.container == "texts" and problem.task == "classification"
    return store.save(
        model,
        challenger.split.X_train[:_SAMPLE_ROWS],
        name,
        root=root,
        promote=promote,
        metrics={"main": challenger.metric.name, **challenger.appraisal.as_dict()},
        data=challenger.data,
        task="text-classification" if of_texts else problem.task,
        feature_names=problem.feature_names,
        attachments=None if report is None else report.files,
    )
