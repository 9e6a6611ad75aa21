"""Plots latency against the rate of arrivals, a curve for each contender."""

from pathlib import Path

from matplotlib.figure import Figure

from lab.bench.scenarios import figures
from lab.bench.scenarios.raw import Raw
from pipelines import atomic_write

_UNANSWERED = 0.01
"""Share without an answer from which on a mark is hollow: the latency is of the lucky ones."""


def draw(raw: Raw, workload: str, path: Path) -> Path | None:
    """Median and 99th percentile, side by side, and the bound; None where no curve was measured."""
    rows = [row for row in figures.rows(raw, workload) if row.curve]
    if not rows:
        return None
    figure = Figure(figsize=(11, 5), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for number, row in enumerate(rows):
        peer = row.name in raw.peers
        for panel, latency in zip(
            panels,
            ([each.p50_ms for each in row.curve], [each.p99_ms for each in row.curve]),
            strict=True,
        ):
            colour = f"C{number % 10}"
            panel.plot(
                [each.rate for each in row.curve],
                latency,
                color=colour,
                linestyle="--" if peer else "-",
                linewidth=1.3,
                label=f"{row.title}, {row.protocol}",
            )
            for each, value in zip(row.curve, latency, strict=True):
                hollow = each.unanswered > _UNANSWERED
                panel.plot(
                    each.rate, value, "o", color=colour, fillstyle="none" if hollow else "full"
                )
    bound = [each.milliseconds for each in raw.bounds if each.workload == workload]
    for panel, name in zip(panels, ("median", "99th percentile"), strict=True):
        panel.set_title(f"{workload}: {name}", fontsize=9)
        panel.set_yscale("log")
        panel.set_xlabel("arrivals a second", fontsize=8)
        panel.grid(visible=True, which="major", linewidth=0.4)
        for level in bound:
            panel.axhline(level, color="grey", linestyle=":", linewidth=1)
    panels[0].set_ylabel("ms (dotted: the bound; hollow: over 1 % without an answer)", fontsize=8)
    panels[0].legend(fontsize=7)
    with atomic_write.replacing(path) as beside:
        figure.savefig(beside, dpi=120, format="png")
    return path
