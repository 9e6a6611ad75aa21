"""Plots the measured curves."""

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from lab.scale.raw import Curve, Point, Scale
from lab.scale.trial import MANY
from lab.service.service import DECISION, DECODE, GATEWAY, TRITON
from pipelines import atomic_write

_ROWS: tuple[tuple[Curve, int | None, str], ...] = (
    (Curve.CONCURRENCY, None, "callers at a time"),
    (Curve.BATCH, None, "photos of a batch"),
    (Curve.SIZE, 1, "megapixels, 1 caller"),
    (Curve.SIZE, MANY, f"megapixels, {MANY} callers"),
    (Curve.TOGETHER, None, "pipelines loaded and asked in turn"),
)
_STEPS = (GATEWAY, TRITON, DECODE, DECISION)
_WIDTH, _HEIGHT = 14.0, 2.6


def draw(scale: Scale, path: Path) -> Path:
    """One row for each curve: images a second, latency, CPU an image by process, memory."""
    figure = Figure(figsize=(_WIDTH, _HEIGHT * len(_ROWS)), layout="constrained")
    grid = figure.subplots(len(_ROWS), 4, squeeze=False)
    for row, (curve, callers, title) in zip(grid, _ROWS, strict=True):
        points = [point for point in scale.of(curve, callers=callers) if point.requests]
        if not points:
            continue
        _lines(row[0], points, "images/s", {"": lambda point: point.rate})
        _lines(
            row[1],
            points,
            "ms (a request)",
            {"p50": lambda point: point.p50_ms or 0, "p99": lambda point: point.p99_ms or 0},
        )
        _stacked(row[2], points)
        _lines(row[3], points, "memory, MiB (PSS)", {"": lambda point: point.memory})
        for panel in row:
            panel.set_xlabel(title, fontsize=8)
            panel.tick_params(labelsize=7)
            if curve is not Curve.TOGETHER:
                panel.set_xscale("log")
                panel.minorticks_off()
            panel.set_xticks([point.x for point in points], [f"{point.x:g}" for point in points])
        row[1].set_yscale("log")
        row[1].yaxis.set_major_formatter(ScalarFormatter())
        row[1].yaxis.set_minor_formatter(ScalarFormatter())
        row[1].tick_params(which="both", labelsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write.replacing(path) as beside:
        figure.savefig(beside, dpi=100, format="png")
    return path


def _lines(
    panel: Axes, points: Sequence[Point], name: str, lines: dict[str, Callable[[Point], float]]
) -> None:
    for label, value in lines.items():
        panel.plot([p.x for p in points], [value(p) for p in points], marker=".", label=label)
    panel.set_ylabel(name, fontsize=8)
    if len(lines) > 1:
        panel.legend(fontsize=6)
    else:
        panel.set_ylim(bottom=0)


def _stacked(panel: Axes, points: Sequence[Point]) -> None:
    """CPU milliseconds an image, by process."""
    rest = sorted({role for point in points for role in point.cpu_seconds} - set(_STEPS))
    roles = [*_STEPS, *rest]
    panel.stackplot(
        [point.x for point in points],
        [[point.cpu_ms(role) for point in points] for role in roles],
        labels=roles,
    )
    panel.set_ylabel("CPU ms an image", fontsize=8)
    panel.legend(fontsize=5, ncols=2)
