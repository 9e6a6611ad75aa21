"""Prints reports as tables in the terminal."""

from rich.console import Group
from rich.table import Table

from evaluation.metrics.typicality import TypicalityScores
from evaluation.report import ClassificationReport, Report
from evaluation.tables import classification, detection
from evaluation.tables.layout import interval, number, table


def render(report: Report) -> Group:
    """A report as tables."""
    if isinstance(report, ClassificationReport):
        tables = classification.render(report)
    else:
        tables = detection.render(report)
    if report.typicality is None:
        return tables
    return Group(tables, "", _typicality(report.typicality))


def _typicality(scores: TypicalityScores) -> Table:
    rows = table("typicality", "value", "95 % interval")
    rows.add_row(
        "false alarms: photos called atypical",
        number(scores.false_alarms),
        interval(scores.false_alarms),
    )
    if scores.others_flagged is not None:
        rows.add_row(
            "other images called atypical",
            number(scores.others_flagged),
            interval(scores.others_flagged),
        )
        rows.add_row("ROC-AUC of photos against other images", number(scores.roc_auc))
    if scores.not_judged:
        rows.add_row("not judged", str(scores.not_judged))
    return rows
