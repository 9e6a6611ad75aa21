"""The record of one photo of an offline run: one line of its journal."""

import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple


class Stamp(NamedTuple):
    """Size and times of a file, which change with its content; times in nanoseconds."""

    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Stamp":
        """Reads size and times from the file's status."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class Content(NamedTuple):
    """A photo as it was read.

    Attributes:
        sha256: Of `encoded`, so that a photo whose stamp alone has changed is not asked again.
    """

    encoded: bytes
    stamp: Stamp
    sha256: str

    @classmethod
    def of(cls, photo: Path) -> "Content":
        """Reads the photo.

        Raises:
            OSError: It cannot be read.
        """
        with photo.open("rb") as file:
            # Before the content: what is written meanwhile then shows next time.
            stamp = Stamp.of(os.fstat(file.fileno()))
            encoded = file.read()
        return cls(encoded, stamp, hashlib.sha256(encoded).hexdigest())


@dataclass(frozen=True, kw_only=True)
class Record:
    """One photo with its answer or error.

    Attributes:
        file: Its path below the folder, with `/` between the parts.
        stamp: When it was read; None, as `sha256`, where it could not be.
        answer: As the service sent it, without the picture; None where there is an `error`.
        visualization: Where the picture was written.
    """

    file: str
    stamp: Stamp | None
    sha256: str | None
    answer: dict[str, Any] | None = None
    visualization: str | None = None
    error: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """The record as JSON, as the journal holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Record":
        """Reads a record from the journal's JSON.

        Raises:
            KeyError: A field is missing.
            TypeError: A field is unknown, or of another type.
        """
        stamp = document["stamp"]
        return cls(**{**document, "stamp": stamp and Stamp(*stamp)})
