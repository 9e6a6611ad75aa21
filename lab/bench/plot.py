"""Plots a run: images per second of each contender, and the limit."""

from pathlib import Path

from matplotlib.figure import Figure

from lab.bench import figures
from lab.bench.raw import Raw
from lab.bench.workload import WORKLOADS
from pipelines import atomic_write

_WIDTH, _ROW = 9.0, 0.28


def draw(raw: Raw, path: Path) -> Path:
    """One panel for each workload, a bar for each concurrency; the dashed line is the limit."""
    tables = {name: figures.rows(raw, name) for name in raw.workloads}
    bars = [max(1, len(rows)) * len(raw.concurrency) for rows in tables.values()]
    figure = Figure(figsize=(_WIDTH, 1.2 * len(tables) + _ROW * sum(bars)), layout="constrained")
    panels = figure.subplots(len(tables), 1, squeeze=False, height_ratios=bars)[:, 0]
    for panel, (name, rows) in zip(panels, tables.items(), strict=True):
        height = 0.8 / len(raw.concurrency)
        for index, level in enumerate(raw.concurrency):
            places = [row + index * height for row in range(len(rows))]
            rates = [row.loads[level].rate if level in row.loads else 0.0 for row in rows]
            drawn = panel.barh(places, rates, height, label=f"{level} callers")
            panel.bar_label(drawn, fmt="%.1f", fontsize=7, padding=2)
        against = WORKLOADS[name].against
        measure = against if against in raw.workloads else name
        panel.axvline(figures.limit_row(raw, measure).rate, color="black", linestyle="--")
        panel.set_yticks(
            [row + 0.4 - height / 2 for row in range(len(rows))],
            [f"{row.title}, {row.protocol}" for row in rows],
            fontsize=8,
        )
        panel.invert_yaxis()
        panel.set_xlabel(f"images/s, {name} (dashed: the limit of {measure})", fontsize=8)
    panels[0].legend(fontsize=7)
    with atomic_write.replacing(path) as beside:
        figure.savefig(beside, dpi=120, format="png")
    return path
