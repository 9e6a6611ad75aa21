"""Prints reports as tables in the terminal."""

from rich.console import Group

from evaluation.report import ClassificationReport, Report
from evaluation.tables import classification, detection


def render(report: Report) -> Group:
    """A report as tables."""
    if isinstance(report, ClassificationReport):
        return classification.render(report)
    return detection.render(report)
