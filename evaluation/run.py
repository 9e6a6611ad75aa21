"""Runs one evaluation: prints its tables, and writes its files into a folder."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.text import Text
from secondopinion import Pipeline

from evaluation import feedback_report, report
from evaluation.answers import Failed
from evaluation.compare import compare
from evaluation.errors import EvaluationError
from evaluation.evaluate import OnProgress, evaluate
from evaluation.feedback_cases import fetch
from evaluation.kept_images import export
from evaluation.plots import draw
from evaluation.settings import EvaluationSettings, FeedbackSettings, connect, find_pipeline
from evaluation.tables import comparison, feedback, render
from evaluation.tracked import tracked_run
from tracking.server import TrackedRun, TrackingError, TrackingServer


def run(
    settings: EvaluationSettings,
    out: Path | None,
    against: Sequence[Path],
    *,
    common: bool,
    server: TrackingServer | None = None,
) -> int:
    """Asks, measures, writes and prints.

    Args:
        settings: What to evaluate.
        out: The new folder; None names it after pipeline, release and member.
        against: Reports of earlier runs to compare with.
        common: See `compare.compare`.
        server: Is told of the figures; where that fails, it is said.

    Returns:
        How many photos are in none of the metrics.

    Raises:
        EvaluationError: Nothing was measured and nothing written; or the runs cannot be compared.
        SecondOpinionError: Nothing was measured and nothing written.
    """
    notes = Console(stderr=True, highlight=False)
    screen = Console(highlight=False)
    earlier = [report.read(file) for file in against]
    pipeline = find_pipeline(settings)
    folder = out or Path(_name(settings, pipeline))
    with _new_folder(folder) as beside:
        with _progress(notes) as on_progress:
            evaluation = evaluate(settings, pipeline, on_progress)
        written = evaluation.report.model_dump_json(indent=1)
        (beside / "report.json").write_text(written, encoding="utf-8")
        draw(evaluation.report, beside / "plot.png")
    screen.print(render(evaluation.report))
    screen.print(f"\nwritten to {folder}", soft_wrap=True, markup=False)
    _name_failed(evaluation.failed, notes)
    if evaluation.report.typicality is not None and not evaluation.compared:
        notes.print(
            f"evaluation: release {evaluation.report.release} does not lie in "
            f"{settings.repository}, so it is not known whether its reference was made of these "
            "photos: name the model repository with --repository",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
    if server is not None:
        _track(server, tracked_run(evaluation.report, folder / "plot.png"), notes)
    for each in earlier:
        compared = compare(each, evaluation.report, common=common)
        screen.print("", comparison.render(compared), sep="\n")
    return len(evaluation.failed)


def _track(server: TrackingServer, told: TrackedRun, notes: Console) -> None:
    try:
        identity = server.tell(told)
    except TrackingError as error:
        text, style = f"evaluation: {error}. The figures are as above", "red"
    else:
        text, style = f"tracked as run {identity}", ""
    notes.print(text, style=style, markup=False, soft_wrap=True)


def run_from_feedback(settings: FeedbackSettings, out: Path | None) -> None:
    """Measures answers by what people said of them, and prints the tables.

    Args:
        settings: Of which answers.
        out: A new folder for `report.json`; None writes none.

    Raises:
        EvaluationError: Nothing can be measured.
        SecondOpinionError: The service is gone, or the key may not ask.
    """
    screen = Console(highlight=False)
    with connect(settings.url) as client:
        pipeline = client.pipeline(settings.pipeline)
        cases = fetch(
            client, pipeline.name, unlabelled=True, since=settings.since, until=settings.until
        )
        made = feedback_report.report(pipeline, cases, settings.since, settings.until)
    if out is not None:
        with _new_folder(out) as beside:
            (beside / "report.json").write_text(made.model_dump_json(indent=1), encoding="utf-8")
    screen.print(feedback.render(made))
    if out is not None:
        screen.print(f"\nwritten to {out}", soft_wrap=True, markup=False)


def run_export(pipeline: str, url: str | None, folder: Path) -> int:
    """Writes the kept images with a label as a labelled set.

    Args:
        pipeline: Its name.
        url: The service; None leaves it to the client.
        folder: New.

    Returns:
        How many could not be had any more.

    Raises:
        EvaluationError: There are none, or the folder exists.
        SecondOpinionError: The service is gone, or the key may not ask.
    """
    with connect(url) as client, _new_folder(folder) as beside:
        exported = export(client, client.pipeline(pipeline), beside)
    lost = f"; {exported.gone} were deleted meanwhile" if exported.gone else ""
    notes = Console(highlight=False)
    notes.print(
        f"{exported.written} images written to {folder}{lost}", soft_wrap=True, markup=False
    )
    return exported.gone


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """Yields a folder beside the target; renames it to that when the block ends without error.

    Raises:
        EvaluationError: The target is there and not empty, or cannot be made.
    """
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise EvaluationError(
                f"{target}: is there already; remove it or name another folder with --out"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as beside:
            folder = Path(beside, "new")
            folder.mkdir()  # its rights are the usual ones, not those of a temporary folder
            yield folder
            folder.rename(target)
    except OSError as error:
        raise EvaluationError(f"{target}: {error.strerror or error}") from error


def _name(settings: EvaluationSettings, pipeline: Pipeline) -> str:
    parts = ["evaluation", pipeline.name, pipeline.release or "", settings.member or ""]
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
