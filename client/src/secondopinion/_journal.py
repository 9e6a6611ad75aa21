"""The journal file of an offline run: one line for each photo, appended when it is answered.

The first line holds the settings of the run, every other line a `Record`. If a photo has several
lines, the last one counts. Each line is written before the next photo is sent, so a killed process
loses no answer that it has received; the file is synced to disk once a second. If a kill left an
incomplete last line, it is cut off.
"""

import json
import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from secondopinion._record import Record

VERSION = 1
_SYNC_SECONDS = 1.0

if sys.platform == "win32":
    import msvcrt

    _FAR_BEHIND_THE_DATA = 1 << 30

    def _lock(file: BinaryIO) -> bool:
        """Locks the file until this process ends; False where another one has it."""
        file.seek(_FAR_BEHIND_THE_DATA)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _lock(file: BinaryIO) -> bool:
        """Locks the file until this process ends; False where another one has it."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class JournalError(ValueError):
    """The journal cannot be continued; the message names the remedy."""


class Journal:
    """A journal, locked by this process. Use it in a `with` block.

    Attributes:
        question: What its photos have been asked, as JSON.
    """

    def __init__(self, path: Path, question: dict[str, Any], *, restart: bool = False) -> None:
        """Opens the journal, or begins it with this question.

        Args:
            path: Its file.
            question: What is to be asked about every photo.
            restart: Whether to forget what it holds.

        Raises:
            JournalError: Another run has it open, it is damaged, or it is no journal.
            OSError: It cannot be read or written.
        """
        self._path = path
        self._offsets: dict[str, int] = {}
        self._synced = time.monotonic()
        self._file = path.open("ab", buffering=0)
        if not _lock(self._file):
            self._file.close()
            raise JournalError(f"{path}: another run is writing it; wait for its end")
        try:
            known = None if restart else self._load()
            self.question = self._begin(question) if known is None else known
            # Opened after the mending, lest its buffer holds what was cut off.
            self._reader = path.open("rb")
        except BaseException:
            self._file.close()
            raise

    def record(self, file: str) -> Record | None:
        """The record of this photo; None where there is none."""
        offset = self._offsets.get(file)
        if offset is None:
            return None
        # From the file: the answers of 100,000 photos have no place in memory.
        self._reader.seek(offset)
        return Record.from_json(json.loads(self._reader.readline()))

    def append(self, record: Record) -> None:
        """Adds the record of a photo; it replaces an earlier one.

        Raises:
            OSError: It cannot be written; the journal is then as before.
        """
        self._offsets[record.file] = self._write(record.as_json())
        if time.monotonic() - self._synced >= _SYNC_SECONDS:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()

    def _begin(self, question: dict[str, Any]) -> dict[str, Any]:
        self._file.truncate(0)
        self._write({"journal": VERSION, "question": question})
        return question

    def _write(self, document: dict[str, Any]) -> int:
        start = self._file.seek(0, os.SEEK_END)
        left = memoryview(json.dumps(document, separators=(",", ":")).encode() + b"\n")
        try:
            while left:
                left = left[self._file.write(left) :]
        except BaseException:
            self._file.truncate(start)
            raise
        return start

    def _load(self) -> dict[str, Any] | None:
        """Finds the records, cuts off an incomplete last line; None without a first line."""
        question: dict[str, Any] | None = None
        offset = 0
        with self._path.open("rb") as reader:
            size = os.fstat(reader.fileno()).st_size
            for number, line in enumerate(reader, start=1):
                end = offset + len(line)
                document = _json(line)
                if isinstance(document, dict) and question is None:
                    question = self._question(document)
                elif isinstance(document, dict) and isinstance(document.get("file"), str):
                    self._offsets[document["file"]] = offset
                elif end == size and not (number == 1 and line.endswith(b"\n")):
                    self._file.truncate(offset)
                else:
                    raise JournalError(
                        f"{self._path}: line {number} is damaged. Repair the file, or give "
                        "--restart to predict all photos again"
                    )
                offset = end
        return question

    def _question(self, document: dict[str, Any]) -> dict[str, Any]:
        if document.get("journal") != VERSION or not isinstance(document.get("question"), dict):
            raise JournalError(f"{self._path}: not a journal of this version; name another --out")
        question: dict[str, Any] = document["question"]
        return question

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._file, self._reader:
            os.fsync(self._file.fileno())


def _json(line: bytes) -> object:
    """The line's document; None where the line is incomplete."""
    try:
        return json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
