"""The progress bar of a run, and the warning when the service has demonstration weights."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

DEMO_NOTE = (
    "DEMO WEIGHTS: these answers come from models trained on drawings. "
    "They show how the service works and say nothing about a patient."
)


@contextmanager
def progress(total: int, notes: Console, *, wanted: bool = True) -> Iterator[Callable[[], None]]:
    """Draws a bar on a terminal, for more than one photo; yields what advances it by one."""
    bar = Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=notes,
        transient=True,
        disable=not (wanted and notes.is_terminal and total > 1),
        redirect_stdout=False,  # it would send JSON lines to standard error
    )
    task = bar.add_task("photos", total=total)
    with bar:
        yield lambda: bar.advance(task)


def note_demo(notes: Console) -> None:
    """Prints that the answers say nothing about a patient."""
    notes.print(Panel(DEMO_NOTE, style="bold yellow", expand=False))
