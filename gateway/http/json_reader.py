"""Reads a JSON body as it arrives: images are decoded at once, the small rest is left to a parser.

A text longer than anything but an image is taken out of the JSON, and a name that no caller can
guess is put in its place. What is built of the rest is bounded: its bytes, values and objects.
"""

import codecs
import json
import secrets

from gateway.errors import Code, RefusedError
from gateway.http.base64_image import Base64Image

LONGEST_TEXT = 8 * 1024
"""Longest text, as sent, that is not an image for sure: a file name of 1024 characters in escapes
takes 6 KiB."""
_WRAPPING = 64 * 1024
"""Bytes that the JSON around its texts may have."""
_VALUES, _VALUES_OF_OBJECT = 64, 8
"""Values that a body may have, and more of them for each object."""
_PIECE = 64 * 1024
_CONTROLS = bytes(range(0x20))
_QUOTE, _BACKSLASH = b'"', b"\\"
_ESCAPE = len(b"\\u0000")


class JsonReader:
    """One body, in UTF-8, UTF-16 or UTF-32."""

    def __init__(self, images: int, image_size: int, objects: int | None = None) -> None:
        """Sets the limits.

        Args:
            images: at most.
            image_size: bytes of one image, at most.
            objects: at most, with the outermost one; by default one for each image.
        """
        self._images, self._image_size = images, image_size
        self._most_objects = objects or images + 1
        self._most_values = _VALUES + _VALUES_OF_OBJECT * self._most_objects
        self._objects = self._values = 0
        self._rest_size = _WRAPPING + images * LONGEST_TEXT
        self._name = secrets.token_hex(16)
        self._long: list[Base64Image] = []
        self._taken = 0
        self._rest = bytearray()
        self._in_text = False
        self._text = bytearray()
        self._image: Base64Image | None = None
        self._held = b""
        """Bytes that mean something only with those that follow."""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._encoding = ""

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes of the body.

        Raises:
            RefusedError: it is not JSON, or has more in it than images.
        """
        for start in range(0, len(chunk), _PIECE):
            self._take(chunk[start : start + _PIECE])

    def close(self) -> bytes:
        """The JSON without its images, in UTF-8.

        Raises:
            RefusedError: it is not JSON, or has more in it than images.
        """
        if not self._encoding:
            piece, self._held = self._held, b""
            self._encoding = json.detect_encoding(piece)
            self._read(self._utf_8(piece))
        if self._decoder:
            self._read(self._utf_8(b"", final=True))
        if self._in_text:
            raise no_json()
        return bytes(self._rest)

    def image(self, text: str, where: str) -> bytes:
        """The image of a text in the JSON.

        Raises:
            RefusedError: the text is not base64, or the image is too large.
        """
        if text.startswith(self._name):
            self._taken += 1
            return self._long[int(text.removeprefix(self._name))].close(where)
        image = Base64Image(self._image_size)
        image.feed(text.encode("utf-8", "surrogatepass"))
        return image.close(where)

    def check_texts(self) -> None:
        """Refuses a body with a long text that was not asked for as an image.

        Raises:
            RefusedError: there is one.
        """
        if self._taken != len(self._long):
            raise RefusedError(
                Code.MALFORMED_BODY,
                f"body: a text other than an image has more than {LONGEST_TEXT} bytes, or a key "
                "is there twice. Send images alone.",
            )

    def _take(self, piece: bytes) -> None:
        if not self._encoding:
            self._held += piece
            if len(self._held) < len("    "):
                return
            piece, self._held = self._held, b""
            self._encoding = json.detect_encoding(piece)
        self._read(self._utf_8(piece))

    def _utf_8(self, piece: bytes, *, final: bool = False) -> bytes:
        if self._encoding == "utf-8":
            return piece
        if self._decoder is None:
            self._decoder = codecs.getincrementaldecoder(self._encoding)()
        try:
            return self._decoder.decode(piece, final).encode("utf-8")
        except UnicodeError:
            raise no_json() from None

    def _read(self, piece: bytes) -> None:
        data, at = self._held + piece, 0
        self._held = b""
        while at < len(data):
            if self._in_text:
                at = self._read_text(data, at)
            else:
                quote = data.find(_QUOTE, at)
                end = len(data) if quote < 0 else quote + 1
                self._add(data[at:end])
                self._in_text, at = quote >= 0, end

    def _read_text(self, data: bytes, start: int) -> int:
        """Reads a text up to its end or that of the data; returns where that is."""
        end = _text_end(data, start)
        if end < 0:
            held = _partial_escape(data, start)
            self._held = data[len(data) - held :]
            self._extend(data[start : len(data) - held])
            return len(data)
        self._extend(data[start:end])
        if self._image is None:
            self._rest += self._text
        else:
            self._rest += f"{self._name}{len(self._long)}".encode("ascii")
            self._long.append(self._image)
        self._text.clear()
        self._image = None
        self._rest += _QUOTE
        self._in_text = False
        return end + 1

    def _extend(self, part: bytes) -> None:
        """Takes a part of a text; escapes in it are whole."""
        if self._image is None:
            self._text += part
            if len(self._text) <= LONGEST_TEXT:
                return
            if len(self._long) == self._images:
                raise _too_many_images(self._images)
            self._image = Base64Image(self._image_size)
            part = bytes(self._text)
            self._text.clear()
        if not self._image.feed_digits(part):
            self._image.feed(_unescaped(part))

    def _add(self, part: bytes) -> None:
        """Takes what is between two texts."""
        self._rest += part
        objects = part.count(b"{")
        self._objects += objects
        self._values += objects + part.count(b"[") + part.count(b",")
        if self._objects > self._most_objects:
            raise _too_many_images(self._images)
        if self._values > self._most_values or len(self._rest) > self._rest_size:
            raise RefusedError(
                Code.MALFORMED_BODY, "body: it has too many values. Send images alone."
            )


def no_json() -> RefusedError:
    """The refusal of a body that is not JSON."""
    return RefusedError(Code.MALFORMED_BODY, "body: it is not valid JSON. Send a JSON object.")


def _too_many_images(most: int) -> RefusedError:
    return RefusedError(Code.TOO_MANY_FILES, f"images: send at most {most}.")


def _text_end(data: bytes, start: int) -> int:
    """Where the quote is that ends a text; -1 where it is not in the data."""
    quote = data.find(_QUOTE, start)
    while quote >= 0:
        if not (quote - len(data[start:quote].rstrip(_BACKSLASH)) - start) % 2:
            return quote
        start = quote + 1
        quote = data.find(_QUOTE, start)
    return -1


def _partial_escape(data: bytes, start: int) -> int:
    """How many bytes at the end of the data are the beginning of an escape."""
    at = data.rfind(_BACKSLASH, max(start, len(data) - _ESCAPE + 1))
    if at < 0 or (at - len(data[start:at].rstrip(_BACKSLASH)) - start) % 2:
        return 0
    tail = data[at:]
    return len(tail) if len(tail) == 1 or tail[1:2] == b"u" else 0


def _unescaped(part: bytes) -> bytes:
    if _BACKSLASH not in part:
        if len(part.translate(None, _CONTROLS)) != len(part):
            raise no_json()
        return part
    try:
        # Of base64 all bytes are ASCII; others are refused behind.
        text: str = json.loads('"' + part.decode("latin-1") + '"')
    except ValueError:
        raise no_json() from None
    return text.encode("utf-8", "surrogatepass")
