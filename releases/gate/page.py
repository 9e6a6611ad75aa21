"""The report of a gate as a page: both releases' figures, the margins, and plots."""

from evaluation.tables.layout import DEMO_NOTE
from pipelines.gate_verdict import Result
from releases import page
from releases.gate.checks import Check
from releases.gate.report import GateReport

_HEADER = ("figure", "current", "candidate", "difference", "95 % interval", "limit", "of", "result")
_COLOURS = {Result.FAIL: page.SECOND, Result.NOT_ENOUGH_EVIDENCE: "#8a6d00"}


def render(report: GateReport) -> str:
    """The page: HTML without scripts, which needs no other file."""
    canaries = report.canaries
    judged = [each for each in report.checks if not each.ratio and each.low is not None]
    return page.document(
        f"Gate of {report.pipeline} {report.candidate}: {report.result}",
        *([page.paragraph(DEMO_NOTE, banner=True)] if report.demo else []),
        page.paragraph(
            f"Candidate {report.candidate} beside the current release {report.current}, "
            f"{report.created:%Y-%m-%d %H:%M} UTC, on {canaries.photos} photos ({canaries.copies} "
            f"copies and {canaries.unanswered} photos without any answer left out). Canary set "
            f"{canaries.sha256[:12]}."
        ),
        page.items(report.reasons),
        page.table(_HEADER, map(_row, report.checks)),
        page.heading("Differences, candidate minus current"),
        page.intervals(
            "Differences with their intervals and limits", [_span(each) for each in judged], ""
        ),
        *_reliability(report),
        page.paragraph(
            "Dashed: how far a figure may go. Subgroups that are too small are shown and not "
            "judged. No medical device: figures are for research and for learning."
        ),
    )


def _row(check: Check) -> tuple[str | float | None, ...]:
    shown = check.difference
    between = "-" if check.low is None else f"{check.low:+.3f} to {check.high:+.3f}"
    return (
        check.title,
        check.current,
        check.candidate,
        shown,
        between,
        check.limit,
        f"{check.of} {check.unit}",
        str(check.result),
    )


def _span(check: Check) -> page.Span:
    return page.Span(
        check.title,
        check.difference or 0.0,
        check.low or 0.0,
        check.high or 0.0,
        check.limit,
        _COLOURS.get(check.result, page.FIRST),
    )


def _reliability(report: GateReport) -> list[str]:
    if not report.reliability:
        return []
    names = (f"current {report.current}", f"candidate {report.candidate}")
    lines = [
        (name, [(each.confidence, each.accuracy) for each in made.bins])
        for name, made in zip(names, report.reliability, strict=True)
    ]
    return [
        page.heading("Reliability"),
        page.curves("Reliability of both releases", lines, "confidence", "share of right answers"),
    ]
