"""The plots of a report, each drawn from the document alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator

from app.training.report.labels import in_a_line
from app.training.report.placing import Spot, place_names
from app.training.report.svg import BAD, GOOD, INK, LINE, MUTED, SERIES, Drawing, drawing

_WIDTH, _HEIGHT = 3.9, 2.9
_MOST_INSIDE = 4
_LETTERS_OF_A_COLUMN = 20
Place = Literal["best", "lower left", "lower right", "upper left"]
_MOST_WITH_NUMBERS = 12
# A matrix of so few classes may be wider than high.
_MOST_WIDE = 5
_LETTERS_ACROSS = 40
_BLUE = (0.23, 0.51, 0.96)
# From nothing to blue, so that the page's own background shows through, light or dark.
_SHADES = LinearSegmentedColormap.from_list("shades", [(*_BLUE, 0.0), (*_BLUE, 0.6)])
_GREY = LinearSegmentedColormap.from_list("pixels", [(1, 1, 1, 1), (0, 0, 0, 1)])
_SMALLEST_SPOT, _LARGEST_SPOT = 20.0, 260.0


def draw(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the SVG of each plot that the document has numbers for, by name.

    One that cannot be drawn is named under the document's ``left_out``.
    """
    plots: dict[str, str] = {}
    for name, make in _plots(document).items():
        try:
            plots[name] = make()
        except Exception as fault:  # whatever a library makes of odd numbers, the model was trained and is saved
            document["left_out"].append({"part": name, "why": in_a_line(fault)})
    return plots


def _plots(document: Mapping[str, Any]) -> dict[str, Callable[[], str]]:
    """Return what draws each plot that there are numbers for."""
    found: dict[str, Callable[[], str]] = {}
    if "confusion" in document:
        found["confusion"] = lambda: _confusion(document["confusion"])
    if "curves" in document:
        curves = document["curves"]
        found |= {"roc": lambda: _roc(curves), "precision_recall": lambda: _precision_recall(curves)}
        if any("calibration" in curve for curve in curves):
            found["calibration"] = lambda: _calibration(curves)
    if "regression" in document:
        told = document["regression"]
        found |= {
            "predicted": lambda: _prediction_error(told, "actual_vs_predicted"),
            "residuals": lambda: _prediction_error(told, "residual_vs_predicted"),
            "histogram": lambda: _histogram(told["histogram"]),
        }
    if "learning" in document:
        found["learning"] = lambda: _learning(document["learning"])
    images = [row for row in document.get("mistakes", {}).get("rows", ()) if "image" in row]
    if images:
        found["images"] = lambda: _images(images)
    if "search" in document and _measured(document["search"]):
        found["search"] = lambda: _search(document["search"])
    return found


def _confusion(told: Mapping[str, Any]) -> str:
    from sklearn.metrics import ConfusionMatrixDisplay

    counts = np.asarray(told["counts"])
    n = len(counts)
    few = n <= _MOST_WITH_NUMBERS
    height = _HEIGHT if n <= _MOST_WIDE else min(5.6, 2.7 + 0.2 * n)
    with drawing(_WIDTH if n <= _MOST_WIDE else height, height) as picture:
        names = [picture.word(name, 14) for name in told["classes"]]
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        shown = ConfusionMatrixDisplay(shares, display_labels=names).plot(
            ax=picture.axes,
            cmap=_SHADES,
            colorbar=False,
            include_values=few,
            im_kw={"vmin": 0.0, "vmax": 1.0},
            text_kw={"color": INK},
        )
        if few:
            # Shaded by the share of the true class, since classes differ in size; labelled with rows.
            for text, count in zip(shown.text_.flat, counts.flat, strict=True):
                text.set(text=f"{count:,}" if count else "·", fontsize=9 if n <= _MOST_WIDE else 7)
        if n <= _MOST_WIDE:
            picture.axes.set_aspect("auto")
        upright = n * max(map(len, names)) <= _LETTERS_ACROSS
        picture.axes.tick_params(axis="both", length=0)
        for label in picture.axes.get_xticklabels():
            label.set(rotation=0 if upright else 45, ha="center" if upright else "right", rotation_mode="anchor")
        picture.axes.set(xlabel="predicted", ylabel="actual")
        for spine in picture.axes.spines.values():
            spine.set(visible=True, color=LINE)
        return picture.svg(f"Confusion matrix of {n} classes: rows are the actual class, columns the predicted one")


