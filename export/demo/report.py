"""`python -m export.demo.report`: trains for three seeds, measures, and writes docs/demo.md."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.markdown import Markdown

from export.demo import drawings, measuring, training, widening
from export.demo.progress import shown_on
from pipelines.load import load_spec
from pipelines.spec import PipelineSpec
from pipelines.wire import DEFAULT_PIPELINE

ROOT = Path(__file__).parent.parent.parent
COMMAND = "python -m export.demo.report"
SEEDS = (0, 1, 2)
_SECONDS = "seconds"
screen = Console(stderr=True)

_TEXT = """\
# Demo weights

<!-- Written by `{command}`: run that again instead of editing. -->

`python -m export --demo` trains the members of `{pipeline}` from nothing on {drawings} drawings, \
so that a newcomer sees answers that vary with the image. **They mean nothing clinically.** The \
weights call themselves `demo` in the manifest and in every answer.

## What the drawings are
Numbers turned into pixels (`export/demo/drawings.py`): uneven light, fine vessels and gloss that \
look vaguely like mucosa. A `{positive}` drawing has an irregular patch with a sharp edge and a \
rough surface; a `{negative}` one has a smooth patch with a soft edge. Every drawing has one more \
soft coloured patch that means nothing. Each drawing's mean and standard deviation per channel \
come from one distribution for both classes, so colour tells nothing.

About {hard_share:.0%} are hard on purpose: faint, small lesions, and rough patches on healthy \
mucosa. No photograph, no patient and no clinical knowledge went into them, and a model that \
tells them apart knows nothing of photographs.

## What was measured
{held_out} held-out drawings a seed; a seed stands for the drawings, the initial weights and the \
order of training. Accuracy at the default threshold; the ensemble is the weighted mean of the \
YAML. The range is from the lowest seed to the highest.

{table}

Times are of `--demo`'s training, drawing and quick check, with {threads} threads, on a machine \
that other work may have shared.

## How it is that quick
VGG16 is trained at a quarter of its width, with batch normalisation; that is folded into the \
convolutions, and the network is widened to its full size without changing what it computes \
(`export/demo/widening.py`; the largest difference allowed between the logits is {tolerance:.0e}). \
Training sees crops of half the side at the served scale; batch statistics are then taken anew \
from whole images.
"""


def main(
    output: Annotated[Path, typer.Option(help="The file to write.")] = ROOT / "docs" / "demo.md",
) -> None:
    """Trains demo weights for three seeds, measures them on held-out drawings, writes a report.

    Takes some minutes for each seed.
    """
    spec = load_spec(DEFAULT_PIPELINE)
    columns = [_column(spec, seed) for seed in SEEDS]
    negative, positive = spec.classes
    output.write_text(
        _TEXT.format(
            command=COMMAND,
            pipeline=spec.name,
            drawings=training.DRAWINGS,
            positive=positive,
            negative=negative,
            hard_share=drawings.HARD_SHARE,
            held_out=measuring.HELD_OUT,
            table=_table(columns),
            threads=torch.get_num_threads(),
            tolerance=widening.TOLERANCE,
        ),
        "utf-8",
    )
    screen.print(Markdown(_table(columns)))
    screen.print(f"wrote {output}", highlight=False, soft_wrap=True)


def _column(spec: PipelineSpec, seed: int) -> dict[str, float]:
    """Trains and measures one seed; row titles to figures."""
    screen.print(f"seed {seed}", style="bold", highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        with shown_on(screen) as on_progress:
            made = training.train(spec, Path(folder), seed, on_progress)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        with screen.status(f"measuring on {measuring.HELD_OUT} held-out drawings"):
            measured = measuring.measure(spec, made.files, seed)
    return {
        **{f"`{name}`": value for name, value in measured.members.items()},
        "ensemble": measured.ensemble,
        "ensemble, hard cases alone": measured.hard,
        "ensemble, all others": measured.ordinary,
        "six RGB statistics alone": measured.colour,
        "members opposed": measured.opposed,
        f"{_SECONDS}, wall": wall,
        f"{_SECONDS}, CPU": cpu,
    }


def _table(columns: list[dict[str, float]]) -> str:
    seeds = " | ".join(f"seed {seed}" for seed in SEEDS)
    lines = [f"| | {seeds} | mean | range |", "|---" * (len(SEEDS) + 3) + "|"]
    for title in columns[0]:
        values = [column[title] for column in columns]
        style = ".0f" if title.startswith(_SECONDS) else ".3f"
        figures = [format(value, style) for value in [*values, statistics.fmean(values)]]
        span = f"{min(values):{style}} to {max(values):{style}}"
        lines.append(f"| {title} | {' | '.join(figures)} | {span} |")
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
