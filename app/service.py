"""The corridor that every prediction walks: Call (bytes in) -> Reply (bytes out).

Doors (a Flask view, a worker's own path) turn a request into a :class:`Call` and a :class:`Reply` into a
response; everything about predicting is here, to be read from top to bottom.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeVar

import numpy as np

from app import wire
from app.engines import Answer
from app.errors import DeadlineExceeded, InvalidRows, NotAcceptable, NotFound, ServiceError, TooLarge
from app.explain import NotExplained, as_document, as_documents
from app.keys import ApiKeys
from app.monitor.metrics import Metrics
from app.settings import Settings
from app.shadow import Shadows
from app.signature import Batch, Output, Outputs
from app.store import LiveModels, LoadedModel
from app.store.golden import check_golden
from app.store.live import Version

log = logging.getLogger(__name__)
T = TypeVar("T")

# Asks for label and score of texts, and for what each input adds; no methods of the estimator's.
CLASSIFY, EXPLAIN = "classify", "explain"
# An answer of more values than this is refused before it is computed (128 MiB of float64).
MAX_ANSWER_VALUES = 16 * 1024 * 1024
# Requests of more rows than this gain nothing from sharing a call.
MOST_SHARED_ROWS = 64
# What it takes to put the rows of several requests together and to hand out their answers.
_SHARING_SECONDS = 12e-6
_LONGEST_FAULT = 300

# Returns a header by its lower-case name, empty where it was not sent.
Header = Callable[[str], str]


def _no_header(name: str) -> str:
    return ""


@dataclass(slots=True)  # made for every request: freezing would triple what that costs
class Call:
    """What a door hands over.

    Attributes
    ----------
    method: one of the estimator's methods (``predict``, ``predict_proba``, …); empty for the model's first.
    model, version: which one is asked, a version by its number or a label; None stands for the default model, and
        leaves the version to the split or the promotion.
    body: the request's body.
    content_type: the header that says how to read it, as the client sent it (another one in some dialects).
    accept: the header Accept, likewise.
    key: the API key, where one was sent.
    dialect: which of ``wire.DIALECTS`` the client speaks.
    header: gives any header by its lower-case name, empty where it was not sent: a split may go by one.
    place: the place in the split, where the door has drawn it already.
    """

    method: str
    body: bytes
    model: str | None = None
    version: Version = None
    content_type: str = ""
    accept: str = ""
    key: str | None = None
    dialect: str = wire.OWN
    header: Header = _no_header
    place: float | None = None


@dataclass(slots=True)  # made for every request: freezing would triple what that costs
class Reply:
    """What a door sends back."""

    body: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


@dataclass(slots=True)  # made for every request: freezing would triple what that costs
class _Asked:
    """A call that was understood: who is asked what, about which rows, how it wants to hear it, who answers unseen."""

    model: LoadedModel
    methods: list[tuple[str, Outputs]]
    decoded: wire.Decoded
    dialect: str
    answered_in: str
    shadow: LoadedModel | None

    @property
    def shares(self) -> bool:
        """Whether other calls may be answered together with this one."""
        return (
            len(self.methods) == 1
            and self.decoded.batch.rows <= MOST_SHARED_ROWS
            and self.model.shares(self.methods[0][0])
        )


class Service:
    """Answers calls with the live models."""

    def __init__(self, settings: Settings, models: LiveModels, keys: ApiKeys, metrics: Metrics) -> None:
        self.settings = settings
        self.models = models
        self.keys = keys
        self.metrics = metrics
        self.shadows = Shadows(metrics)

    def is_loaded(self, model: str | None, version: Version) -> bool:
        """Tell whether the version that would answer is in memory; where there is none, nothing is to be waited for."""
        try:
            return self.models.is_loaded(model, version)
        except ServiceError:
            return True

    def row_seconds(self, method: str, model: str | None, version: Version) -> float:
        """Return what one row took when the model that would answer was saved; 0 where nobody knows."""
        try:
            name = self.models.text_name() if method == CLASSIFY and model is None else model
            found = self.models.get(name, version, 0.0)
        except ServiceError:
            return 0.0
        return found.row_seconds("predict_proba" if method == CLASSIFY else method or found.signature.methods[0])

    def answer(self, call: Call) -> Reply:
        """Answer one call.

        Raises
        ------
        ServiceError
            The subclass says why there is no answer; any other exception is a fault of ours.
        """
        if call.method == CLASSIFY:
            return self._classify(call)
        if call.method == EXPLAIN:
            return self._explain(call)
        return self._answer_alone(self._understand(call))

    def answer_all(self, calls: Sequence[Call]) -> list[Reply | Exception]:
        """Answer calls that came at the same time; an exception stands in the place of what raised it.

        Those that ask the same of a model whose rows do not depend on each other share one call of its engine,
        where the calls that this spares take longer than the sharing.
        """
        answered: dict[int, Reply | Exception] = {}
        shared: dict[tuple[int, str], list[tuple[int, _Asked]]] = {}
        for index, call in enumerate(calls):
            try:
                if call.method in (CLASSIFY, EXPLAIN):
                    answered[index] = self.answer(call)
                    continue
                asked = self._understand(call)
                if asked.shares:
                    shared.setdefault((id(asked.model), asked.methods[0][0]), []).append((index, asked))
                else:
                    answered[index] = self._answer_alone(asked)
            except Exception as error:
                answered[index] = error
        for members in shared.values():
            replies = self._answer_together([asked for _, asked in members])
            answered.update(zip((index for index, _ in members), replies, strict=True))
        return [answered[index] for index in range(len(calls))]

    def _answer_together(self, members: Sequence[_Asked]) -> Iterator[Reply | Exception]:
        """Ask the engine once for all members; where that fails each is asked alone, so that none hurts another."""
        model, ((method, output),) = members[0].model, members[0].methods
        if len(members) > 1 and (len(members) - 1) * model.call_seconds(method) > _SHARING_SECONDS:
            try:
                batch = Batch.join([asked.decoded.batch for asked in members])
                answer = self._run(model, batch, method, output, len(members))
            except Exception as error:
                log.debug("a shared call of %s failed: %s", model.name, error)
            else:
                end = 0
                for asked in members:
                    start, end = end, end + asked.decoded.batch.rows
                    try:
                        yield self._reply(asked, [_part(answer, start, end)])
                    except Exception as error:  # it may want it in a format that cannot hold it
                        yield error
                return
        for asked in members:
            try:
                yield self._answer_alone(asked)
            except Exception as error:
                yield error

    def _answer_alone(self, asked: _Asked) -> Reply:
        batch = asked.decoded.batch
        try:
            if len(asked.methods) > 1:
                _check_answer_size(tuple(part for _, output in asked.methods for part in _parts(output)), batch.rows)
            # One request, however many methods it asks; it counts once the last has answered.
            answers = [
                self._run(asked.model, batch, method, output, requests=int(number == len(asked.methods)))
                for number, (method, output) in enumerate(asked.methods, 1)
            ]
        except Exception as error:
            self._count_failure(asked.model, error)
            raise
        return self._reply(asked, answers)

    def _reply(self, asked: _Asked, answers: list[Answer]) -> Reply:
        """Write the answers, and let the shadow, if any, be asked what the first of them was about."""
        model, methods, batch = asked.model, asked.methods, asked.decoded.batch
        answered = [wire.Answered(*method, answer) for method, answer in zip(methods, answers, strict=True)]
        served = wire.Served(model.name, model.version)
        written = wire.DIALECTS[asked.dialect].encode(answered, asked.decoded.form, asked.answered_in, served)
        if asked.shadow is not None:
            self.shadows.ask(asked.shadow, model, methods[0][0], batch, answers[0])
        return Reply(written.body, written.content_type, {**_model_headers(model), **written.headers})

    def _count_failure(self, model: LoadedModel, error: Exception) -> None:
        """Count a request that a version was asked in vain: by its own fault, or by that of the rows."""
        faulty = not isinstance(error, ServiceError) or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        self.metrics.predicted_in_vain(model.key, "failed" if faulty else "invalid")

    def _understand(self, call: Call) -> _Asked:
        """Check the key, find the model, and read the rows."""
        self.keys.require("predict", call.key)
        dialect = wire.DIALECTS[call.dialect]
        answered_in = dialect.negotiate(call.content_type, call.accept)
        model, shadow = self.models.choose(call.model, call.version, self.settings.request_timeout, call)
        try:
            method = call.method or model.signature.methods[0]
            output = _output_of(model, method)
            decoded = dialect.decode(call.content_type, call.body, model.signature, self.settings.max_rows)
            methods = [(each, _output_of(model, each)) for each in decoded.methods] or [(method, output)]
        except Exception as error:
            self._count_failure(model, error)
            raise
        return _Asked(model, methods, decoded, call.dialect, answered_in, shadow)

    def _classify(self, call: Call) -> Reply:
        """Answer one text, or a list of them, with its label and the probability of that label.

        The score is null where the model has no probabilities.
        """
        self.keys.require("predict", call.key)
        wire.media_type(call.content_type)
        wire.acceptable(call.accept, wire.JSON)
        name = self.models.text_name() if call.model is None else call.model
        model, shadow = self.models.choose(name, call.version, self.settings.request_timeout, call)
        if model.signature.container != "texts":
            raise NotFound(f"model {model.name!r} takes no text; ask {model.name}/predict")
        try:
            decoded = wire.decode_texts(call.content_type, call.body, model.signature, self.settings.max_rows)
            labels, scores = self._classified(model, decoded.batch)
        except Exception as error:
            self._count_failure(model, error)
            raise
        body = wire.encode_labels(labels, scores, decoded.form)
        if shadow is not None:
            self.shadows.ask(shadow, model, "predict", decoded.batch, labels)
        return Reply(body, wire.JSON, _model_headers(model))

    def _classified(self, model: LoadedModel, batch: Batch) -> tuple[Answer, Answer | None]:
        """Return the labels of texts, and their probabilities where the model gives any."""
        scores = None
        if "predict_proba" in model.signature.outputs:
            scores = self._run(model, batch, "predict_proba", _output_of(model, "predict_proba"))
            if model.names_most_probable and (labels := _most_probable(model, scores)) is not None:
                return labels, scores
        # One request, whatever it takes to answer it.
        requests = 1 if scores is None else 0
        return self._run(model, batch, "predict", _output_of(model, "predict"), requests), scores

    def _explain(self, call: Call) -> Reply:
        """Answer rows with what each of their inputs adds to the model's output, in JSON."""
        self.keys.require("predict", call.key)
        if call.dialect == wire.OWN:
            wire.media_type(call.content_type)
            if wire.acceptable(call.accept, wire.JSON) != wire.JSON:
                raise NotAcceptable(f"Accept is {call.accept[:100]!r}; explanations are {wire.JSON}")
        model = self.models.get(call.model, call.version, self.settings.request_timeout, call)
        try:
            body = self._explained(model, call)
        except Exception as error:
            self._count_failure(model, error)
            raise
        return Reply(body, wire.JSON, _model_headers(model))

    def _explained(self, model: LoadedModel, call: Call) -> bytes:
        explainer = model.explainer
        if isinstance(explainer, NotExplained):
            raise NotFound(f"model {model.name!r} cannot be explained: {explainer}")
        most = min(explainer.max_rows, self.settings.max_rows)
        dialect = wire.DIALECTS[call.dialect]
        decoded = dialect.decode(call.content_type, call.body, model.signature, most)
        explanation = self._ask(model, decoded.batch, EXPLAIN, lambda: explainer.run(decoded.batch))
        if dialect.encode_explained is not None:
            (method,) = decoded.methods or model.signature.methods[:1]
            output = _output_of(model, method)
            answered = [wire.Answered(method, output, self._run(model, decoded.batch, method, output))]
            return dialect.encode_explained(answered, decoded.form, as_documents(explainer, explanation))
        prediction = None
        if "predict" in model.signature.outputs:
            answer = self._run(model, decoded.batch, "predict", _output_of(model, "predict"))
            prediction = None if isinstance(answer, list) else answer.tolist()
        return wire.dump(as_document(explainer, explanation, prediction, scalar=decoded.form.scalar))

    def _run(self, model: LoadedModel, batch: Batch, method: str, output: Outputs, requests: int = 1) -> Answer:
        """Ask the engine about the rows of so many requests."""
        _check_answer_size(output, batch.rows)
        started = time.perf_counter()
        answer = self._ask(model, batch, method, lambda: self._computed(model, batch, method))
        if not _has_rows(answer, batch.rows):
            raise RuntimeError(f"{model.name} {model.version}: {method} did not answer {batch.rows} rows with as many")
        self.metrics.predicted(model.key, requests, batch.rows, time.perf_counter() - started)
        return answer

    def _ask(self, model: LoadedModel, batch: Batch, method: str, ask: Callable[[], T]) -> T:
        """Return what `ask` makes of the rows; what an estimator raises for them is the client's to know, or ours."""
        try:
            return ask()
        except ServiceError:
            raise
        except ValueError as fault:
            raise InvalidRows(f"the model cannot take these rows: {_first_line(fault)}") from fault
        except MemoryError as fault:
            raise TooLarge(f"{batch.rows} rows need more memory than there is; send fewer at a time") from fault
        except Exception as fault:
            # The model is sound if it still answers its golden rows: then it is these rows that it cannot take.
            check_golden(model.engine, model.signature, model.manifest.golden)
            log.warning("%s %d: %s raised for a client's rows", model.name, model.version, method, exc_info=True)
            raise InvalidRows(f"the model cannot take these rows: {type(fault).__name__}") from fault

    def _computed(self, model: LoadedModel, batch: Batch, method: str) -> Answer:
        """Ask the engine; of a slow model a part of the rows at a time, until nobody waits for the answer any more."""
        at_once = model.rows_at_once or batch.rows
        if batch.rows <= at_once:
            return model.engine.run(batch, method)
        end = time.monotonic() + self.settings.request_timeout
        parts = []
        for part in batch.split(at_once):
            if time.monotonic() > end:
                seconds = self.settings.request_timeout
                raise DeadlineExceeded(f"{batch.rows} rows take longer than {seconds:g} seconds; send fewer at a time")
            parts.append(model.engine.run(part, method))
        return np.concatenate(parts)


