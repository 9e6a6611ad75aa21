"""The progress bar of an export or a training."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

OnProgress = Callable[[str, float, float], None]
"""Told what is being done, the steps done and all steps; the last never changes."""


class Steps:
    """Counts steps towards a total known ahead and tells them on."""

    def __init__(self, total: float, on_progress: OnProgress) -> None:
        self._total = total
        self._done = 0.0
        self._doing = ""
        self._tell = on_progress

    def begin(self, doing: str) -> None:
        """Names what the next steps do."""
        self._doing = doing
        self._tell(doing, self._done, self._total)

    def advance(self, steps: float = 1) -> None:
        """Counts steps as done."""
        self._done += steps
        self._tell(self._doing, self._done, self._total)


@contextlib.contextmanager
def shown_on(console: Console) -> Iterator[OnProgress]:
    """A bar on a terminal; elsewhere one plain line for each thing begun."""
    if not console.is_terminal:
        yield _plain_lines(console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("starting")

        def on_progress(doing: str, done: float, total: float) -> None:
            bar.update(task, description=doing, completed=done, total=total)

        yield on_progress


def _plain_lines(console: Console) -> OnProgress:
    last = ""

    def on_progress(doing: str, done: float, total: float) -> None:
        nonlocal last
        if doing != last:
            console.print(f"{doing} ({done / total:.0%} done)", highlight=False)
            last = doing

    return on_progress
