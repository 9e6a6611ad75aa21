"""A detection or segmentation report as a plot."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.metrics.detection import AveragePrecision
from evaluation.report import DetectionReport


def draw(report: DetectionReport, figure: Figure) -> None:
    """Precision over recall at an IoU of 0.5, a line for each class; of the masks beside it."""
    scores = report.scores
    drawn = [("boxes", scores.boxes)]
    if scores.masks is not None:
        drawn.append(("masks", scores.masks))
    figure.set_size_inches(6 * len(drawn), 5.5)
    for axes, (name, precision) in zip(
        figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True
    ):
        _curves(name, precision, axes)
    if scores.precision is not None and scores.recall is not None:
        label = f"all classes, scores from {report.threshold:g} on"
        axes = figure.axes[0]
        axes.plot(scores.recall, scores.precision, "ko", label=label)
        axes.legend(loc="lower left")


def _curves(name: str, precision: AveragePrecision, axes: Axes) -> None:
    mean = "not defined" if precision.at_50 is None else f"{precision.at_50:.3f}"
    axes.set(
        title=f"{name.capitalize()} at IoU 0.5 (mAP {mean})",
        xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02),
    )  # fmt: skip
    for label, each in precision.classes.items():
        if each.at_50 is not None:
            recalls = np.linspace(0, 1, len(each.curve))
            axes.plot(recalls, each.curve, label=f"{label}, AP {each.at_50:.3f}")
    if axes.lines:
        axes.legend(loc="lower left")
