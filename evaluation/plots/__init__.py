"""Plots a report as one PNG."""

from pathlib import Path

from matplotlib.figure import Figure

from evaluation.plots import classification, detection
from evaluation.report import ClassificationReport, Report

_INCH = 100  # pixels


def draw(report: Report, file: Path) -> None:
    """Writes the report's plot: PNG, 100 pixels an inch."""
    # A Figure of its own and not pyplot: that keeps state and looks for a screen.
    figure = Figure(layout="constrained", dpi=_INCH)
    if isinstance(report, ClassificationReport):
        classification.draw(report, figure)
    else:
        detection.draw(report, figure)
    demo = "DEMO WEIGHTS: says nothing about a patient\n" if report.weights else ""
    figure.suptitle(f"{demo}{report.title}, {report.photos} photos")
    figure.savefig(file)
