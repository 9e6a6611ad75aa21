"""The photos that an offline run still has to send, and their records in the journal."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from secondopinion._answers import Answer
from secondopinion._async_client import AsyncClient
from secondopinion._journal import Journal
from secondopinion._outcome import Reply, as_error, no_image
from secondopinion._pictures import Pictures
from secondopinion._record import Content, Record, Stamp
from secondopinion._run_settings import ResolvedSettings


class Photo(NamedTuple):
    """A photo to read; `known` is its record, which is still right if the content is unchanged."""

    path: Path
    name: str
    known: Record | None


def below(folder: Path, photo: Path) -> str:
    """The name of a photo in the results: its path below the folder, with `/`."""
    return photo.relative_to(folder).as_posix()


def split(
    folder: Path, photos: list[Path], journal: Journal, *, retry_failed: bool
) -> Iterator[Photo | None]:
    """For each photo what to read, or None where its record is still right."""
    for path in photos:
        name = below(folder, path)
        known = journal.record(name)
        if known is not None and known.error is not None and retry_failed:
            known = None
        yield None if known and _untouched(path, known) else Photo(path, name, known)


def _untouched(path: Path, known: Record) -> bool:
    try:
        return known.stamp == Stamp.of(path.stat())
    except OSError:
        return False


@dataclass(frozen=True, kw_only=True)
class RecordMaker:
    """Makes the record of a photo."""

    resolved: ResolvedSettings
    client: AsyncClient
    pictures: Pictures | None
    left_out: dict[Path, str]

    async def record(self, photo: Photo) -> Record:
        """Asks about the photo, unless its content is what the known record is about.

        Raises:
            SecondOpinionError: Every other photo would meet it as well.
            OSError: The picture cannot be written.
        """
        if reason := self.left_out.get(photo.path):
            return Record(file=photo.name, stamp=None, sha256=None, error=no_image(reason))
        try:
            content = await asyncio.to_thread(Content.of, photo.path)
        except OSError as error:
            return Record(file=photo.name, stamp=None, sha256=None, error=as_error(error))
        if photo.known is not None and photo.known.sha256 == content.sha256:
            # Touched or copied: under its new stamp it is not read again next time.
            return replace(photo.known, stamp=content.stamp)
        blank = Record(file=photo.name, stamp=content.stamp, sha256=content.sha256)
        reply = await self.resolved.ask(content.encoded, self.client)
        if not isinstance(reply, Answer):
            return replace(blank, error=as_error(reply))
        return await asyncio.to_thread(self._answered, photo, blank, reply)

    def _answered(self, photo: Photo, blank: Record, reply: Reply) -> Record:
        raw = {key: value for key, value in reply.raw.items() if key != "visualization"}
        drawn = getattr(reply, "visualization", None)
        picture = self.pictures.save(photo.path, drawn) if self.pictures and drawn else None
        return replace(blank, answer=raw, visualization=str(picture) if picture else None)
