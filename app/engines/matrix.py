"""Forms of estimators that take a matrix of numbers: a front of replayed steps, then a final estimator's form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from app.engines import boosting, covers, forest, fronts, linear, masks, neural
from app.engines.base import Form, Kernel
from app.signature import Array, Signature

_FAMILIES = {"linear": linear, "neural": neural}
_BUILDERS = {"linear": linear.build, "neural": neural.build, "masks": masks.build}
_NUMPY = "numpy"


def forms(estimator: Any, signature: Signature) -> list[Form]:
    """Return the forms of a fitted estimator or Pipeline on a matrix; empty where there is none."""
    dtypes = {column.dtype for column in signature.inputs}
    steps, final = unwrapped(estimator)
    states = [fronts.describe(step) for step in steps]
    known = [state for state in states if state is not None]
    # A front computes in float64; scikit-learn computes in float32 what is float32.
    if len(known) < len(states) or (dtypes & {"float32", "float16"} and steps):
        return []
    return [_behind(form, known) for form in final_forms(final)]


def final_forms(estimator: Any) -> list[Form]:
    """Return the forms of an estimator without its front; its kernels take a float64 matrix (n, n_features).

    Empty where there is none. A form for single rows (``rows == "one"``) comes before one for several.
    """
    if covers.is_cover(estimator):
        return covers.forms(estimator, final_forms)
    for family in _FAMILIES.values():
        state = family.describe(estimator)
        if state is not None:
            return [Form(_NUMPY, family.build(state), state={"front": [], "final": state})]
    return forest.forms(estimator) or boosting.forms(estimator)


def rebuild(state: Mapping[str, Any], signature: Signature | None = None) -> Form:
    """Build a form again from its state; the signature is not needed for a matrix."""
    del signature
    final = state["final"]
    form = Form(_name_of(final), _build_final(final), state={"front": [], "final": final})
    return _behind(form, list(state["front"]))


def _name_of(final: Mapping[str, Any]) -> str:
    if final["kind"] == covers.KIND:
        return _name_of(final["inner"][0])
    return _NUMPY if final["kind"] in _FAMILIES else str(final["kind"])


def _build_final(final: Mapping[str, Any]) -> Mapping[str, Kernel]:
    return covers.build(final, _build_final) if final["kind"] == covers.KIND else _BUILDERS[final["kind"]](final)


def unwrapped(estimator: Any) -> tuple[list[Any], Any]:
    """Return the steps before the final estimator, and that.

    Searches and pipelines inside one another are opened, those under a cover too: it then covers what is left.
    """
    from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
    from sklearn.pipeline import Pipeline

    if type(estimator) in (GridSearchCV, RandomizedSearchCV):
        return unwrapped(estimator.best_estimator_)
    covered = covers.inside(estimator)
    if covered is not None:
        before, last = unwrapped(covered)
        return before, covers.around(estimator, last)
    if type(estimator) is not Pipeline:
        return [], estimator
    steps: list[Any] = []
    for _, step in estimator.steps[:-1]:
        inner, last = unwrapped(step)
        steps += [*inner, last]
    inner, final = unwrapped(estimator.steps[-1][1])
    return [*steps, *inner], final


def _behind(form: Form, states: list[Any]) -> Form:
    """Return a form that takes the rows before the front."""
    front = fronts.build(states)
    state = None if form.state is None else {"front": states, "final": form.state["final"]}
    if front is None:
        return Form(form.name, form.kernels, form.thresholds, state, form.rows)
    kernels = {method: _after(front, kernel) for method, kernel in form.kernels.items()}
    # The split points are those of the columns behind the front, which are not the rows' own.
    return Form(form.name, kernels, {}, state, form.rows)


def _after(front: Callable[[Array], Array], kernel: Kernel) -> Kernel:
    return lambda X: kernel(front(X))