def _roc(told: list[Mapping[str, Any]]) -> str:
    from sklearn.metrics import RocCurveDisplay

    with drawing(_WIDTH, _HEIGHT) as picture:
        picture.axes.plot([0, 1], [0, 1], color=MUTED, linestyle=":", linewidth=1, label="chance")
        for colour, curve in zip(SERIES, told, strict=False):
            rates = curve["roc"]
            RocCurveDisplay(
                fpr=np.array(rates["false_positive_rate"]),
                tpr=np.array(rates["true_positive_rate"]),
                roc_auc=curve["roc_auc"],
                name=picture.word(curve["class"]),
            ).plot(ax=picture.axes, curve_kwargs={"color": colour})
        _finish(picture, "false positive rate", "true positive rate", place="lower right")
        areas = ", ".join(f"{curve['class']} {curve['roc_auc']:.3f}" for curve in told)
        return picture.svg(f"ROC curve; area under it: {areas}")


def _precision_recall(told: list[Mapping[str, Any]]) -> str:
    from sklearn.metrics import PrecisionRecallDisplay

    with drawing(_WIDTH, _HEIGHT) as picture:
        for colour, curve in zip(SERIES, told, strict=False):
            points = curve["precision_recall"]
            PrecisionRecallDisplay(
                precision=np.array(points["precision"]),
                recall=np.array(points["recall"]),
                average_precision=curve["average_precision"],
                name=picture.word(curve["class"]),
            ).plot(ax=picture.axes, curve_kwargs={"color": colour})
        _finish(picture, "recall", "precision", place="lower left")
        areas = ", ".join(f"{curve['class']} {curve['average_precision']:.3f}" for curve in told)
        return picture.svg(f"Precision over recall; average precision: {areas}")


def _calibration(told: list[Mapping[str, Any]]) -> str:
    from sklearn.calibration import CalibrationDisplay

    with drawing(_WIDTH, _HEIGHT) as picture:
        picture.axes.plot([0, 1], [0, 1], color=MUTED, linestyle=":", linewidth=1, label="perfect")
        for colour, curve in zip(SERIES, told, strict=False):
            if "calibration" not in curve:
                continue
            points = curve["calibration"]
            CalibrationDisplay(np.array(points["observed"]), np.array(points["predicted"]), None).plot(
                ax=picture.axes,
                name=picture.word(curve["class"]),
                ref_line=False,
                color=colour,
                marker="o",
                markersize=3.5,
            )
        _finish(picture, "mean predicted probability", "share that was so", place="upper left")
        picture.axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        return picture.svg("Calibration: how often what was predicted with a probability came true")


def _prediction_error(told: Mapping[str, Any], kind: str) -> str:
    from sklearn.metrics import PredictionErrorDisplay

    with drawing(_WIDTH, _HEIGHT) as picture:
        axes = picture.axes
        PredictionErrorDisplay(y_true=np.array(told["actual"]), y_pred=np.array(told["predicted"])).plot(
            ax=axes,
            kind=kind,
            scatter_kwargs={"color": SERIES[0], "alpha": 0.45, "s": 9, "linewidths": 0},
            line_kwargs={"color": MUTED, "linestyle": ":", "linewidth": 1, "alpha": 1},
        )
        axes.set_aspect("auto")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(4))
        vertical = "actual" if kind == "actual_vs_predicted" else "actual minus predicted"
        _label(axes, "predicted", vertical)
        return picture.svg(f"{vertical} over predicted values of {len(told['actual'])} held-out rows")


def _histogram(told: Mapping[str, Any]) -> str:
    with drawing(_WIDTH, 2.3) as picture:
        edges = np.array(told["edges"])
        picture.axes.bar(edges[:-1], told["rows"], np.diff(edges), align="edge", color=SERIES[0], alpha=0.75)
        picture.axes.axvline(0, color=MUTED, linestyle=":", linewidth=1)
        picture.axes.xaxis.set_major_locator(MaxNLocator(5))
        _label(picture.axes, "actual minus predicted", "rows")
        return picture.svg("How many held-out rows have which residual")


def _learning(told: Mapping[str, Any]) -> str:
    with drawing(_WIDTH, 2.6) as picture:
        for colour, line in zip(SERIES, told["lines"], strict=False):
            marker = "o" if len(line["steps"]) <= 20 else None  # noqa: PLR2004  # few enough to see each
            picture.axes.plot(
                line["steps"], line["values"], color=colour, label=line["name"], marker=marker, markersize=3
            )
        picture.axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        _finish(picture, told["step"], told["measure"])
        ends = ", ".join(f"{line['name']} {line['values'][-1]:.4g}" for line in told["lines"])
        return picture.svg(f"{told['measure']} after each {told['step']}; at the end: {ends}")


