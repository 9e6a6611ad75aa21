"""`python -m demo.report`: trains for some seeds, measures, and writes docs/demo.md."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.markdown import Markdown

from demo import drawings, histology, measuring, snakes, training, widening
from demo.progress import shown_on
from demo.report_text import TEXT
from pipelines import atomic_write
from pipelines.enums import Task
from pipelines.load import available, load_spec
from pipelines.spec import PipelineSpec

ROOT = Path(__file__).parent.parent
COMMAND = "python -m demo.report"
_SECONDS = "seconds"
screen = Console(stderr=True)


def main(
    output: Annotated[Path, typer.Option(help="The file to write.")] = ROOT / "docs" / "demo.md",
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, from 0 on.")] = 3,
) -> None:
    """Trains each pipeline's demo weights for some seeds, measures them and writes a report.

    Takes some minutes for each pipeline and seed.
    """
    tables = {}
    for name in available():
        spec = load_spec(name)
        tables[name] = _table([_column(spec, seed) for seed in range(seeds)])
        screen.print(Markdown(f"### {name}\n{tables[name]}"))
    atomic_write.write_text(
        output,
        TEXT.format(
            command=COMMAND,
            hard_mucosa=drawings.HARD_SHARE,
            hard_histology=histology.HARD_SHARE,
            hard_snakes=snakes.HARD_SHARE,
            held_out=measuring.HELD_OUT,
            tables="\n\n".join(f"### `{name}`\n\n{table}" for name, table in tables.items()),
            threads=torch.get_num_threads(),
            tolerance=widening.TOLERANCE,
        ),
    )
    screen.print(f"wrote {output}", highlight=False, soft_wrap=True)


def _column(spec: PipelineSpec, seed: int) -> dict[str, float]:
    """Trains and measures one seed; row titles to figures."""
    screen.print(f"{spec.name}, seed {seed}", style="bold", highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        with shown_on(screen) as on_progress:
            made = training.train(spec, Path(folder), seed, on_progress)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        figures = made.figures
        if spec.task is Task.CLASSIFICATION:
            with screen.status(f"measuring on {measuring.HELD_OUT} held-out drawings"):
                figures = measuring.measure(spec, made.files, seed)
    return {**figures, f"{_SECONDS}, wall": wall, f"{_SECONDS}, CPU": cpu}


def _table(columns: list[dict[str, float]]) -> str:
    seeds = " | ".join(f"seed {seed}" for seed in range(len(columns)))
    lines = [f"| | {seeds} | mean | range |", "|---" * (len(columns) + 3) + "|"]
    for title in columns[0]:
        values = [column[title] for column in columns]
        style = ".0f" if title.startswith(_SECONDS) else ".3f"
        figures = [format(value, style) for value in [*values, statistics.fmean(values)]]
        span = f"{min(values):{style}} to {max(values):{style}}"
        lines.append(f"| {title} | {' | '.join(figures)} | {span} |")
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
