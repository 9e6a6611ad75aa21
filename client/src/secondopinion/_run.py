"""A run over photos: progress while it lasts, and the report however it ends."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from secondopinion._answers import Prediction
from secondopinion._asking import Outcome, ask_all
from secondopinion._async_client import AsyncClient
from secondopinion._calls import Choices
from secondopinion._report import print_line, print_table

DEMO_NOTE = (
    "DEMO WEIGHTS: these answers come from models trained on drawings. "
    "They show how the service works and say nothing about a patient."
)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked about every photo, where, and how many at a time."""

    url: str
    advanced: bool
    choices: Choices
    concurrency: int


@dataclass
class _Tally:
    answered: int = 0
    failed: int = 0
    demo: bool = False
    kept: list[Outcome] = field(default_factory=list)


def run(question: Question, photos: list[Path], *, as_json: bool, notes: Console) -> int:
    """Asks about all photos and reports on standard output, with remarks on `notes`.

    Returns:
        The number of photos that have no answer.

    Raises:
        SecondOpinionError: The run ended early; what had been answered has been reported.
        KeyboardInterrupt: Likewise.
        ValueError: The URL or the API key is malformed.
    """
    tally = _Tally()
    # Lines on the same terminal are progress enough, and a bar would be drawn over them.
    bar_wanted = notes.is_terminal and len(photos) > 1 and not (as_json and sys.stdout.isatty())
    bar = Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=notes,
        transient=True,
        disable=not bar_wanted,
        redirect_stdout=False,  # it would send the JSON lines to standard error
    )
    task = bar.add_task("photos", total=len(photos))

    def deliver(outcome: Outcome) -> None:
        if isinstance(outcome.reply, Prediction):
            tally.answered += 1
            tally.demo = tally.demo or outcome.reply.demo
        else:
            tally.failed += 1
        if as_json:
            print_line(outcome)
        else:
            tally.kept.append(outcome)
        bar.advance(task)

    try:
        with bar:
            asyncio.run(_ask(question, photos, deliver))
    finally:
        print_table(tally.kept, notes)
        _print_remarks(tally, len(photos), notes)
    return tally.failed


async def _ask(question: Question, photos: list[Path], deliver: Callable[[Outcome], None]) -> None:
    async with AsyncClient(question.url) as client:
        # A wrong URL or key is said at once, and not after the retries of the first photos. Not
        # ready is no reason to stop: a restart takes seconds, and the retries wait for it.
        await client.ready(question.choices.get("pipeline"))

        async def ask(photo: Path) -> Prediction:
            if question.advanced:
                return await client.predict_advanced(photo, **question.choices)
            return await client.predict(photo, **question.choices)

        await ask_all(ask, photos, question.concurrency, deliver)


def _print_remarks(tally: _Tally, total: int, notes: Console) -> None:
    if tally.demo:
        notes.print(Panel(DEMO_NOTE, style="bold yellow", expand=False))
    left = total - tally.answered - tally.failed
    if tally.failed or (left and tally.answered):
        unasked = f", {left} left out" if left else ""
        notes.print(f"{tally.answered} answered, {tally.failed} failed{unasked}")