def _images(rows: list[Mapping[str, Any]]) -> str:
    """Draw the images that were mistaken, each with what it was and what it was taken for."""
    columns = min(5, len(rows))
    lines = math.ceil(len(rows) / columns)
    with drawing(_WIDTH, 1.1 * lines) as picture:
        picture.axes.remove()
        for number, row in enumerate(rows, start=1):
            axes = picture.figure.add_subplot(lines, columns, number)
            axes.imshow(np.array(row["image"], dtype=float), cmap=_GREY, interpolation="nearest")
            axes.set_axis_off()
            actual, predicted = picture.word(row["actual"], 6), picture.word(row["predicted"], 6)
            axes.set_title(f"{actual} → {predicted}", fontsize=8, pad=3)
        return picture.svg("Images that were taken for another class: what each is, and what it was taken for")


def _search(told: Mapping[str, Any]) -> str:
    """Draw the finalists: how good over how slow, and the larger the spot, the larger the model."""
    finalists = _measured(told)
    largest = max((each.get("size_mb") or 0.0 for each in finalists), default=0.0) or 1.0
    with drawing(_WIDTH, _HEIGHT) as picture:
        axes = picture.axes
        axes.set_xscale("log")
        front = sorted((each["latency_one_ms"], each["score"]) for each in finalists if each.get("on_frontier"))
        if front:
            axes.plot(*zip(*front, strict=True), color=MUTED, linewidth=1, linestyle="--", zorder=1)
        spots: list[Spot] = []
        bars: list[list[tuple[float, float]]] = []
        # Those that matter most are named first, while there is room.
        for each in sorted(finalists, key=lambda each: (not each.get("chosen"), not each.get("on_frontier"))):
            colour = GOOD if each.get("chosen") else BAD if each.get("refused") else SERIES[0]
            x, y, spread = each["latency_one_ms"], each["score"], each.get("spread") or 0.0
            area = _SMALLEST_SPOT + _LARGEST_SPOT * (each.get("size_mb") or 0.0) / largest
            axes.errorbar(x, y, yerr=spread, color=colour, linewidth=0.8, zorder=2)
            axes.scatter(x, y, s=area, color=colour, alpha=0.6, linewidths=0, zorder=3)
            spots.append(Spot(x, y, area, picture.word(each["family"], 16)))
            bars.append([(x, y - spread), (x, y + spread)])
        limit = told.get("limits", {}).get("max_latency_ms")
        if limit:
            axes.axvline(limit, color=BAD, linewidth=1, linestyle=":")
        # Room for names at the sides.
        axes.margins(0.22, 0.16)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(lambda value, _: "")
        _finish(picture, "milliseconds for one row", picture.word(told["objective"]))
        low, high = axes.get_ylim()
        lines = [*bars, front, [(limit, low), (limit, high)] if limit else []]
        place_names(axes, spots, [line for line in lines if line])
        return picture.svg("The finalists: score over latency, the spots as large as the models")


def _measured(told: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the finalists of which it is known how good and how slow they are."""
    return [each for each in told["finalists"] if each.get("latency_one_ms") and each.get("score") is not None]


def _finish(picture: Drawing, across: str, up: str, *, place: Place = "best") -> None:
    """Name the axes, and have one legend: inside where it is short, else below, where it hides nothing."""
    axes = picture.axes
    _label(axes, across, up)
    # As wide as the page lets it be; scikit-learn makes squares of some.
    axes.set_aspect("auto")
    legend = axes.get_legend()
    if legend is not None:
        legend.remove()
    labels = axes.get_legend_handles_labels()[1]
    if len(labels) > _MOST_INSIDE:
        columns = 2 if max(map(len, labels)) <= _LETTERS_OF_A_COLUMN else 1
        picture.figure.set_figheight(_HEIGHT + 0.18 * math.ceil(len(labels) / columns))
        picture.figure.legend(loc="outside lower center", ncols=columns)
    elif labels:
        axes.legend(loc=place)


def _label(axes: Axes, across: str, up: str) -> None:
    axes.set(xlabel=across, ylabel=up)
    axes.grid(visible=True)
