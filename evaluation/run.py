"""A run from a question to tables on the terminal and files in a folder."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.text import Text
from secondopinion import Pipeline

from evaluation import report
from evaluation.asking import Failed
from evaluation.comparing import compare
from evaluation.evaluating import OnProgress, evaluate
from evaluation.output import new_folder
from evaluation.plots import draw
from evaluation.question import Question, facts
from evaluation.tables import comparison, shown


def run(question: Question, out: Path | None, against: Sequence[Path], *, common: bool) -> int:
    """Asks, measures, writes and prints.

    Args:
        question: What to evaluate.
        out: The new folder; None names it after pipeline, release and member.
        against: Reports of earlier runs to compare with.
        common: See `comparing.compare`.

    Returns:
        How many photos are in none of the metrics.

    Raises:
        EvaluationError: Nothing was measured and nothing written; or the runs cannot be compared.
        SecondOpinionError: Nothing was measured and nothing written.
    """
    notes = Console(stderr=True, highlight=False)
    screen = Console(highlight=False)
    earlier = [report.read(file) for file in against]
    pipeline = facts(question)
    folder = out or Path(_name(question, pipeline))
    with new_folder(folder) as beside:
        with _progress(notes) as on_progress:
            evaluation = evaluate(question, pipeline, on_progress)
        written = evaluation.report.model_dump_json(indent=1)
        (beside / "report.json").write_text(written, encoding="utf-8")
        draw(evaluation.report, beside / "plot.png")
    screen.print(shown(evaluation.report))
    screen.print(f"\nwritten to {folder}", soft_wrap=True, markup=False)
    _name_failed(evaluation.failed, notes)
    for each in earlier:
        compared = compare(each, evaluation.report, common=common)
        screen.print("", comparison.shown(compared), sep="\n")
    return len(evaluation.failed)


def _name(question: Question, pipeline: Pipeline) -> str:
    parts = ["evaluation", pipeline.name, pipeline.release or "", question.member or ""]
    return re.sub(r"[^A-Za-z0-9._-]", "_", "-".join(filter(None, parts)))


def _name_failed(failed: Sequence[Failed], notes: Console) -> None:
    if not failed:
        return
    title = f"{len(failed)} PHOTOS FAILED AND ARE IN NONE OF THE FIGURES:"
    notes.print(Text(title, style="bold red"))
    for each in failed:
        notes.print(Text(f"  {each.file}: {each.reason}"), soft_wrap=True)


@contextmanager
def _progress(notes: Console) -> Iterator[OnProgress]:
    bar = Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=notes,
        transient=True,
        disable=not notes.is_terminal,
    )
    task = bar.add_task("photos", total=None)
    with bar:
        yield lambda done, total: bar.update(task, completed=done, total=total)
