"""Which form answers: those that pass the parity gate are timed, and the fastest is taken.

Chosen for each method and each size of batch: one row, many (timed at 100), bulk (timed at 2,000). What was
tried is recorded in the manifest, whatever came of it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from app.engines import families, state
from app.engines.base import Engine, Form, NotReplayed
from app.engines.chosen import SIZES, Choice, ChosenEngine, Deferred, LazySklearnEngine
from app.engines.gate import Remembering, Verdict, judge, row_independent
from app.engines.native import SKLEARN, SklearnEngine
from app.signature import Batch, Signature

log = logging.getLogger(__name__)

ROWS = {"one": 1, "many": 100, "bulk": 2000}
_INDEPENDENT_ROWS = 16
_REPEATS = 5
_SECONDS = 0.002
# So many times faster must a form be that needs scikit-learn, which takes a second to import at every start.
_WORTH = 3.0
# A batch that takes longer is timed once, and a larger one not at all.
_LONG_SECONDS = 0.05
# Of OpenMP and BLAS, as a worker has them (gunicorn.conf.py): with more, another form may be quickest, or add in
# another order.
_THREADS = 1


@dataclass(frozen=True)
class Chosen:
    """What was chosen.

    Attributes
    ----------
    engine: answers as a loaded model will.
    record: what the manifest says of it.
    files: the contents of the files that the forms are built from again, by path.
    """

    engine: ChosenEngine
    record: dict[str, Any]
    files: dict[str, bytes]


def choose(
    estimator: Any, signature: Signature, sample: Batch, random: Collection[str] = (), *, native: str = SKLEARN
) -> Chosen:
    """Build, judge and time the forms of a fitted estimator.

    Parameters
    ----------
    estimator
        The fitted estimator.
    signature
        What it takes and gives.
    sample
        Up to some hundreds of rows like those it was fitted on.
    random
        The methods whose answers are random: scikit-learn answers these.
    native
        The library whose answers they are, where it is another.
    """
    own = SklearnEngine(estimator, signature, native)
    forms, why_none = _forms_of(estimator, signature)
    content = None
    rebuilt = next((form for form in forms if form.state is not None), None)
    if rebuilt is not None and rebuilt.state is not None:
        content = state.dump(rebuilt.state)
    # Extreme rows overflow; what matters is whether the answers agree.
    with np.errstate(all="ignore"), threadpool_limits(_THREADS):
        trials = _Trials(own, signature, forms, sample)
        for method in signature.methods:
            trials.run(method, [] if method in random else forms)
    trials.settle()
    engine = ChosenEngine(trials.choice, forms, own)
    used = {name for sizes in trials.choice.values() for name in sizes.values()}
    files = {state.FILE: content} if content is not None and rebuilt is not None and rebuilt.name in used else {}
    few = _tiled(sample, min(_INDEPENDENT_ROWS, sample.rows))
    with threadpool_limits(_THREADS):
        alone = {method: method not in random and row_independent(engine, method, few) for method in signature.methods}
    record: dict[str, Any] = {
        "choice": trials.choice,
        "candidates": trials.candidates,
        "row_independent": alone,
        "cost_us": trials.costs,
        "native": native,
    }
    return Chosen(engine, record | ({"why_not": why_none} if why_none else {}), files)


def quickest(
    estimator: Any, signature: Signature, sample: Batch, sizes: Collection[int]
) -> dict[int, tuple[str, float]]:
    """Return, for batches of each of these sizes, the fastest form for the first method and its seconds.

    An estimate of what :func:`choose` will come to, in a fraction of its time: nothing is judged.
    """
    native = SklearnEngine(estimator, signature)
    method = signature.methods[0]
    forms = [form for form in _forms_of(estimator, signature)[0] if method in form.kernels]
    with threadpool_limits(_THREADS):
        return {rows: _quickest(native, method, forms, _tiled(sample, rows)) for rows in sizes}


def _quickest(native: Engine, method: str, forms: list[Form], batch: Batch) -> tuple[str, float]:
    times = [(seconds(lambda: native.run(batch, method)), SKLEARN)]
    for form in forms:
        if form.rows != ("many" if batch.rows == 1 else "one"):
            engine = ChosenEngine({method: dict.fromkeys(SIZES, form.name)}, [form], native)
            times.append((seconds(lambda engine=engine: engine.run(batch, method)), form.name))  # type: ignore[misc]
    taken, name = min(times)
    return name, taken


def log_fallback(form: str) -> None:
    """Say in the log that scikit-learn answers in the place of a form."""
    log.warning("scikit-learn answers in place of %s, which cannot be built", form)


def rebuild(
    record: Mapping[str, Any],
    signature: Signature,
    files: Mapping[str, bytes],
    load: Callable[[], Any],
    fell_back: Callable[[str], None] = log_fallback,
) -> tuple[ChosenEngine, LazySklearnEngine]:
    """Build the engine of a loaded version: without its estimator where files are enough.

    Parameters
    ----------
    record
        What the manifest says of the engine.
    signature
        The model's signature.
    files
        The contents of the version's files, by path.
    load
        Returns the fitted estimator.
    fell_back
        Is told the name of each form that was chosen and cannot be built, so that scikit-learn answers in its
        place; in any thread, and later too where a form is built when it is first asked.
    """
    choice: Choice = record["choice"] if isinstance(record.get("choice"), Mapping) else {}
    native = str(record.get("native", SKLEARN))
    own = LazySklearnEngine(load, signature, native)
    forms: list[Form] = []
    if state.FILE in files:
        forms += _tried(lambda: [families.of(signature).rebuild(state.load(files[state.FILE]), signature)])
    there = {form.name for form in forms} | {native}

    @cache
    def built() -> list[Form]:
        return _tried(lambda: families.of(signature).forms(own.estimator, signature))

    if any(name not in there for sizes in choice.values() for size, name in sizes.items() if size != "bulk"):
        forms += [form for form in built() if form.name not in there]
    else:
        # Large batches alone can wait for scikit-learn: a service of small ones starts without it.
        late = {(sizes["bulk"], method) for method, sizes in choice.items() if sizes.get("bulk", native) not in there}
        forms += [Form(name, {method: Deferred(built, name, method, fell_back)}) for name, method in sorted(late)]
    engine = ChosenEngine(choice, forms, own)
    for name in engine.fallbacks:
        fell_back(name)
    return engine, own


def _tried(build: Callable[[], list[Form]]) -> list[Form]:
    try:
        return build()
    except Exception:  # an engine that cannot be built is no reason not to answer
        log.exception("an engine cannot be built")
        return []


def _forms_of(estimator: Any, signature: Signature) -> tuple[list[Form], str | None]:
    family = families.of(signature)
    try:
        forms = family.forms(estimator, signature)
    except Exception as fault:  # an estimator's insides may be anything; scikit-learn answers then
        log.debug("no other form of %s", type(estimator).__name__, exc_info=True)
        return [], str(fault) if isinstance(fault, NotReplayed) else f"{type(fault).__name__}: {fault}"
    return forms, None if forms else "no other form of this estimator is known"


class _Trials:
    """What was tried for each method, and what came of it."""

    def __init__(self, native: Engine, signature: Signature, forms: list[Form], sample: Batch) -> None:
        self.choice: dict[str, dict[str, str]] = {}
        self.candidates: list[dict[str, Any]] = []
        self.costs: dict[str, dict[str, float]] = {}
        self._native = native
        self._lean = {form.name for form in forms if form.state is not None}
        self._found: dict[str, dict[str, dict[str, float]]] = {}
        self._reference = Remembering(native)
        self._timed = {size: _tiled(sample, rows) for size, rows in ROWS.items()}
        self._batches: list[Batch] = []
        if forms:
            self._batches = families.of(signature).batches(signature, sample, [form.thresholds for form in forms])

    def run(self, method: str, forms: list[Form]) -> None:
        """Judge and time the forms of one method."""
        batches = self._timed if forms else {size: self._timed[size] for size in ("one", "many")}
        found: dict[str, dict[str, float]] = {}
        times = self._times(self._native, method, batches)
        for size, taken in times.items():
            found.setdefault(size, {})[self._native.name] = taken
        self.candidates.append(_told(self._native.name, method, Verdict(None, 0.0), times))
        for form in forms:
            kernel = form.kernels.get(method)
            if kernel is None:
                continue
            sizes = ("one",) if form.rows == "one" else SIZES[1:] if form.rows == "many" else SIZES
            verdict = Verdict(None, 0.0)
            for one_by_one in sorted({size == "one" for size in sizes}):
                if verdict.why_not is None:
                    verdict = judge(self._reference, kernel, method, self._batches, one_by_one=one_by_one)
            times = {}
            if verdict.why_not is None:
                engine = ChosenEngine({method: dict.fromkeys(sizes, form.name)}, [form], self._native)
                times = self._times(engine, method, {size: self._timed[size] for size in sizes})
            self.candidates.append(_told(form.name, method, verdict, times))
            for size, taken in times.items():
                found.setdefault(size, {})[form.name] = taken
        self._found[method] = found

    def settle(self) -> None:
        """Choose the fastest; for small batches what files hold, where that is enough for all and not much slower."""
        lean = all(
            self._fastest(found, self._lean)[1] <= _WORTH * self._fastest(found)[1]
            for sizes in self._found.values()
            for size, found in sizes.items()
            if size != "bulk"
        )
        for method, sizes in self._found.items():
            best = {
                size: self._fastest(found, self._lean if lean and size != "bulk" else None)
                for size, found in sizes.items()
            }
            self.choice[method] = {size: best.get(size, (self._native.name, 0.0))[0] for size in SIZES}
            self.costs[method] = _cost({size: taken for size, (_, taken) in best.items()})

    @staticmethod
    def _fastest(found: Mapping[str, float], among: Collection[str] | None = None) -> tuple[str, float]:
        """Return the name and the time of the fastest form; without end where there is none."""
        times = [(taken, name) for name, taken in found.items() if among is None or name in among]
        taken, name = min(times, default=(np.inf, SKLEARN))
        return name, taken

    def _times(self, engine: Engine, method: str, batches: Mapping[str, Batch]) -> dict[str, float]:
        """Return the seconds that an answer takes, by size."""
        times: dict[str, float] = {}
        for size, batch in batches.items():
            if max(times.values(), default=0.0) > _LONG_SECONDS:
                break
            try:
                times[size] = seconds(lambda batch=batch: engine.run(batch, method))  # type: ignore[misc]
            except Exception:  # the sample's rows may be none that it takes, repeated or alone
                log.debug("%s of %s rows cannot be timed", method, batch.rows, exc_info=True)
        return times


def seconds(call: Callable[[], Any]) -> float:
    """Return how long a call takes: the median of a few repeats, each of as many calls as are worth timing."""
    call()
    start = time.perf_counter()
    call()
    once = time.perf_counter() - start
    if once > _LONG_SECONDS:
        return once
    calls = max(1, int(_SECONDS / max(once, 1e-7)))
    taken = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        taken.append((time.perf_counter() - start) / calls)
    return float(np.median(taken))


def _told(name: str, method: str, verdict: Verdict, times: Mapping[str, float]) -> dict[str, Any]:
    return {
        "name": name,
        "method": method,
        "built": verdict.why_not is None,
        "why_not": verdict.why_not,
        "max_difference": verdict.max_difference,
        "latency_us": {str(ROWS[size]): round(taken * 1e6, 1) for size, taken in times.items()},
    }


def _cost(times: Mapping[str, float]) -> dict[str, float]:
    """Return what a call and a row cost, from the times of one row and of the most rows."""
    most = max(times, key=lambda size: ROWS[size], default="one")
    one, many = times.get("one", 0.0), times.get(most, 0.0)
    row = max(0.0, many - one) / max(1, ROWS[most] - 1)
    return {"call": round(max(0.0, one - row) * 1e6, 2), "row": round(row * 1e6, 4)}


def _tiled(sample: Batch, rows: int) -> Batch:
    """Return a batch of so many rows, the sample's one after another."""
    index = np.arange(rows) % sample.rows
    data: Any = sample.data
    if isinstance(data, dict):
        data = {name: values[index] for name, values in data.items()}
    else:
        data = [data[place] for place in index] if isinstance(data, list) else np.ascontiguousarray(data[index])
    return Batch(rows, data)
