"""Writes docs/performance.md from all stored runs, as tables and plots."""

from pathlib import Path

from lab.bench import plot, tables
from lab.bench.raw import Raw
from lab.bench.scenarios import plot as curves
from lab.bench.scenarios import tables as scenario_tables
from lab.bench.scenarios.raw import Raw as ScenariosRaw
from pipelines import atomic_write
from pipelines.enums import Decoding

_SCENARIOS = "scenarios"
_HEAD = """\
# Performance: how near the machine's limit, and how others fare

<!-- Written by `python -m lab.bench`: run that again instead of editing. -->

`make bench` measures all this in one run, side by side: every contender gets the same JPEG photos \
over its own protocol on one machine and answers with class probabilities, from the \
same ONNX files. Before anything is timed, all answers are compared: they agree within 0.001.

- **limit**: decode and models in bare Python processes with ONNX Runtime, photos in memory, at \
the best batch; one process with all threads and one process a core were both tried, and the \
better one counts. No server can be faster with this runtime; contenders named OpenVINO compile \
the same files with another one, in FP32 too.
- **images/s**: a closed loop; each caller asks again when it is answered. **of the limit**: \
divided by the limit's rate, measured just before and just after, as machines drift.
- **CPU ms an image**: user and system time of the contender's whole process tree; the load \
generator's own is left out. **x limit**: a multiple of the limit's, just before and after.
- **spread**: largest less smallest figure of a round, divided by the median; the largest of all \
concurrencies. All figures are medians over the rounds. Machines drift, so ratios say more than \
images a second.
- **memory**: PSS of the process tree after the loads, the most of all rounds. The memory of \
Triton and the gateway holds the models of both workloads. **cold start**: from the start of the \
process to the first right answer.
- The generator shares the cores with the contender: its own CPU time an image is in the tables.
"""


def write(measured: Raw, output: Path) -> list[Path]:
    """Keeps the raw data beside the page, draws them, and writes the page of all that is kept.

    Returns:
        What was written.
    """
    folder = output.with_suffix("")
    kept = folder / f"{measured.decoding}.json"
    measured.write(kept)
    picture = plot.draw(measured, folder / f"{measured.decoding}.png")
    return [_write_page(output), kept, picture]


def write_scenarios(measured: ScenariosRaw, output: Path) -> list[Path]:
    """As `write`, of a run of the scenarios."""
    folder = output.with_suffix("")
    kept = folder / f"{_SCENARIOS}.json"
    measured.write(kept)
    drawn = (
        curves.draw(measured, name, folder / f"{_SCENARIOS}-{name}.png")
        for name in measured.setup.workloads
    )
    return [_write_page(output), kept, *(path for path in drawn if path is not None)]


def _write_page(output: Path) -> Path:
    folder = output.with_suffix("")
    runs = [
        Raw.read(path)
        for decoding in Decoding
        if (path := folder / f"{decoding.value}.json").is_file()
    ]
    kept = folder / f"{_SCENARIOS}.json"
    scenarios = ScenariosRaw.read(kept) if kept.is_file() else None
    atomic_write.write_text(output, page(runs, folder.name, scenarios))
    return output


def page(runs: list[Raw], folder: str, scenarios: ScenariosRaw | None = None) -> str:
    """The whole page, as Markdown.

    Args:
        runs: one for each standard of decoding.
        folder: of the plots, as seen from the page.
        scenarios: a run of the scenarios, where there is one.
    """
    parts = [_HEAD, *(tables.of_run(run, f"{folder}/{run.decoding}.png") for run in runs)]
    if scenarios is not None:
        parts.append(scenario_tables.of_run(scenarios, f"{folder}/{_SCENARIOS}"))
    return "\n".join(parts)
