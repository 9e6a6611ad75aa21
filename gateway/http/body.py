"""Reads the images of a request's body: a form, raw bytes or JSON; in memory, within limits."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from starlette.requests import ClientDisconnect, Request

from gateway.core.inflation import Inflation
from gateway.core.request import Image
from gateway.errors import CallerGoneError, Code, RefusedError, too_large
from gateway.http.json_body import ImageBody, ImagesBody, parse
from gateway.http.json_reader import JsonReader
from gateway.http.multipart import FormReader, encoded_size

_WRAPPING = 64 * 1024
"""Bytes that a form's boundaries and headers, or JSON around an image, may add."""


Count = Callable[[int], None]


class BodyType(StrEnum):
    """The content types that hold an image."""

    FORM = "multipart/form-data"
    JSON = "application/json"
    RAW = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Body:
    """The body of a request, which has not been read yet."""

    request: Request
    type: BodyType
    image_size: int
    """Largest image, in bytes."""
    limit: int
    """Largest body, in bytes."""
    declared: int | None
    compressed: bool

    @classmethod
    def of_one(cls, request: Request, image_size: int) -> Self:
        """The body of a request about one image, by its headers.

        Raises:
            RefusedError: another content type, or a declared size beyond the limit.
        """
        body_type = _body_type(request)
        raw = body_type is BodyType.RAW
        limit = image_size if raw else encoded_size(image_size) + _WRAPPING
        return cls._checked(request, body_type, image_size, limit)

    @classmethod
    def of_many(cls, request: Request, image_size: int, limit: int) -> Self:
        """The body of a batch, by its headers.

        Raises:
            RefusedError: another content type, or a declared size beyond the limit.
        """
        body_type = _body_type(request)
        if body_type is BodyType.RAW:
            raise _unsupported("Send multipart/form-data or application/json.")
        return cls._checked(request, body_type, image_size, limit)

    @classmethod
    def of_any_type(cls, request: Request, limit: int) -> Self:
        """A body whose content type does not matter, by its headers.

        Raises:
            RefusedError: an encoding that is not read, or a declared size beyond the limit.
        """
        return cls._checked(request, BodyType.RAW, limit, limit)

    @property
    def size(self) -> int:
        """Bytes that it is known to have; where it is compressed, they are more when inflated."""
        return self.declared or 0

    async def data(self, count: Count | None = None) -> bytearray:
        """Reads all of it, inflated where it is compressed.

        Args:
            count: takes the number of bytes of each part that comes, inflated.

        Raises:
            RefusedError: it is too large, or what `count` raises.
            CallerGoneError: the caller hung up.
        """
        return await self._collect(count)

    async def image(self, count: Count | None = None) -> Image:
        """Reads one image.

        Args:
            count: takes the number of bytes of each part that comes, inflated.

        Raises:
            RefusedError: the body is too large, malformed or lacks the image, or what `count`
                raises.
            CallerGoneError: the caller hung up.
        """
        if self.type is BodyType.FORM:
            (image,) = await self._form("file", 1, count)
        elif self.type is BodyType.RAW:
            image = Image(bytes(await self._collect(count)), "body")
        else:
            reader = await self._json(1, count)
            text = parse(ImageBody, reader.close()).image
            image = _decoded(reader, text, "image", None)
            reader.check_texts()
        if image.refusal:
            raise image.refusal
        return image

    async def images(self, most: int, count: Count | None = None) -> list[Image]:
        """Reads up to `most` images, in their order; a bad image has its refusal.

        Args:
            most: more images are refused.
            count: takes the number of bytes of each part that comes, inflated.

        Raises:
            RefusedError: the body is too large, malformed or has no image, or what `count` raises.
            CallerGoneError: the caller hung up.
        """
        if self.type is BodyType.FORM:
            return await self._form("files", most, count)
        reader = await self._json(most, count)
        entries = parse(ImagesBody, reader.close()).images
        if not entries:
            raise RefusedError(Code.FIELD_MISSING, "images: the list is empty. Send one or more.")
        if len(entries) > most:
            raise RefusedError(Code.TOO_MANY_FILES, f"images: send at most {most} images.")
        images = [
            _decoded(reader, entry.image, f"images[{index}].image", entry.filename)
            for index, entry in enumerate(entries)
        ]
        reader.check_texts()
        return images

    @classmethod
    def _checked(cls, request: Request, body_type: BodyType, image_size: int, limit: int) -> Self:
        length = request.headers.get("content-length", "")
        declared = int(length) if length.isascii() and length.isdigit() else None
        if declared is not None and declared > limit:
            raise too_large("body", limit)
        coding = request.headers.get("content-encoding", "").strip().lower()
        if coding not in {"", "identity", "gzip", "x-gzip"}:
            raise RefusedError(
                Code.CONTENT_TYPE_UNSUPPORTED,
                "Content-Encoding: only gzip is read. Send the body as it is, or in gzip.",
            )
        compressed = coding in {"gzip", "x-gzip"}
        return cls(request, body_type, image_size, limit, declared, compressed)

    async def chunks(self, count: Count | None = None) -> AsyncIterator[bytes]:
        """Gives its bytes as they come, inflated where they are compressed.

        Args:
            count: takes the number of bytes of each part that comes, inflated.

        Raises:
            RefusedError: they are too many, or cannot be inflated, or what `count` raises.
            CallerGoneError: the caller hung up.
        """
        received = 0
        inflation = Inflation("body") if self.compressed else None
        try:
            async for chunk in self.request.stream():
                for piece in inflation.feed(chunk) if inflation else (chunk,):
                    received += len(piece)
                    if received > self.limit:
                        raise too_large("body", self.limit)
                    if count:
                        count(len(piece))
                    yield piece
                    if inflation:
                        # A few bytes may become many pieces; others have their turn in between.
                        await asyncio.sleep(0)
        except ClientDisconnect:
            raise CallerGoneError from None
        if inflation:
            inflation.close()

    async def _collect(self, count: Count | None) -> bytearray:
        data = bytearray()
        async for chunk in self.chunks(count):
            data += chunk
        return data

    async def _json(self, most: int, count: Count | None) -> JsonReader:
        reader = JsonReader(most, self.image_size)
        async for chunk in self.chunks(count):
            reader.feed(chunk)
        return reader

    async def _form(self, field: str, most: int, count: Count | None) -> list[Image]:
        content_type = self.request.headers["content-type"]
        reader = FormReader(content_type, field, size=self.image_size, count=most)
        async for chunk in self.chunks(count):
            reader.feed(chunk)
        images = []
        for index, part in enumerate(reader.close()):
            where = field if field == "file" else f"{field}[{index}]"
            images.append(Image(bytes(part.data), where, part.filename, part.refusal))
        return images


def _decoded(reader: JsonReader, text: str, where: str, filename: str | None) -> Image:
    try:
        return Image(reader.image(text, where), where, filename)
    except RefusedError as refusal:
        return Image(b"", where, filename, refusal)


def _body_type(request: Request) -> BodyType:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not media_type and _empty(request):
        raise RefusedError(Code.FIELD_MISSING, "file: nothing was sent. Send an image.")
    if media_type in {BodyType.FORM, BodyType.JSON}:
        return BodyType(media_type)
    if media_type == BodyType.RAW or media_type.startswith("image/"):
        return BodyType.RAW
    raise _unsupported("Send multipart/form-data, application/json, image/* or octet-stream.")


def _empty(request: Request) -> bool:
    length = request.headers.get("content-length", "0")
    return length == "0" and "transfer-encoding" not in request.headers


def _unsupported(remedy: str) -> RefusedError:
    return RefusedError(
        Code.CONTENT_TYPE_UNSUPPORTED, f"Content-Type: images cannot be read from it. {remedy}"
    )
