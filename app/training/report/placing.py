"""Names beside the spots of a plot, each where it hides nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.path import Path
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

_FONT_SIZE = 7.5
_GAP = 2.0
# How much further than beside its spot a name may be, in points: by a line. Further away it would seem another's.
_STEPS = (0.0, 9.0)
_SIDES = ((1, 1), (1, -1), (-1, 1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
_ACROSS: dict[int, Literal["left", "center", "right"]] = {1: "left", 0: "center", -1: "right"}
_UP: dict[int, Literal["bottom", "center", "top"]] = {1: "bottom", 0: "center", -1: "top"}


class Spot(NamedTuple):
    """A spot of a scatter plot: where it is in data, how large, in square points, and what it is called."""

    x: float
    y: float
    area: float
    name: str


def place_names(
    axes: Axes, spots: Sequence[Spot], lines: Iterable[Sequence[tuple[float, float]]] = ()
) -> list[Annotation]:
    """Write each spot's name beside it, and return what was written; the first ones choose first.

    A name is left off where every place near its spot is over another name, over a spot or beyond the axes. `lines`,
    in data, are crossed only where there is no other place as near. Everything else has to be drawn already, as the
    places are those of a finished layout.
    """
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]  # a figure's axes
    frame = axes.get_window_extent()
    scale = axes.figure.dpi / 72
    middles = axes.transData.transform([(spot.x, spot.y) for spot in spots]).tolist() if spots else []
    taken = [Path.circle((x, y), _radius(spot) * scale) for (x, y), spot in zip(middles, spots, strict=True)]
    crossed = [Path(axes.transData.transform(line)) for line in lines]
    written: list[Annotation] = []
    for spot in spots:
        # Better over a line than far away.
        for step, avoided in product(_STEPS, (crossed, [])):
            name = _first_free(_tries(axes, spot, step), frame, taken, avoided)
            if name is not None:
                written.append(name)
                taken.append(_outline(name.get_window_extent()))
                break
    return written


def _first_free(names: Iterator[Annotation], frame: Bbox, taken: list[Path], avoided: list[Path]) -> Annotation | None:
    for name in names:
        box = name.get_window_extent()
        outside = box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
        hides = any(path.intersects_bbox(box) for path in taken)
        crosses = any(path.intersects_bbox(box, filled=False) for path in avoided)
        if not (outside or hides or crosses):
            return name
        name.remove()
    return None


def _tries(axes: Axes, spot: Spot, step: float) -> Iterator[Annotation]:
    """Yield the name on one side of its spot after the other, so far away."""
    for across, up in _SIDES:
        away = _radius(spot) / math.hypot(across, up) + _GAP + step
        name = axes.annotate(
            spot.name,
            (spot.x, spot.y),
            xytext=(across * away, up * away),
            textcoords="offset points",
            fontsize=_FONT_SIZE,
            horizontalalignment=_ACROSS[across],
            verticalalignment=_UP[up],
        )
        # The layout must stay the one that the place was found in.
        name.set_in_layout(False)
        yield name


def _radius(spot: Spot) -> float:
    return math.sqrt(spot.area) / 2


def _outline(box: Bbox) -> Path:
    return Path([(box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1), (box.x0, box.y0)], closed=True)
