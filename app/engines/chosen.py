"""The engine of a loaded model: for each method and size of batch the form that was chosen for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from app.engines.base import Answer, Doubt, Engine, Form, Kernel
from app.engines.native import SKLEARN, SklearnEngine
from app.signature import Batch, Signature

log = logging.getLogger(__name__)

# From so many rows on, a batch is one of the size `bulk`.
BULK_ROWS = 512
SIZES = ("one", "many", "bulk")

# method -> size -> the name of the form that answers.
Choice = Mapping[str, Mapping[str, str]]


class LazySklearnEngine:
    """scikit-learn itself, whose estimator is loaded when it is first asked.

    Parameters
    ----------
    load
        Returns the fitted estimator; called once.
    signature
        The model's signature.
    name
        The library that answers, where it is another.
    """

    def __init__(self, load: Callable[[], Any], signature: Signature, name: str = SKLEARN) -> None:
        self.name = name
        self._load: Callable[[], Any] | None = load
        self._signature = signature
        self._lock = threading.Lock()
        self._engine: SklearnEngine | None = None
        self._estimator: Any = None

    @property
    def loaded(self) -> bool:
        """Whether the estimator was needed yet."""
        return self._engine is not None

    @property
    def estimator(self) -> Any:
        """The fitted estimator, loaded now if it was not before."""
        self._ready()
        return self._estimator

    def run(self, batch: Batch, method: str) -> Answer:
        """Return ``estimator.<method>(rows)`` as dense arrays."""
        return (self._engine or self._ready()).run(batch, method)

    def _ready(self) -> SklearnEngine:
        with self._lock:
            if self._engine is None:
                assert self._load is not None  # noqa: S101  # it goes with the first load
                self._estimator = self._load()
                self._engine = SklearnEngine(self._estimator, self._signature, self.name)
                # It holds the bytes of the file, as many as the estimator's own.
                self._load = None
            return self._engine


class Deferred:
    """The kernel of a form that is built when it is first asked, since that takes the estimator.

    It leaves the rows to scikit-learn where the form cannot be built.
    """

    def __init__(
        self, build: Callable[[], Iterable[Form]], name: str, method: str, fell_back: Callable[[str], None]
    ) -> None:
        self._build = build
        self._name = name
        self._method = method
        self._fell_back = fell_back
        self._lock = threading.Lock()
        self._kernel: Kernel | None = None

    def __call__(self, data: Any) -> Answer:
        """Return the form's answer."""
        return (self._kernel or self._ready())(data)

    def _ready(self) -> Kernel:
        with self._lock:
            if self._kernel is None:
                self._kernel = next(
                    (form.kernels[self._method] for form in self._build() if form.name == self._name), _leave
                )
                if self._kernel is _leave:
                    self._fell_back(self._name)
            return self._kernel


def _leave(data: Any) -> Answer:
    raise Doubt


class ChosenEngine:
    """Lets the form that was chosen answer, and scikit-learn where there is none or the form leaves the rows to it.

    Parameters
    ----------
    choice
        The names of the forms.
    forms
        The forms that could be built.
    native
        scikit-learn.

    Attributes
    ----------
    fallbacks: names of chosen forms that could not be built; scikit-learn answers in their place.
    """

    name = "chosen"

    def __init__(self, choice: Choice, forms: Iterable[Form], native: Engine) -> None:
        self._native = native
        by_name = {(form.name, method): kernel for form in forms for method, kernel in form.kernels.items()}
        chosen = {
            (method, size): (name, by_name.get((name, method)))
            for method, sizes in choice.items()
            for size, name in sizes.items()
            if name != native.name
        }
        self.fallbacks = tuple(sorted({name for name, kernel in chosen.values() if kernel is None}))
        self._one, self._many, self._bulk = self._by_size = [
            {method: kernel for (method, of), (_, kernel) in chosen.items() if of == size and kernel is not None}
            for size in SIZES
        ]

    def kernels(self) -> Iterator[tuple[str, str, Kernel]]:
        """Yield what was chosen and is built, but for scikit-learn: method, size and kernel."""
        for size, kernels in zip(SIZES, self._by_size, strict=True):
            for method, kernel in kernels.items():
                if not isinstance(kernel, Deferred):
                    yield method, size, kernel

    def run(self, batch: Batch, method: str) -> Answer:
        """Return the answer of `method` for the rows of `batch`."""
        rows = batch.rows
        kernels: Mapping[str, Kernel] = self._one if rows == 1 else self._many if rows < BULK_ROWS else self._bulk
        kernel = kernels.get(method)
        if kernel is not None:
            try:
                return kernel(batch.data)
            except Doubt:
                pass
            except Exception:  # whatever it is, scikit-learn knows better, or says what is wrong
                log.debug("%s is left to scikit-learn", method, exc_info=True)
        return self._native.run(batch, method)
