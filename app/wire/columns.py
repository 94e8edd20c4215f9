"""An answer as named columns, for the formats that are tables."""

from __future__ import annotations

from app.signature import Array, Output, Outputs
from app.wire.body import Answer


def named_columns(answer: Answer, output: Outputs) -> dict[str, Array]:
    """Return the answer's columns, each of shape (n,): ``y_pred``, ``y_pred_0`` …, or the classes' names."""
    if isinstance(answer, list):
        parts = output if isinstance(output, tuple) else (output,) * len(answer)
        columns: dict[str, Array] = {}
        for index, (values, part) in enumerate(zip(answer, parts, strict=True)):
            columns |= {f"{index}_{name}": column for name, column in named_columns(values, part).items()}
        return columns
    if answer.ndim == 1:
        return {"y_pred": answer}
    flat = answer.reshape(len(answer), -1)
    classes = output.classes if isinstance(output, Output) else None
    names = [f"y_pred_{index}" for index in range(flat.shape[1])] if classes is None else list(map(str, classes))
    return {name: flat[:, index] for index, name in enumerate(names)}
