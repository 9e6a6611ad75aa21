"""A run over photos: progress while it lasts, and the report however it ends."""

import asyncio
import sys
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace
from rich.console import Console

from secondopinion._answers import Answer
from secondopinion._asking import Outcome, in_order
from secondopinion._async_client import AsyncClient
from secondopinion._detections import Detections
from secondopinion._pictures import Pictures
from secondopinion._progress import note_demo, progress
from secondopinion._question import Question, Settled
from secondopinion._report import print_line, print_table


@dataclass
class _Tally:
    answered: int = 0
    failed: int = 0
    demo: bool = False
    kept: list[Outcome] = field(default_factory=list)


def run(
    question: Question,
    photos: list[Path],
    *,
    as_json: bool,
    pictures: Pictures | None,
    notes: Console,
) -> int:
    """Asks about all photos and reports on standard output, with remarks on `notes`.

    Returns:
        The number of photos that have no answer.

    Raises:
        SecondOpinionError: The run ended early; what had been answered has been reported.
        KeyboardInterrupt: Likewise.
        OSError: Likewise: a picture cannot be written.
        ValueError: The URL or the API key is malformed, or the pipeline cannot be asked so.
    """
    tally = _Tally()

    def deliver(outcome: Outcome) -> None:
        if isinstance(outcome.reply, Answer):
            tally.answered += 1
            tally.demo = tally.demo or outcome.reply.demo
        else:
            tally.failed += 1
        if as_json:
            print_line(outcome)
        else:
            tally.kept.append(outcome)
        advance()

    # Lines on the same terminal are progress enough, and a bar would be drawn over them.
    bar_wanted = not (as_json and sys.stdout.isatty())
    try:
        with progress(len(photos), notes, wanted=bar_wanted) as advance:

            async def ask_all() -> None:
                async with AsyncClient(question.url) as client:
                    settled = await Settled.of(question, client)

                    async def ask(photo: Path) -> Outcome:
                        outcome = Outcome(photo, await settled.ask(photo, client))
                        return await asyncio.to_thread(_put_away, outcome, pictures)

                    await in_order(ask, photos, question.concurrency, deliver)

            asyncio.run(ask_all())
    finally:
        print_table(tally.kept, notes)
        _print_remarks(tally, len(photos), notes)
    return tally.failed


def _put_away(outcome: Outcome, pictures: Pictures | None) -> Outcome:
    """Writes the picture and lets go of it: outcomes may be kept until the end of the run."""
    answer = outcome.reply
    if pictures is None or not isinstance(answer, Detections) or answer.visualization is None:
        return outcome
    path = pictures.save(outcome.file, answer.visualization)
    raw = {key: value for key, value in answer.raw.items() if key != "visualization"}
    return Outcome(outcome.file, replace(answer, visualization=None, raw=raw), path)


def _print_remarks(tally: _Tally, total: int, notes: Console) -> None:
    if tally.demo:
        note_demo(notes)
    left = total - tally.answered - tally.failed
    if tally.failed or (left and tally.answered):
        unasked = f", {left} left out" if left else ""
        notes.print(f"{tally.answered} answered, {tally.failed} failed{unasked}")
