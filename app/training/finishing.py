"""What comes around a fitted pipeline: calibrated probabilities and a threshold, learnt from training rows alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.training import calibration, threshold
from app.training.calibration import Calibration
from app.training.errors import TrainingError
from app.training.evaluation import Answers
from app.training.fitting import Fitter
from app.training.folds import count_folds, predict_out_of_fold
from app.training.metrics import Metric, find_metric
from app.training.options import Options
from app.training.problem import Problem, Target
from app.training.progress import Progress
from app.training.split import Split
from app.training.threshold import Rule, Threshold

# What is said of the calibration and of the threshold, as JSON values.
Told = tuple[dict[str, Any] | None, dict[str, Any] | None]


@dataclass(frozen=True)
class Wishes:
    """What the options ask for, read and checked before anything is fitted.

    Attributes
    ----------
    objective: the metric that models are compared by: the one asked for, else what the threshold is chosen by,
        else the task's default.
    more: metrics besides the task's own.
    """

    objective: Metric
    more: tuple[Metric, ...] = ()
    rule: Rule | None = None
    positive: Any = None


@dataclass(frozen=True)
class Finish:
    """What was learnt from the training rows to come around the pipeline."""

    calibration: Calibration | None = None
    threshold: Threshold | None = None

    def wrap(self, model: Any) -> Any:
        """Return the model that is saved: a fitted pipeline with what comes around it."""
        model = model if self.calibration is None else self.calibration.wrap(model)
        return model if self.threshold is None else self.threshold.wrap(model)

    def describe(self, y: Target, answers: Answers, before: Answers) -> Told:
        """Return what is told of the calibration and of the threshold, on held-out rows.

        `before` are the answers of the pipeline alone.
        """
        told: list[dict[str, Any] | None] = [None, None]
        likely = answers.probabilities
        if self.calibration is not None and likely is not None and answers.classes is not None:
            told[0] = calibration.describe(self.calibration, y, before.probabilities, likely, answers.classes)
        if self.threshold is not None:
            told[1] = threshold.describe(self.threshold, y, answers)
        return told[0], told[1]


def read_wishes(options: Options, problem: Problem, y_train: Target) -> Wishes:
    """Check the options that are about evaluating and deciding against the problem.

    Raises
    ------
    TrainingError
        An option that makes no sense for the problem, or beside another.
    """
    if options.calibrate is not None and problem.task == "regression":
        raise TrainingError(
            f"--calibrate is for probabilities, and the target {problem.target!r} is a quantity; leave it out"
        )
    if options.threshold is None:
        if options.positive is not None:
            raise TrainingError("--positive is the class that --threshold looks for; give --threshold, or leave it out")
        return Wishes(find_metric(options.objective, problem.task))
    rule = threshold.read_rule(options.threshold)
    positive = threshold.choose_positive(options.positive, problem, y_train)
    own = rule.objective(positive)
    more = (own,) if rule.costs is not None else ()
    return Wishes(
        own if options.objective in (None, own.name) else find_metric(options.objective, problem.task),
        more,
        rule,
        positive,
    )


def find_finish(wishes: Wishes, model: Any, split: Split, fitter: Fitter, progress: Progress) -> Finish:
    """Learn what comes around the unfitted pipeline `model`, from training rows that each fold leaves out."""
    method = fitter.options.calibrate
    if method is None and wishes.rule is None:
        return Finish()
    wanted_by = "--threshold" if method is None else "--calibrate"
    n_folds = count_folds(split.y_train, wanted_by)
    with progress.step(f"fitting {n_folds} times more, each to a part of the rows to learn from"):
        known = predict_out_of_fold(model, fitter, split, n_folds)
    found = None if method is None else calibration.calibrate(method, known)
    likely = known.probabilities if found is None else found.probabilities
    if wishes.rule is None:
        if fitter.options.balance and found is not None and found.accepted:
            progress.say(
                "hint: calibrated probabilities, and labels with them, go by how frequent classes are again, "
                "whatever --balance did; --threshold balanced lets labels weigh them the same",
                "yellow",
            )
        return Finish(found)
    return Finish(found, threshold.choose_threshold(wishes.rule, wishes.positive, known, likely))
