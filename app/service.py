"""The corridor that every prediction walks: Call (bytes in) -> Reply (bytes out).

Doors (a Flask view, a worker's own path) turn a request into a :class:`Call` and a :class:`Reply` into a
response; everything about predicting is here, to be read from top to bottom.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from app import wire
from app.engines import Answer
from app.errors import InvalidRows, NotAcceptable, NotFound, ServiceError, TooLarge
from app.explain import NotExplained, as_document
from app.keys import ApiKeys
from app.monitor.metrics import Metrics
from app.settings import Settings
from app.signature import Batch, Output, Outputs
from app.store import LiveModels, LoadedModel
from app.store.golden import check_golden

log = logging.getLogger(__name__)
T = TypeVar("T")

# An answer of more values than this is refused before it is computed (128 MiB of float64).
MAX_ANSWER_VALUES = 16 * 1024 * 1024
# Requests of more rows than this gain nothing from sharing a call.
MOST_SHARED_ROWS = 64
# What it takes to put the rows of several requests together and to hand out their answers.
_SHARING_SECONDS = 12e-6
_LONGEST_FAULT = 300


@dataclass(slots=True)  # made for every request: freezing would triple what that costs
class Call:
    """What a door hands over.

    Attributes
    ----------
    method: one of the estimator's methods (``predict``, ``predict_proba``, …).
    model, version: which one is asked; None stands for the default and the promoted one.
    body: the request's body, with the headers Content-Type and Accept as the client sent them.
    key: the API key, where one was sent.
    """

    method: str
    body: bytes
    model: str | None = None
    version: int | None = None
    content_type: str = ""
    accept: str = ""
    key: str | None = None


@dataclass(slots=True)  # made for every request: freezing would triple what that costs
class Reply:
    """What a door sends back."""

    body: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


@dataclass(slots=True)  # made for every request: freezing would triple what that costs
class _Asked:
    """A call that was understood: who is asked what, about which rows, and how it wants to hear it."""

    model: LoadedModel
    method: str
    output: Outputs
    decoded: wire.Decoded
    answered_in: str


class Service:
    """Answers calls with the live models."""

    def __init__(self, settings: Settings, models: LiveModels, keys: ApiKeys, metrics: Metrics) -> None:
        self.settings = settings
        self.models = models
        self.keys = keys
        self.metrics = metrics

    def is_loaded(self, model: str | None, version: int | None) -> bool:
        """Tell whether the version that would answer is in memory; where there is none, nothing is to be waited for."""
        try:
            return self.models.is_loaded(model, version)
        except ServiceError:
            return True

    def answer(self, call: Call) -> Reply:
        """Answer one call.

        Raises
        ------
        ServiceError
            The subclass says why there is no answer; any other exception is a fault of ours.
        """
        if call.method == "classify":
            return self._classify(call)
        if call.method == "explain":
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
                if call.method == "classify":
                    answered[index] = self._classify(call)
                    continue
                asked = self._understand(call)
                if asked.model.shares(asked.method) and asked.decoded.batch.rows <= MOST_SHARED_ROWS:
                    shared.setdefault((id(asked.model), asked.method), []).append((index, asked))
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
        first = members[0]
        if len(members) > 1 and (len(members) - 1) * first.model.call_seconds(first.method) > _SHARING_SECONDS:
            try:
                batch = Batch.join([asked.decoded.batch for asked in members])
                answer = self._run(first.model, batch, first.method, first.output)
            except Exception as error:
                log.debug("a shared call of %s failed: %s", first.model.name, error)
            else:
                end = 0
                for asked in members:
                    start, end = end, end + asked.decoded.batch.rows
                    yield _reply(asked, _part(answer, start, end))
                return
        for asked in members:
            try:
                yield self._answer_alone(asked)
            except Exception as error:
                yield error

    def _answer_alone(self, asked: _Asked) -> Reply:
        return _reply(asked, self._run(asked.model, asked.decoded.batch, asked.method, asked.output))

    def _understand(self, call: Call) -> _Asked:
        """Check the key, find the model, and read the rows."""
        self.keys.require("predict", call.key)
        asked_in = wire.media_type(call.content_type)
        answered_in = wire.acceptable(call.accept, asked_in)
        model = self.models.get(call.model, call.version, self.settings.request_timeout)
        output = _output_of(model, call.method)
        decoded = wire.decode(call.content_type, call.body, model.signature, self.settings.max_rows)
        return _Asked(model, call.method, output, decoded, answered_in)

    def _classify(self, call: Call) -> Reply:
        """Answer one text, or a list of them, with its label and the probability of that label.

        The score is null where the model has no probabilities.
        """
        self.keys.require("predict", call.key)
        wire.media_type(call.content_type)
        wire.acceptable(call.accept, wire.JSON)
        name = self.models.text_name() if call.model is None else call.model
        model = self.models.get(name, call.version, self.settings.request_timeout)
        if model.signature.container != "texts":
            raise NotFound(f"model {model.name!r} takes no text; ask {model.name}/predict")
        decoded = wire.decode_texts(call.content_type, call.body, model.signature, self.settings.max_rows)
        labels = self._run(model, decoded.batch, "predict", _output_of(model, "predict"))
        scores = None
        if "predict_proba" in model.signature.outputs:
            scores = self._run(model, decoded.batch, "predict_proba", _output_of(model, "predict_proba"))
        return Reply(wire.encode_labels(labels, scores, decoded.form), wire.JSON, _model_headers(model))

    def _explain(self, call: Call) -> Reply:
        """Answer rows with what each of their inputs adds to the model's output, in JSON."""
        self.keys.require("predict", call.key)
        wire.media_type(call.content_type)
        if wire.acceptable(call.accept, wire.JSON) != wire.JSON:
            raise NotAcceptable(f"Accept is {call.accept[:100]!r}; explanations are {wire.JSON}")
        model = self.models.get(call.model, call.version, self.settings.request_timeout)
        explainer = model.explainer
        if isinstance(explainer, NotExplained):
            raise NotFound(f"model {model.name!r} cannot be explained: {explainer}")
        most = min(explainer.max_rows, self.settings.max_rows)
        decoded = wire.decode(call.content_type, call.body, model.signature, most)
        explanation = self._ask(model, decoded.batch, "explain", lambda: explainer.run(decoded.batch))
        prediction = None
        if "predict" in model.signature.outputs:
            answer = self._run(model, decoded.batch, "predict", _output_of(model, "predict"))
            prediction = None if isinstance(answer, list) else answer.tolist()
        document = as_document(explainer, explanation, prediction, scalar=decoded.form.scalar)
        return Reply(wire.dump(document), wire.JSON, _model_headers(model))

    def _run(self, model: LoadedModel, batch: Batch, method: str, output: Outputs) -> Answer:
        _check_answer_size(output, batch.rows)
        answer = self._ask(model, batch, method, lambda: model.engine.run(batch, method))
        if not _has_rows(answer, batch.rows):
            raise RuntimeError(f"{model.name} {model.version}: {method} did not answer {batch.rows} rows with as many")
        self.metrics.rows_predicted(model.name, batch.rows)
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


