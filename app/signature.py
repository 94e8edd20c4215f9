"""What a model takes and gives: its inputs, its outputs, and rows that fit them.

A :class:`Signature` is stored in every manifest, checked by ``wire`` before the model sees
anything, and obeyed by ``engines`` when they hand rows over. It holds no rule of any protocol.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Container = Literal["array", "objects", "vector", "frame", "texts"]
Kind = Literal["number", "integer", "boolean", "text", "category", "datetime", "any"]
Array = npt.NDArray[Any]

# scikit-learn's own names for what an estimator can be asked, in the order they are shown.
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform", "score_samples")

_KINDS: dict[str, Kind] = {
    "float": "number",
    "Float": "number",
    "double": "number",
    "int": "integer",
    "Int": "integer",
    "uint": "integer",
    "UInt": "integer",
    "bool": "boolean",
    "boolean": "boolean",
    "str": "text",
    "string": "text",
    "category": "category",
    "datetime": "datetime",
    "object": "any",
}


@dataclass(frozen=True)
class Input:
    """One column of the rows a model takes.

    Attributes
    ----------
    name: the column's name; ``x0``, ``x1``, … where the data had none.
    dtype: the dtype the estimator was fitted on, as NumPy or pandas spells it; ``str`` is text, ``object`` any scalar.
    nullable: whether the estimator, or its imputers, take a missing value here.
    used: whether the column reaches the estimator; one that does not is accepted and ignored.
    categories: the values seen in fitting, where they are few; binding only for the dtype ``category``.
    range: between which numbers most of the sample lies, roughly; for forms and examples, and binding for nobody.
    """

    name: str
    dtype: str
    nullable: bool = False
    used: bool = True
    categories: tuple[Any, ...] | None = None
    range: tuple[float, float] | None = None

    @cached_property
    def kind(self) -> Kind:
        """What values of this column look like on the wire; raises KeyError where the dtype is none that is served."""
        return _KINDS[self.dtype.split("[")[0].rstrip("0123456789")]

    def as_dict(self) -> dict[str, Any]:
        """Return the manifest's form of this input."""
        fields: dict[str, Any] = {"name": self.name, "dtype": self.dtype}
        if self.categories is not None:
            fields["categories"] = list(self.categories)
        if self.range is not None:
            fields["range"] = list(self.range)
        return fields | {"nullable": self.nullable, "used": self.used}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Input:
        """Read the manifest's form; unknown fields are left alone."""
        categories, usual = fields.get("categories"), fields.get("range")
        return cls(
            name=fields["name"],
            dtype=fields["dtype"],
            nullable=fields["nullable"],
            used=fields["used"],
            categories=None if categories is None else tuple(categories),
            range=None if usual is None else (usual[0], usual[1]),
        )


@dataclass(frozen=True)
class Output:
    """What one method answers, or one of the outputs of a multi-output method.

    Attributes
    ----------
    dtype: NumPy's name of the answer's dtype.
    shape: its shape; -1 stands for the number of samples.
    classes: the class labels that the columns of a probability stand for.
    """

    dtype: str
    shape: tuple[int, ...]
    classes: tuple[Any, ...] | None = None

    @cached_property
    def cells_per_row(self) -> int:
        """How many values one sample's answer holds."""
        return int(np.prod(self.shape[1:], dtype=np.int64))

    def as_dict(self) -> dict[str, Any]:
        """Return the manifest's form of this output."""
        fields: dict[str, Any] = {"dtype": self.dtype, "shape": list(self.shape)}
        return fields if self.classes is None else fields | {"classes": list(self.classes)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Output:
        """Read the manifest's form."""
        classes = fields.get("classes")
        return cls(fields["dtype"], tuple(fields["shape"]), None if classes is None else tuple(classes))


# A method that answers with a list of arrays (predict_proba of several outputs) has a tuple of outputs.
Outputs = Output | tuple[Output, ...]


@dataclass(frozen=True)
class Signature:
    """A model's inputs, in the order the estimator wants them, and what each of its methods answers.

    ``container`` is what the estimator was fitted on and is handed again: ``array`` (2-D numbers),
    ``objects`` (2-D strings), ``vector`` (1-D numbers), ``frame`` (a DataFrame) or ``texts``.
    """

    container: Container
    inputs: tuple[Input, ...]
    outputs: Mapping[str, Outputs]

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """The methods the model answers, in a fixed order."""
        return tuple(method for method in METHODS if method in self.outputs)

    @cached_property
    def is_plain(self) -> bool:
        """Whether the rows are float64 throughout."""
        return self.container == "array" and self.inputs[0].dtype == "float64"

    @cached_property
    def labels_texts(self) -> bool:
        """Whether ``/classify`` asks such models: they take texts, and predict."""
        return self.container == "texts" and "predict" in self.outputs

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The inputs' names, in order."""
        return tuple(column.name for column in self.inputs)

    @cached_property
    def by_name(self) -> dict[str, Input]:
        """The inputs by their names."""
        return {column.name: column for column in self.inputs}

    @cached_property
    def required(self) -> tuple[Input, ...]:
        """The inputs that reach the estimator."""
        return tuple(column for column in self.inputs if column.used)

    @cached_property
    def nullable(self) -> npt.NDArray[np.bool_]:
        """Which inputs take a missing value, as an array of shape (n_features,)."""
        return np.array([column.nullable for column in self.inputs], dtype=bool)

    def as_dict(self) -> dict[str, Any]:
        """Return the manifest's form of this signature."""
        outputs = {
            method: [part.as_dict() for part in output] if isinstance(output, tuple) else output.as_dict()
            for method, output in self.outputs.items()
        }
        return {
            "container": self.container,
            "inputs": [column.as_dict() for column in self.inputs],
            "outputs": outputs,
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Signature:
        """Read the manifest's form."""
        outputs: dict[str, Outputs] = {
            method: tuple(map(Output.from_dict, output)) if isinstance(output, list) else Output.from_dict(output)
            for method, output in fields["outputs"].items()
        }
        return cls(fields["container"], tuple(map(Input.from_dict, fields["inputs"])), outputs)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that were checked against a signature, in its container.

    ``data`` is a C-contiguous array of shape (n, n_features) for ``array`` and ``objects``, of shape
    (n,) for ``vector``; a dict of arrays of shape (n,) by column for ``frame``, without the columns
    that are not used; a list of n strings for ``texts``.
    """

    rows: int
    data: Array | dict[str, Array] | list[str]

    def split(self, rows: int) -> Iterator[Batch]:
        """Yield the rows in batches of at most `rows` of them, in order."""
        for start in range(0, self.rows, rows):
            end = min(start + rows, self.rows)
            data: Any = self.data
            if isinstance(data, dict):
                yield Batch(end - start, {name: values[start:end] for name, values in data.items()})
            else:
                yield Batch(end - start, data[start:end])

    @classmethod
    def join(cls, batches: Sequence[Batch]) -> Batch:
        """Put batches of one signature, one after another, into one."""
        parts: list[Any] = [batch.data for batch in batches]
        rows = sum(batch.rows for batch in batches)
        if isinstance(parts[0], dict):
            return cls(rows, {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
        if isinstance(parts[0], list):
            return cls(rows, [text for part in parts for text in part])
        return cls(rows, np.concatenate(parts))
