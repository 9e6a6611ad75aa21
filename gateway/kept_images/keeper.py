"""Keeps images with their callers' consent: encrypts, stores, reads, and destroys them in time."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Literal, TypeVar

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from database import kept_images as table
from database.clock import now
from database.engine import reading
from database.kept_images import KeptImage
from gateway.audit.idempotency import Writes
from gateway.errors import RefusedError
from gateway.kept_images.encryption import ImageKeys, WrappedKey
from gateway.kept_images.store import ImageStore, StoreError
from gateway.secret_files import SecretError, SecretFiles

log = structlog.get_logger("gateway")
T = TypeVar("T")

FIRST_SWEEP_SECONDS, SWEEP_SECONDS = 60.0, 3600.0
"""Before the first sweep of a gateway, which may be started often, and between further ones."""
PUT_SECONDS = 10.0
"""How long an answer waits for its image to be stored."""
_SUFFIX = ".kept"
"""Of names in the store: what has another is not ours to remove."""
FailedStep = Literal["keep", "sweep"]
_DAY = 24 * 3600 * 1_000_000
_AT_ONCE = 100
_UNDER_WAY = timedelta(hours=1)
"""An image in the store that is younger may yet get its record."""


@dataclass(frozen=True, slots=True)
class ImageToKeep:
    """The image of an answered prediction whose caller consents."""

    prediction_id: str
    pipeline: str
    data: bytes
    days: int
    """How long it is kept."""


class KeptImages:
    """Images in a store, and the records of their keys in the database.

    Store and key file are opened when they are first needed: no pipeline may keep images.
    """

    def __init__(
        self,
        place: str,
        secrets: SecretFiles,
        engine: Engine,
        writes: Writes,
        failed: Callable[[FailedStep], None] | None = None,
    ) -> None:
        """Prepares it.

        Args:
            place: see `ImageStore`.
            secrets: has the key file.
            engine: for reading.
            writes: to the same database.
            failed: is told of each image that was not kept, and of each sweep that failed.
        """
        self._place = place
        self._failed = failed or (lambda _: None)
        self._secrets = secrets
        self._engine = engine
        self._writes = writes

    async def keep(self, images: Sequence[ImageToKeep]) -> list[bool]:
        """Keeps images; whether each one is kept. It is durable then. Nothing is raised."""
        done = await self._kept(images)
        for _ in range(done.count(False)):
            self._failed("keep")
        return done

    async def read(self, prediction_id: str) -> bytes | None:
        """The image of a prediction; None where it is not kept (any more).

        Raises:
            StoreError: the store cannot be asked.
            SecretError: the key file cannot be used.
            UnreadableImageError: the key file lacks its key, or the image was changed.
        """
        at = now()
        image = await self._read(lambda each: table.find(each, prediction_id, at))
        if image is None or (content := await self._store.get(image.name)) is None:
            return None
        key = WrappedKey(image.key_id, image.wrapped_key)
        return await asyncio.to_thread(self._keys.decrypt, content, key, prediction_id)

    async def destroy(self, prediction_id: str) -> bool:
        """Destroys the key of an image, then removes it; whether there was one.

        Raises:
            RefusedError: nothing can be written now.
        """
        at = now()
        image = await self._read(lambda each: table.find(each, prediction_id, at))
        gone = await self._writes.run(lambda each: table.destroy(each, [prediction_id], at))
        if image is not None:
            try:
                await self._store.delete(image.name)
            except StoreError as error:
                # It is unreadable, and removed in time.
                log.warning("image left", error=str(error))
        return gone > 0

    async def watch(self) -> None:
        """Sweeps each hour, for as long as the gateway runs, where any image was ever kept."""
        pause = FIRST_SWEEP_SECONDS
        while True:
            await asyncio.sleep(pause)
            pause = SWEEP_SECONDS
            try:
                if await self._read(table.any_kept):
                    destroyed, removed = await self.sweep()
                    log.info("images swept", destroyed=destroyed, removed=removed)
            except (StoreError, RefusedError, SQLAlchemyError) as error:
                # The next time may succeed.
                self._failed("sweep")
                log.error("images not swept", error=type(error).__name__)  # noqa: TRY400

    async def sweep(self) -> tuple[int, int]:
        """Destroys images whose time is over; removes what of the store has no record.

        Returns:
            How many keys were destroyed, and how many images were removed from the store.

        Raises:
            StoreError: the store cannot be asked. Keys that were due are destroyed all the same.
            RefusedError: nothing can be written now.
        """
        destroyed = removed = 0
        while due := await self._read(partial(table.due, now=now(), limit=_AT_ONCE)):
            ids = [image.prediction_id for image in due]
            destroyed += await self._writes.run(partial(table.destroy, ids=ids, now=now()))
        old = datetime.now(UTC) - _UNDER_WAY
        names = [
            name
            async for name, stored in self._store.names()
            if stored < old and name.endswith(_SUFFIX)
        ]
        for start in range(0, len(names), _AT_ONCE):
            part = names[start : start + _AT_ONCE]
            known = await self._read(partial(table.names, chosen=part))
            for name in sorted(set(part) - known):
                await self._store.delete(name)
                removed += 1
        return destroyed, removed

    async def rewrap(self) -> int:
        """Wraps the keys of all images by the first key of the key file; how many were not.

        Raises:
            SecretError: the key file cannot be used.
            UnreadableImageError: it lacks the key that wraps one of them.
            RefusedError: nothing can be written now.
        """
        done, after, current = 0, "", self._keys.current
        while images := await self._read(
            partial(table.wrapped_by_others, key_id=current, after=after, limit=_AT_ONCE)
        ):
            for image in images:
                key = WrappedKey(image.key_id, image.wrapped_key)
                again = self._keys.rewrap(key, image.prediction_id)
                await self._writes.run(
                    partial(table.rewrap, image=image, key_id=again.by, wrapped_key=again.content)
                )
                done += 1
            after = images[-1].prediction_id
        return done

    @cached_property
    def _store(self) -> ImageStore:
        return ImageStore(self._place)

    @cached_property
    def _keys(self) -> ImageKeys:
        return ImageKeys(self._secrets.image_keys())

    async def _kept(self, images: Sequence[ImageToKeep]) -> list[bool]:
        stored = await asyncio.gather(*(self._stored(image) for image in images))
        records = [record for record in stored if record is not None]
        if not records:
            return [False] * len(images)
        try:
            await self._writes.run(lambda each: table.add(each, records))
        except RefusedError:
            log.error("image not kept", images=len(records), error="database")  # noqa: TRY400
            # Without a record nobody can read them; they are removed in time.
            return [False] * len(images)
        return [record is not None for record in stored]

    async def _stored(self, image: ImageToKeep) -> KeptImage | None:
        """What is to be recorded of an image; None where it is not stored."""
        name = f"{image.pipeline}/{image.prediction_id}{_SUFFIX}"
        try:
            async with asyncio.timeout(PUT_SECONDS):
                content, key = await asyncio.to_thread(
                    self._keys.encrypt, image.data, image.prediction_id
                )
                await self._store.put(name, content)
        except (StoreError, SecretError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            log.error("image not kept", pipeline=image.pipeline, error=reason)  # noqa: TRY400
            return None
        at = now()
        expires = at + image.days * _DAY
        return KeptImage(
            image.prediction_id, image.pipeline, at, expires, name, key.by, key.content
        )

    async def _read(self, function: Callable[[Connection], T]) -> T:
        def read() -> T:
            with reading(self._engine).connect() as connection, connection.begin():
                return function(connection)

        return await asyncio.to_thread(read)
