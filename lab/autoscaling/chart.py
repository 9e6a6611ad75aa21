"""Draws a run: load, replicas, requests in flight, latency."""

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.autoscaling.record import Record
from pipelines import atomic_write

_WIDTH, _HEIGHT, _DPI = 11.0, 10.0, 100
_ANSWERED, _REFUSED, _FAILED, _ASKED = "tab:blue", "tab:orange", "tab:red", "tab:gray"


def draw(record: Record, path: Path) -> Path:
    """Writes a PNG, whole or not at all."""
    figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
    load, replicas, demand, latency = figure.subplots(4, 1, sharex=True)
    _load(load, record)
    _replicas(replicas, record)
    _demand(demand, record)
    _latency(latency, record)
    for panel in (load, replicas, demand, latency):
        for _, begin, _ in record.spans()[1:]:
            panel.axvline(begin, color="0.8", linewidth=0.8)
        for drain in record.drains:
            panel.axvline(drain.second, color="tab:green", linewidth=0.6, linestyle=":")
        panel.set_ylim(bottom=0)
        panel.set_xlim(left=0)
        panel.legend(fontsize=7, loc="upper right")
        panel.tick_params(labelsize=8)
    for step, begin, end in record.spans():
        where = ((begin + end) / 2, 1.01)
        load.annotate(step.name, where, xycoords=("data", "axes fraction"), ha="center", fontsize=8)
    latency.set_xlabel(
        f"seconds of the run, each for {record.factor} with the shipped windows; dotted: a replica "
        "begins to drain",
        fontsize=8,
    )
    with atomic_write.replacing(path) as beside:
        figure.savefig(beside, dpi=_DPI, format="png")
    return path


def _load(panel: Axes, record: Record) -> None:
    seconds = [moment.second for moment in record.moments]
    stacked = {
        "answered": (_ANSWERED, [moment.answered for moment in record.moments]),
        "refused (429)": (_REFUSED, [moment.refused for moment in record.moments]),
        "failed": (_FAILED, [moment.failed for moment in record.moments]),
    }
    panel.stackplot(
        seconds,
        [values for _, values in stacked.values()],
        labels=list(stacked),
        colors=[colour for colour, _ in stacked.values()],
    )
    panel.set_ylabel("requests/s, by arrival", fontsize=8)


def _replicas(panel: Axes, record: Record) -> None:
    seconds = [look.second for look in record.looks]
    wanted = [min(look.wanted or 0, record.maximum + 1) for look in record.looks]
    lines: Sequence[tuple[str, str, list[int]]] = (
        (f"metrics ask for (cut off at {record.maximum + 1})", _ASKED, wanted),
        ("replicas", _ANSWERED, [look.current for look in record.looks]),
        ("ready", "tab:green", [look.ready for look in record.looks]),
    )
    for label, colour, values in lines:
        width = 0.8 if colour == _ASKED else 1.8
        panel.step(seconds, values, where="post", label=label, color=colour, linewidth=width)
    panel.axhline(record.maximum, color="0.5", linewidth=0.8, linestyle="--", label="most here")
    panel.set_ylabel("replicas", fontsize=8)


def _demand(panel: Axes, record: Record) -> None:
    seconds = [look.second for look in record.looks]
    panel.plot(seconds, _known([look.in_flight for look in record.looks]), label="in flight")
    panel.plot(seconds, _known([look.demand for look in record.looks]), label="demand, as shipped")
    panel.axhline(record.cap, color="0.5", linewidth=0.8, linestyle="--", label="gateway's limit")
    panel.set_ylabel("requests", fontsize=8)


def _latency(panel: Axes, record: Record) -> None:
    seconds = [moment.second for moment in record.moments]
    panel.plot(seconds, _known([moment.median for moment in record.moments]), label="median")
    panel.plot(seconds, _known([moment.p95 for moment in record.moments]), label="95th percentile")
    panel.set_ylabel("seconds, of the answered", fontsize=8)


def _known(values: Sequence[float | None]) -> list[float]:
    """A gap in the line where there is no value."""
    return [math.nan if value is None else value for value in values]
