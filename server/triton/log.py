"""The log file of Triton and its backend processes: bounded, and quoted in error messages."""

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

MOST_BYTES = 32 * 2**20
"""Size above which the log is emptied; its content is kept in `triton.log.1`."""
_QUOTED_LINES = 15
_QUOTED_CHARACTERS = 300
_INFORMS = re.compile(r"[IV]\d{4} ")
"""How Triton begins such a line: its level, month and day."""
_READ_BYTES = 2**20


class TritonLog:
    """`triton.log`, and `triton.log.1` with what was written before.

    Triton and its backend processes hold the file open and append, so it cannot be renamed under
    them: it is copied, then cut to nothing, and they go on at its start. Lines that are written
    between the two are lost. A pipe through the launcher would lose none, but stop Triton where
    the launcher is busy, and end it where the launcher is killed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = 0
        """Where the log of the running Triton begins; negative: in the part before."""

    @property
    def _before(self) -> Path:
        return self.path.with_name(f"{self.path.name}.1")

    def begin(self) -> None:
        """Marks the start of a Triton."""
        self._start = self._size()

    def bound(self) -> None:
        """Empties the log if it has grown too large."""
        if (size := self._size()) <= MOST_BYTES:
            return
        # Without space for the copy the lines are lost: a full disk would stop more than a log.
        with suppress(OSError):
            shutil.copyfile(self.path, self._before)
        with suppress(OSError):
            os.truncate(self.path, 0)
            self._start -= size

    def written(self) -> int:
        """Bytes that the running Triton has written."""
        return self._size() - self._start

    def since_start(self, skip: int = 0) -> str:
        """What the running Triton wrote after so many bytes, its last megabyte."""
        start = self._start + skip
        text = _end(self.path, max(0, start))
        if start < 0:
            begin = max(0, self._before_size() + start)
            text = _end(self._before, begin) + text
        return text[-_READ_BYTES:]

    def tail(self, skip: int = 0) -> str:
        """The last lines that the running Triton wrote, for the end of an error message.

        Args:
            skip: bytes before what is of interest, as `written` gave them. Then lines that only
                inform are left out too.
        """
        lines = self.since_start(skip).splitlines()
        if skip:
            lines = [line for line in lines if not _INFORMS.match(line)]
        quoted = [f"  {line[:_QUOTED_CHARACTERS]}" for line in lines[-_QUOTED_LINES:]]
        return "\n".join([f"; the end of {self.path}:", *quoted])

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def _before_size(self) -> int:
        return self._before.stat().st_size if self._before.exists() else 0


def _end(path: Path, start: int) -> str:
    """The text of a file from an offset, its last megabyte; empty where there is no file."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(start, size - _READ_BYTES))
        return file.read().decode(errors="replace")
    return ""
