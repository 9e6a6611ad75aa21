"""What feedback says of a service's answers, as tables."""

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from evaluation.feedback_report import (
    ClassificationGroup,
    Coverage,
    DetectionGroup,
    FeedbackReport,
    Readings,
)
from evaluation.metrics.intervals import Share
from evaluation.metrics.verification import Corrected, Estimate
from evaluation.tables.layout import UNDEFINED, interval, number, table

_MOST_CLASSES = 12
_NOTHING_KNOWN = Corrected(None, None, None)


def render(report: FeedbackReport) -> Group:
    """The figures by release and by site, and which answers they are of."""
    labelled = report.coverage.labelled
    alone = f"; {report.members_alone} of one member alone left out" if report.members_alone else ""
    parts: list[RenderableType] = [
        Text(f"{report.pipeline}, by its feedback", style="bold"),
        Text(f"{report.answers} answers, {labelled.count} with a label{alone}"),
    ]
    for title, groups in (("release", report.releases), ("site", report.sites)):
        parts += ["", _groups(title, groups)]
    for group in report.releases:
        if isinstance(group, ClassificationGroup) and report.positive is None:
            parts += ["", _recalls(group)]
    parts += ["", _coverage(report.coverage)]
    if report.readings is not None:
        parts += ["", _readings(report.readings)]
    return Group(*parts)


def _groups(title: str, groups: list[ClassificationGroup | DetectionGroup]) -> Table:
    rows = table(title, "metric", "labelled answers", "95 % interval", "all answers, estimated")
    for group in groups:
        name = group.name or "(no key)"
        for metric, share, estimate in _metrics(group):
            rows.add_row(name, metric, number(share), interval(share), _span(estimate))
            name = ""
    return rows


def _metrics(
    group: ClassificationGroup | DetectionGroup,
) -> list[tuple[str, Share | None, Estimate | None]]:
    if isinstance(group, DetectionGroup):
        return [("precision", group.precision, None), ("recall", group.recall, None)]
    estimates = group.corrected or _NOTHING_KNOWN
    found = [("accuracy", group.accuracy, estimates.accuracy)]
    if group.sensitivity is not None or group.specificity is not None:
        found += [
            ("sensitivity", group.sensitivity, estimates.sensitivity),
            ("specificity", group.specificity, estimates.specificity),
        ]
    return found


def _span(estimate: Estimate | None) -> str:
    if estimate is None:
        return UNDEFINED
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _recalls(group: ClassificationGroup) -> Table:
    rows = table(f"class ({group.name})", "recall", "95 % interval")
    for name, share in list(group.recall.items())[:_MOST_CLASSES]:
        rows.add_row(name, number(share), interval(share))
    return rows


def _coverage(coverage: Coverage) -> Table:
    rows = table("answers with a label", "share", "95 % interval")
    rows.add_row("all", number(coverage.labelled), interval(coverage.labelled))
    _add(rows, "uncertainty", coverage.levels)
    _add(rows, "answer", coverage.predictions)
    with_label, without = map(number, coverage.confidence)
    rows.add_row(f"mean confidence: {with_label} with a label, {without} without")
    return rows


def _add(rows: Table, of: str, shares: Mapping[str, Share]) -> None:
    for name, share in list(shares.items())[:_MOST_CLASSES]:
        rows.add_row(f"{of}: {name}", number(share), interval(share))


def _readings(readings: Readings) -> Table:
    rows = table(f"{readings.cases} read before the models' answer was shown", "reader", "models")
    rows.add_row("right", str(readings.both + readings.reader_alone),
                 str(readings.both + readings.models_alone))  # fmt: skip
    rows.add_row("right, and the other wrong", str(readings.reader_alone),
                 str(readings.models_alone))  # fmt: skip
    rows.add_row("wrong, as the other", str(readings.neither), str(readings.neither))
    return rows
