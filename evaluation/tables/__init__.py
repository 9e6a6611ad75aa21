"""What an evaluation prints on a terminal."""

from rich.console import Group

from evaluation.report import ClassificationReport, Report
from evaluation.tables import classification, detection


def shown(report: Report) -> Group:
    """A report as tables."""
    if isinstance(report, ClassificationReport):
        return classification.shown(report)
    return detection.shown(report)
