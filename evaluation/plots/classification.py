"""A classification report as a plot."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from evaluation.metrics.calibration import BINS
from evaluation.report import ClassificationReport, Sweep

_CELL = 0.45  # inches of the confusion matrix per class


def draw(report: ClassificationReport, figure: Figure) -> None:
    """ROC, calibration and sweep of a binary pipeline; else calibration and confusion."""
    if report.positive is None or report.sweep is None:
        side = max(5.0, _CELL * len(report.classes) + 2)
        figure.set_size_inches(5 + side, side)
        left, right = figure.subplots(1, 2, width_ratios=[5, side])
        _calibration(report, left)
        _confusion(report, right)
        return
    figure.set_size_inches(15, 5)
    left, middle, right = figure.subplots(1, 3)
    _roc(report, report.sweep, report.positive, left)
    _calibration(report, middle)
    _sweep(report.sweep, report.threshold, right)


def _roc(report: ClassificationReport, sweep: Sweep, positive: str, axes: Axes) -> None:
    axes.set(title="ROC", xlabel="1 - specificity", ylabel="sensitivity", aspect="equal")
    _diagonal(axes)
    if report.scores.roc_auc is None:
        axes.text(0.5, 0.4, "not defined: labels of one class", ha="center")
        return
    place = report.classes.index(positive)
    truth = [answer.label == positive for answer in report.answers]
    alarms, hits, _ = roc_curve(truth, [each.probabilities[place] for each in report.answers])
    axes.plot(alarms, hits, label=f"AUC {report.scores.roc_auc:.3f}")
    for point in sweep.points:
        if point.sensitivity is None or point.specificity is None:
            continue
        if point.threshold == sweep.default:
            label = f"the pipeline's threshold, {point.threshold:g}"
            axes.plot(1 - point.specificity, point.sensitivity, "o", label=label)
        if point == sweep.best:
            label = f"best by Youden, {point.threshold:g}"
            axes.plot(1 - point.specificity, point.sensitivity, "^", label=label)
    axes.legend(loc="lower right")


def _diagonal(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle=":")


def _calibration(report: ClassificationReport, axes: Axes) -> None:
    bins = report.scores.calibration
    error = report.scores.expected_calibration_error
    axes.set(
        title=f"Calibration (expected error {error:.3f})",
        xlabel="confidence of the predicted class", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02),
    )  # fmt: skip
    _diagonal(axes)
    total = sum(each.photos for each in bins)
    axes.bar(
        [each.low for each in bins],
        [each.photos / total for each in bins],
        width=1 / BINS,
        align="edge",
        color="lightgrey",
        label="share of photos",
    )
    axes.plot(
        [each.confidence for each in bins],
        [each.accuracy for each in bins],
        "o-",
        label="accuracy of a bin",
    )
    if (before := report.reliability_before) is not None:
        axes.plot(
            [each.confidence for each in before.bins],
            [each.accuracy for each in before.bins],
            ".--",
            color="grey",
            label=f"without calibration ({before.expected_calibration_error:.3f})",
        )
    axes.legend(loc="center left")


def _sweep(sweep: Sweep, decided: float | None, axes: Axes) -> None:
    axes.set(title="Thresholds", xlabel="threshold", ylim=(0, 1.02))
    at = [point.threshold for point in sweep.points]
    for name, label in (
        ("sensitivity", "sensitivity"),
        ("specificity", "specificity"),
        ("f1", "F1"),
        ("ppv", "PPV"),
        ("npv", "NPV"),
    ):
        values = [getattr(point, name) for point in sweep.points]
        axes.plot(at, [np.nan if value is None else value for value in values], label=label)
    axes.axvline(sweep.default, color="black", linewidth=1, label="the pipeline's")
    if decided is not None and decided != sweep.default:
        axes.axvline(decided, color="black", linestyle="--", linewidth=1, label="this run's")
    if sweep.best is not None:
        best = sweep.best.threshold
        axes.axvline(best, color="black", linestyle=":", linewidth=1, label="best by Youden")
    axes.legend(loc="lower center", ncols=2)


def _confusion(report: ClassificationReport, axes: Axes) -> None:
    counts = np.array(report.scores.confusion)
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(counts / totals, cmap="Blues", vmin=0, vmax=1)
    places = range(len(report.classes))
    axes.set_xticks(places, report.classes, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, report.classes)
    axes.set(title="Photos by class", xlabel="predicted", ylabel="true")
    for row in places:
        for column in places:
            share = counts[row, column] / totals[row, 0]
            axes.text(
                column, row, str(counts[row, column]), ha="center", va="center",
                color="white" if share > 0.5 else "black",  # noqa: PLR2004 - half
            )  # fmt: skip