def _most_probable(model: LoadedModel, scores: Answer) -> Answer | None:
    output = model.signature.outputs["predict_proba"]
    if not isinstance(output, Output) or output.classes is None or isinstance(scores, list):
        return None
    labels: Answer = np.array(output.classes)[scores.argmax(axis=1)]
    return labels


def _part(answer: Answer, start: int, end: int) -> Answer:
    return [part[start:end] for part in answer] if isinstance(answer, list) else answer[start:end]


def _output_of(model: LoadedModel, method: str) -> Outputs:
    try:
        return model.signature.outputs[method]
    except KeyError:
        methods = ", ".join(model.signature.methods)
        raise NotFound(f"model {model.name!r} has no {method}; it has {methods}") from None


def _parts(output: Outputs) -> tuple[Output, ...]:
    return (output,) if isinstance(output, Output) else output


def _has_rows(answer: Answer, rows: int) -> bool:
    return all(len(part) == rows for part in answer) if isinstance(answer, list) else len(answer) == rows


def _check_answer_size(output: Outputs, rows: int) -> None:
    per_row = sum(part.cells_per_row for part in _parts(output))
    if rows * per_row > MAX_ANSWER_VALUES:
        most = max(1, MAX_ANSWER_VALUES // per_row)
        raise TooLarge(f"the answer would have {rows} x {per_row} values; send at most {most} rows at a time")


def _model_headers(model: LoadedModel) -> dict[str, str]:
    return {"X-Model-Name": model.name, "X-Model-Version": str(model.version)}


def _first_line(fault: Exception) -> str:
    lines = str(fault).strip().splitlines() or [type(fault).__name__]
    return lines[0][:_LONGEST_FAULT]
