"""Where encrypted images lie: a folder, or a bucket of an S3-compatible service."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

_SECONDS = "10s"
"""How long one request to a bucket may take."""
_REMOTE = {"s3"}


class StoreError(Exception):
    """The store did not do what it was asked; the text says why."""


class ImageStore:
    """Stores bytes by name; a name exists with all of its bytes, or not at all."""

    def __init__(self, place: str) -> None:
        """Takes a folder's path, which is made, or `s3://BUCKET/PREFIX`.

        Credentials and the endpoint of a bucket are those of the environment's `AWS_*`.

        Raises:
            StoreError: the folder cannot be made, or the URL is of another kind.
        """
        self._folder: Path | None = None
        try:
            if "://" in place:
                self._store = _remote(place)
            else:
                self._folder = Path(place).absolute()
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._store = LocalStore(self._folder)
        except FileExistsError:
            raise StoreError(f"{place}: it is no folder. Name one in GATEWAY_KEPT_IMAGES") from None
        except OSError as error:
            raise StoreError(f"{place}: it cannot be made ({error.strerror})") from None
        except (ValueError, BaseError):
            raise StoreError(
                f"{_without_query(place)}: it is no place for images. Give a folder's path, or "
                "s3://BUCKET/PREFIX, in GATEWAY_KEPT_IMAGES"
            ) from None

    async def put(self, name: str, content: bytes) -> None:
        """Stores bytes so that they outlast a power cut.

        Raises:
            StoreError: they are not stored.
        """
        try:
            # As a whole: parts that were left behind by an upload that failed would stay hidden.
            await obstore.put_async(self._store, name, content, use_multipart=False)
            if self._folder is not None:
                await asyncio.to_thread(_to_disk, self._folder / name)
        except (OSError, BaseError) as error:
            raise _failed("stored", error) from None

    async def get(self, name: str) -> bytes | None:
        """The bytes of a name; None where there are none.

        Raises:
            StoreError: it cannot be read.
        """
        try:
            return bytes(await (await obstore.get_async(self._store, name)).bytes_async())
        except FileNotFoundError:
            return None
        except (OSError, BaseError) as error:
            raise _failed("read", error) from None

    async def delete(self, name: str) -> None:
        """Removes a name; one that is not there is no error.

        Raises:
            StoreError: it may still be there.
        """
        try:
            await obstore.delete_async(self._store, name)
        except FileNotFoundError:
            pass
        except (OSError, BaseError) as error:
            raise _failed("deleted", error) from None

    async def names(self) -> AsyncIterator[tuple[str, datetime]]:
        """Every name, and when it was stored.

        Raises:
            StoreError: they cannot be listed.
        """
        try:
            async for chunk in obstore.list(self._store):
                for found in chunk:
                    yield found["path"], found["last_modified"]
        except (OSError, BaseError) as error:
            raise _failed("listed", error) from None


def _remote(url: str) -> ObjectStore:
    if urlsplit(url).scheme not in _REMOTE:
        raise ValueError(url)
    return from_url(
        url,
        client_options={"timeout": _SECONDS, "allow_http": True},
        retry_config={"max_retries": 2},
    )


def _to_disk(file: Path) -> None:
    """The file's content, then its entry and those of the folders above it that may be new."""
    for path in (file, *list(file.parents)[:3]):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _failed(what: str, error: Exception) -> StoreError:
    """Without the error's text, which may hold a bucket's whole answer."""
    return StoreError(f"not {what}: {type(error).__name__}")


def _without_query(place: str) -> str:
    return place.partition("?")[0]
