"""Names of a plot's spots: beside them, and over nothing."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.path import Path
from matplotlib.text import Annotation

from app.training.report.placing import Spot, place_names
from app.training.report.svg import drawing


def place(spots: list[Spot], lines: list[list[tuple[float, float]]] | None = None) -> tuple[Axes, list[Annotation]]:
    with drawing(3.9, 2.9) as picture:
        axes = picture.axes
        axes.set(xlim=(0, 1), ylim=(0, 1))
        return axes, place_names(axes, spots, lines or [])


def test_names_of_spots_that_lie_close_do_not_overlap() -> None:
    near = np.random.default_rng(0).normal(0.5, 0.05, (6, 2)).tolist()
    spots = [Spot(x, y, 40.0, f"family number {number}") for number, (x, y) in enumerate(near)]
    axes, written = place(spots)
    assert [name.get_text() for name in written] == [spot.name for spot in spots]
    boxes = [name.get_window_extent() for name in written]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    for spot in spots:
        middle = axes.transData.transform((spot.x, spot.y))
        assert not any(box.contains(*middle) for box in boxes)


def test_a_name_without_a_place_is_left_off_the_later_one() -> None:
    _, written = place([Spot(0.5, 0.5, 40.0, f"number {number}") for number in range(40)])
    names = [name.get_text() for name in written]
    assert 4 < len(names) < 40
    assert names[0] == "number 0"


@pytest.mark.parametrize("corner", [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)])
def test_names_stay_within_the_axes(corner: tuple[float, float]) -> None:
    axes, (name,) = place([Spot(*corner, 20.0, "gradient boosting")])
    box, frame = name.get_window_extent(), axes.get_window_extent()
    assert frame.x0 <= box.x0 < box.x1 <= frame.x1
    assert frame.y0 <= box.y0 < box.y1 <= frame.y1


def test_a_line_is_crossed_only_where_there_is_no_other_place_as_near() -> None:
    line = [(0.5, 0.5), (1.0, 1.0)]
    axes, (name,) = place([Spot(0.5, 0.5, 40.0, "forest")], [line])
    assert not Path(axes.transData.transform(line)).intersects_bbox(name.get_window_extent(), filled=False)
    everywhere = [[(x, 0.0), (x, 1.0)] for x in np.linspace(0, 1, 50)]
    assert len(place([Spot(0.5, 0.5, 40.0, "forest")], everywhere)[1]) == 1
