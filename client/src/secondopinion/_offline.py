"""An offline run: predicts a folder of photos into a results file, and resumes after a stop."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from secondopinion import _results
from secondopinion._async_client import AsyncClient
from secondopinion._journal import Journal, JournalError
from secondopinion._photo_records import Photo, RecordMaker, below, split
from secondopinion._pictures import Pictures
from secondopinion._progress import note_demo, progress
from secondopinion._record import Record
from secondopinion._run_settings import ResolvedSettings, RunSettings
from secondopinion._workers import for_each

_NO_QUESTION = {"keep_image", "signed_receipt", "respond_within"}
"""Choices that no answer depends on."""


@dataclass(frozen=True, kw_only=True)
class Offline:
    """An offline run.

    Attributes:
        photos: All of the folder's, in the order of the results.
        left_out: Those of them that hold no image, and why.
        out: The file of results; its suffix is the format.
        restart: Whether to ask about all photos anew.
        retry_failed: Whether to ask again about photos that failed.
    """

    settings: RunSettings
    folder: Path
    photos: list[Path]
    left_out: dict[Path, str]
    pictures: Pictures | None
    out: Path
    restart: bool
    retry_failed: bool

    @property
    def journal(self) -> Path:
        """The path of the journal, which stays beside the results."""
        return journal_of(self.out)


def journal_of(out: Path) -> Path:
    """The path of the journal of a file of results."""
    return out.with_name(f"{out.name}.journal.jsonl")


def run_offline(run: Offline, notes: Console) -> int:
    """Asks about the photos that have no row yet; writes the results however that ends.

    Returns:
        The number of photos that have no answer.

    Raises:
        SecondOpinionError: The run ended early, as with KeyboardInterrupt; the results hold what
            had been answered.
        ValueError: The settings are wrong, or differ from those in the journal.
        OSError: The journal, the results or a picture cannot be written.
    """
    _results.check(run.out)
    resolved = asyncio.run(_resolve(run.settings))
    if run.out.exists() and not run.journal.exists() and not run.restart:
        raise ValueError(
            f"{run.out}: exists, without its journal {run.journal.name} to go on from. "
            "Name another --out, or give --restart to replace it"
        )
    asked = {
        **{name: value for name, value in resolved.choices.items() if name not in _NO_QUESTION},
        "advanced": resolved.advanced,
        "release": resolved.pipeline.release,
    }
    with Journal(run.journal, asked, restart=run.restart) as journal:
        _compare(journal.question, asked, run.journal)
        if run.restart:
            run.out.unlink(missing_ok=True)
        try:
            _ask(run, resolved, journal, notes)
        finally:
            failed = _write(run, resolved, journal, notes)
    return failed


async def _resolve(settings: RunSettings) -> ResolvedSettings:
    async with AsyncClient(settings.url) as client:
        return await ResolvedSettings.of(settings, client)


def _compare(begun: dict[str, Any], asked: dict[str, Any], journal: Path) -> None:
    changed = [
        f"{name} {_said(begun.get(name))}, now {_said(asked.get(name))}"
        for name in sorted(begun.keys() | asked.keys())
        if begun.get(name) != asked.get(name)
    ]
    if changed:
        raise JournalError(
            f"{journal}: was begun with {'; '.join(changed)}. Different questions do not mix: ask "
            "the same, name another --out, or give --restart to ask about all photos anew"
        )


def _said(value: object) -> str:
    return "by default" if value is None else str(value)


def _ask(run: Offline, resolved: ResolvedSettings, journal: Journal, notes: Console) -> None:
    with progress(len(run.photos), notes) as advance:

        def unknown() -> Iterator[Photo]:
            photos = split(run.folder, run.photos, journal, retry_failed=run.retry_failed)
            for photo in photos:
                if photo is None:
                    advance()
                else:
                    yield photo

        def deliver(record: Record) -> None:
            journal.append(record)
            advance()

        async def ask_all() -> None:
            async with AsyncClient(run.settings.url) as client:
                maker = RecordMaker(
                    resolved=resolved,
                    client=client,
                    pictures=run.pictures,
                    left_out=run.left_out,
                )
                await for_each(maker.record, unknown(), run.settings.concurrency, deliver)

        asyncio.run(ask_all())


@dataclass
class _Counts:
    answered: int = 0
    failed: int = 0
    demo: bool = False


def _write(run: Offline, resolved: ResolvedSettings, journal: Journal, notes: Console) -> int:
    """Writes a row for each photo that has a record; returns how many of them failed."""
    counts, releases = _Counts(), Counter[str]()

    def known() -> Iterator[Record]:
        for photo in run.photos:
            record = journal.record(below(run.folder, photo))
            if record is None:
                continue
            if record.answer is None:
                counts.failed += 1
            else:
                counts.answered += 1
                counts.demo = counts.demo or record.answer.get("weights") == "demo"
                releases[str(record.answer.get("release"))] += 1
            yield record

    _results.write(run.out, known(), detects=resolved.pipeline.detects)
    if counts.demo:
        note_demo(notes)
    if len(releases) > 1:
        shares = ", ".join(f"{release} ({count})" for release, count in releases.items())
        notes.print(f"the release changed during the run, see its column: {shares}", markup=False)
    left = len(run.photos) - counts.answered - counts.failed
    unasked = f", {left} left out: run it again to go on" if left else ""
    said = f"{run.out}: {counts.answered} answered, {counts.failed} failed{unasked}"
    notes.print(said, markup=False, soft_wrap=True)
    return counts.failed