def _reply(asked: _Asked, answer: Answer) -> Reply:
    body = wire.encode(answer, asked.output, asked.decoded.form, asked.answered_in)
    return Reply(body, asked.answered_in, _model_headers(asked.model))


def _part(answer: Answer, start: int, end: int) -> Answer:
    return [part[start:end] for part in answer] if isinstance(answer, list) else answer[start:end]


def _output_of(model: LoadedModel, method: str) -> Outputs:
    try:
        return model.signature.outputs[method]
    except KeyError:
        methods = ", ".join(model.signature.methods)
        raise NotFound(f"model {model.name!r} has no {method}; it has {methods}") from None


def _has_rows(answer: Answer, rows: int) -> bool:
    return all(len(part) == rows for part in answer) if isinstance(answer, list) else len(answer) == rows


def _check_answer_size(output: Outputs, rows: int) -> None:
    per_row = output.cells_per_row if isinstance(output, Output) else sum(part.cells_per_row for part in output)
    if rows * per_row > MAX_ANSWER_VALUES:
        most = max(1, MAX_ANSWER_VALUES // per_row)
        raise TooLarge(f"the answer would have {rows} x {per_row} values; send at most {most} rows at a time")


def _model_headers(model: LoadedModel) -> dict[str, str]:
    return {"X-Model-Name": model.name, "X-Model-Version": str(model.version)}


def _first_line(fault: Exception) -> str:
    lines = str(fault).strip().splitlines() or [type(fault).__name__]
    return lines[0][:_LONGEST_FAULT]
