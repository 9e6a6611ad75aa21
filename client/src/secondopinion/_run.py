"""Runs predictions over photos and prints the answers, with progress and warnings."""

import asyncio
import sys
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace
from rich.console import Console

from secondopinion._answers import Answer
from secondopinion._async_client import AsyncClient
from secondopinion._detections import Detections
from secondopinion._outcome import Outcome
from secondopinion._pictures import Pictures
from secondopinion._progress import note_demo, progress
from secondopinion._report import print_line, print_table
from secondopinion._run_settings import ResolvedSettings, RunSettings
from secondopinion._workers import in_order


@dataclass
class _Counts:
    answered: int = 0
    failed: int = 0
    demo: bool = False
    kept: list[Outcome] = field(default_factory=list)


def run(
    settings: RunSettings,
    photos: list[Path],
    left_out: dict[Path, str],
    *,
    as_json: bool,
    pictures: Pictures | None,
    notes: Console,
) -> int:
    """Asks about all photos and reports on standard output, with remarks on `notes`.

    Files of `photos` that are `left_out` fail for the reason given there.

    Returns:
        The number of photos that have no answer.

    Raises:
        SecondOpinionError: The run ended early; what had been answered has been reported.
        KeyboardInterrupt: Likewise.
        OSError: Likewise: a picture cannot be written.
        ValueError: The URL or the API key is malformed, or the pipeline cannot be asked so.
    """
    counts = _Counts()

    def deliver(outcome: Outcome) -> None:
        if isinstance(outcome.reply, Answer):
            counts.answered += 1
            counts.demo = counts.demo or outcome.reply.demo
        else:
            counts.failed += 1
        if as_json:
            print_line(outcome)
        else:
            counts.kept.append(outcome)
        advance()

    # Lines on the same terminal are progress enough, and a bar would be drawn over them.
    bar_wanted = not (as_json and sys.stdout.isatty())
    try:
        with progress(len(photos), notes, wanted=bar_wanted) as advance:

            async def ask_all() -> None:
                async with AsyncClient(settings.url) as client:
                    resolved = await ResolvedSettings.of(settings, client)

                    async def ask(photo: Path) -> Outcome:
                        if reason := left_out.get(photo):
                            return Outcome(photo, OSError(0, reason))
                        outcome = Outcome(photo, await resolved.ask(photo, client))
                        return await asyncio.to_thread(_save_picture, outcome, pictures)

                    await in_order(ask, photos, settings.concurrency, deliver)

            asyncio.run(ask_all())
    finally:
        print_table(counts.kept, notes)
        _print_remarks(counts, len(photos), notes)
    return counts.failed


def _save_picture(outcome: Outcome, pictures: Pictures | None) -> Outcome:
    """Writes the picture and drops it from memory, as outcomes may be kept for the whole run."""
    answer = outcome.reply
    if pictures is None or not isinstance(answer, Detections) or answer.visualization is None:
        return outcome
    path = pictures.save(outcome.file, answer.visualization)
    raw = {key: value for key, value in answer.raw.items() if key != "visualization"}
    return Outcome(outcome.file, replace(answer, visualization=None, raw=raw), path)


def _print_remarks(counts: _Counts, total: int, notes: Console) -> None:
    if counts.demo:
        note_demo(notes)
    left = total - counts.answered - counts.failed
    if counts.failed or (left and counts.answered):
        unasked = f", {left} left out" if left else ""
        notes.print(f"{counts.answered} answered, {counts.failed} failed{unasked}")
