"""The plots of a report, each drawn from the document alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import MaxNLocator

from app.training.report.svg import BAD, GOOD, INK, LINE, MUTED, SERIES, Drawing, drawing

_WIDTH, _HEIGHT = 4.6, 3.6
_MOST_WITH_NUMBERS = 12
_BLUE = (0.23, 0.51, 0.96)
# From nothing to blue, so that the page's own background shows through, light or dark.
_SHADES = LinearSegmentedColormap.from_list("shades", [(*_BLUE, 0.0), (*_BLUE, 0.6)])
_GREY = LinearSegmentedColormap.from_list("pixels", [(1, 1, 1, 1), (0, 0, 0, 1)])
_LARGEST_SPOT = 260.0


def draw(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the SVG of each plot that the document has numbers for, by name."""
    plots: dict[str, str] = {}
    if told := document.get("confusion"):
        plots["confusion"] = _confusion(told)
    if told := document.get("curves"):
        plots |= {"roc": _roc(told), "precision_recall": _precision_recall(told)}
        if any("calibration" in curve for curve in told):
            plots["calibration"] = _calibration(told)
    if told := document.get("regression"):
        plots |= {
            "predicted": _prediction_error(told, "actual_vs_predicted"),
            "residuals": _prediction_error(told, "residual_vs_predicted"),
            "histogram": _histogram(told["histogram"]),
        }
    if told := document.get("learning"):
        plots["learning"] = _learning(told)
    if any("image" in row for row in document.get("mistakes", {}).get("rows", ())):
        plots["images"] = _images([row for row in document["mistakes"]["rows"] if "image" in row])
    if told := document.get("search"):
        plots["search"] = _search(told)
    return plots


def _confusion(told: Mapping[str, Any]) -> str:
    from sklearn.metrics import ConfusionMatrixDisplay

    counts = np.asarray(told["counts"])
    n = len(counts)
    side = min(6.4, 3.2 + 0.22 * n)
    with drawing(side, side) as picture:
        names = [picture.word(name, 14) for name in told["classes"]]
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        few = n <= _MOST_WITH_NUMBERS
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
                text.set(text=f"{count:,}" if count else "·", fontsize=9 if n <= 6 else 7)  # noqa: PLR2004  # few
        upright = n <= 3  # noqa: PLR2004  # wide enough for words
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
        _finish(picture, "false positive rate", "true positive rate", columns=_columns(told))
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
        _finish(picture, "recall", "precision", columns=_columns(told))
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
        _finish(picture, "mean predicted probability", "share that was so", columns=_columns(told))
        picture.axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
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
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5))
        vertical = "actual" if kind == "actual_vs_predicted" else "actual − predicted"
        _label(axes, "predicted", vertical)
        return picture.svg(f"{vertical} over predicted values of {len(told['actual'])} held-out rows")


def _histogram(told: Mapping[str, Any]) -> str:
    with drawing(_WIDTH, 2.4) as picture:
        edges = np.array(told["edges"])
        picture.axes.bar(edges[:-1], told["rows"], np.diff(edges), align="edge", color=SERIES[0], alpha=0.75)
        picture.axes.axvline(0, color=MUTED, linestyle=":", linewidth=1)
        picture.axes.xaxis.set_major_locator(MaxNLocator(6))
        _label(picture.axes, "actual − predicted", "rows")
        return picture.svg("How many held-out rows have which residual")


def _learning(told: Mapping[str, Any]) -> str:
    with drawing(_WIDTH, 2.8) as picture:
        for colour, line in zip(SERIES, told["lines"], strict=False):
            marker = "o" if len(line["steps"]) <= 20 else None  # noqa: PLR2004  # few enough to see each
            picture.axes.plot(
                line["steps"], line["values"], color=colour, label=line["name"], marker=marker, markersize=3
            )
        picture.axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        _finish(picture, told["step"], told["measure"], columns=2)
        ends = ", ".join(f"{line['name']} {line['values'][-1]:.4g}" for line in told["lines"])
        return picture.svg(f"{told['measure']} after each {told['step']}; at the end: {ends}")


def _images(rows: list[Mapping[str, Any]]) -> str:
    """Draw the images that were mistaken, each with what it was and what it was taken for."""
    columns = min(5, len(rows))
    lines = math.ceil(len(rows) / columns)
    with drawing(_WIDTH, 1.25 * lines) as picture:
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
    finalists = [each for each in told["finalists"] if each.get("latency_one_ms") and each.get("score") is not None]
    sizes = [each.get("size_mb") or 0.0 for each in finalists]
    largest = max(sizes, default=0.0) or 1.0
    with drawing(_WIDTH, _HEIGHT) as picture:
        axes = picture.axes
        axes.set_xscale("log")
        front = sorted((each["latency_one_ms"], each["score"]) for each in finalists if each.get("on_frontier"))
        if front:
            axes.plot(*zip(*front, strict=True), color=MUTED, linewidth=1, linestyle="--", label="frontier", zorder=1)
        for each, size in zip(finalists, sizes, strict=True):
            colour = GOOD if each.get("chosen") else BAD if each.get("refused") else SERIES[0]
            at = each["latency_one_ms"], each["score"]
            axes.errorbar(*at, yerr=each.get("spread") or 0, color=colour, linewidth=0.8, zorder=2)
            axes.scatter(*at, s=20 + _LARGEST_SPOT * size / largest, color=colour, alpha=0.6, linewidths=0, zorder=3)
            axes.annotate(
                picture.word(each["family"], 16), at, xytext=(7, 5), textcoords="offset points", fontsize=7.5, zorder=4
            )
        limit = told.get("limits", {}).get("max_latency_ms")
        if limit:
            axes.axvline(limit, color=BAD, linewidth=1, linestyle=":", label="limit")
        axes.margins(0.16)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(lambda value, _: "")
        _finish(picture, "milliseconds for one row", picture.word(told["objective"]), columns=2)
        return picture.svg("The finalists: score over latency, the spots as large as the models")


def _finish(picture: Drawing, across: str, up: str, *, columns: int) -> None:
    """Name the axes, and have one legend, below."""
    _label(picture.axes, across, up)
    legend = picture.axes.get_legend()
    if legend is not None:
        legend.remove()
    if picture.axes.get_legend_handles_labels()[0]:
        picture.legend_below(columns)


def _label(axes: Axes, across: str, up: str) -> None:
    axes.set(xlabel=across, ylabel=up)
    axes.grid(visible=True)


def _columns(told: list[Mapping[str, Any]]) -> int:
    return 1 if len(told) == 1 else 2
