"""Plots an overload run over time."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lab.overload.experiment import Record
from loadtest.study import End
from pipelines import atomic_write

_BIN_SECONDS = 4.0


def plot(record: Record, file: Path) -> None:
    """Draws goodput and refusals, latency, and memory, above each other, into a PNG."""
    figure = Figure(figsize=(9, 8), layout="constrained")
    rates, latency, memory = figure.subplots(3, 1, sharex=True)
    end = max([record.stopped, *(call.ended for call in [*record.calls, *record.recovery])])
    edges = np.arange(0, end - record.started + _BIN_SECONDS, _BIN_SECONDS)
    middles = (edges[:-1] + edges[1:]) / 2
    for kind, label in ((End.ANSWERED, "answered"), (End.REPORTED, "refused (429)")):
        counts, _ = np.histogram(_ends(record, kind), edges)
        rates.plot(middles, counts / _BIN_SECONDS, label=label)
    rates.axhline(record.peak, linestyle="--", color="grey", label="peak goodput")
    rates.set_ylabel("1/s")
    rates.legend(loc="best")
    for kind, label in ((End.ANSWERED, "answers"), (End.REPORTED, "refusals")):
        calls = [call for call in record.calls if call.end is kind]
        moments = [call.ended - record.started for call in calls]
        latency.plot(moments, [call.seconds for call in calls], ".", markersize=3, label=label)
    after = record.recovery
    latency.plot(
        [call.ended - record.started for call in after],
        [call.seconds for call in after],
        "x",
        label="one at a time, after",
    )
    latency.set_yscale("log")
    latency.set_ylabel("seconds since intended")
    latency.legend(loc="best")
    for part in sorted({part for sample in record.samples for part in sample.mib}):
        memory.plot(
            [sample.at - record.started for sample in record.samples],
            [sample.mib.get(part, 0.0) for sample in record.samples],
            label=part,
        )
    memory.set_ylabel("PSS, MiB")
    memory.set_ylim(bottom=0)
    if record.samples:
        memory.legend(loc="best")
    memory.set_xlabel("seconds since the overload began")
    for axes in (rates, latency, memory):
        axes.axvline(record.stopped - record.started, color="grey", linewidth=0.8)
    with atomic_write.replacing(file) as beside:
        figure.savefig(beside, dpi=110, format="png")


def _ends(record: Record, kind: End) -> NDArray[np.float64]:
    return np.array([call.ended - record.started for call in record.calls if call.end is kind])
