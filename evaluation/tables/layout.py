"""The title, warnings and cell formats that the tables of all tasks share."""

from rich.console import RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from evaluation.metrics.intervals import Share
from evaluation.report import Report

UNDEFINED = "not defined"
DEMO_NOTE = (
    "DEMO WEIGHTS: these answers come from models trained on drawings. "
    "The figures show how an evaluation works and say nothing about a patient."
)


def table(*header: str, title: str | None = None) -> Table:
    """An empty table; all columns but the first hold figures."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for place, name in enumerate(header):
        made.add_column(Text(name), justify="right" if place else "left", no_wrap=bool(place))
    return made


def number(value: Share | float | None) -> str:
    """The value with three digits, or `not defined`."""
    if isinstance(value, Share):
        value = value.value
    return UNDEFINED if value is None else f"{value:.3f}"


def interval(share: Share | None) -> str:
    """The 95 % confidence interval and the counts of a share."""
    if share is None:
        return ""
    return f"{share.low:.3f} to {share.high:.3f} ({share.count} of {share.of})"


def head(report: Report) -> list[RenderableType]:
    """Title, counts and warnings above the tables."""
    members = ", ".join(
        f"{name} {(member.sha256 or 'unknown')[:12]}" for name, member in report.members.items()
    )
    decided = "" if report.threshold is None else f", threshold {report.threshold:g}"
    lines: list[RenderableType] = [
        Text(report.title, style="bold"),
        Text(f"{report.photos} photos{decided}; members: {members}"),
    ]
    if report.copies:
        lines.append(
            Text(f"{report.copies} photos are copies of others: they count twice", style="yellow")
        )
    return lines + demo_note(report.weights is not None)


def demo_note(demo: bool) -> list[RenderableType]:
    """The warning that belongs to demonstration weights."""
    return [Panel(DEMO_NOTE, style="bold yellow", expand=False)] if demo else []
