"""A detection or segmentation report as tables."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from evaluation.metrics.detection import AveragePrecision
from evaluation.report import DetectionReport
from evaluation.tables.layout import head, number, table


def render(report: DetectionReport) -> Group:
    """The main figures; the report has all of them."""
    scores = report.scores
    asked = f"Asked for scores from {scores.asked_from:g}, the lowest that the pipeline allows."
    parts: list[RenderableType] = [
        *head(report), Text(asked), "", _scores(report), "", _classes("boxes", scores.boxes),
    ]  # fmt: skip
    if scores.masks is not None:
        parts += ["", _classes("masks", scores.masks)]
    return Group(*parts)


def _scores(report: DetectionReport) -> Table:
    scores = report.scores
    rows = table("metric", "value", "counts")
    for name, precision in (("boxes", scores.boxes), ("masks", scores.masks)):
        if precision is not None:
            rows.add_row(f"mAP@0.5 of {name}", number(precision.at_50))
            rows.add_row(f"mAP@[.5:.95] of {name}", number(precision.at_50_95))
    found, objects = scores.hits + scores.false_alarms, scores.hits + scores.missed
    at = f"from {report.threshold:g} on"
    rows.add_row(f"precision {at}", number(scores.precision), f"{scores.hits} of {found} found")
    rows.add_row(f"recall {at}", number(scores.recall), f"{scores.hits} of {objects} objects")
    rows.add_row(f"F1 {at}", number(scores.f1))
    if scores.masks is not None:
        rows.add_row("mean IoU of their masks", number(scores.mask_iou), f"{scores.hits} pairs")
    return rows


def _classes(of: str, precision: AveragePrecision) -> Table:
    rows = table(f"class ({of})", "objects", "AP@0.5", "AP@[.5:.95]")
    for name, each in precision.classes.items():
        rows.add_row(name, str(each.objects), number(each.at_50), number(each.at_50_95))
    return rows
