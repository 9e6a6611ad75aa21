"""Reads the files of a multipart form as it arrives, in memory and never from a disk."""

from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.errors import Code, RefusedError

_STRAY_PARTS = 16


@dataclass(slots=True)
class Part:
    """One file as sent."""

    data: bytearray
    filename: str | None
    too_large: bool = False
    """It is larger than the limit; its bytes were dropped."""


class FormReader:
    """Collects the parts of one field; what is beyond a limit is dropped while it arrives."""

    def __init__(self, content_type: str, field: str, *, size: int, count: int) -> None:
        """Prepares to read a form.

        Args:
            content_type: the header, with the form's boundary.
            field: name of the field that is read.
            size: largest size of one part, in bytes.
            count: largest number of parts of that name.

        Raises:
            RefusedError: the header has no usable boundary.
        """
        self._field, self._size, self._count = field, size, count
        self._parts: list[Part] = []
        self._strays = 0
        self._ended = False
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition = b""
        self._part: Part | None = None
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise _malformed("has no boundary in its content type")
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_end": self._on_end,
                },
            )
        except FormParserError:
            raise _malformed("has a boundary that is too long") from None

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes of the body.

        Raises:
            RefusedError: they are not a multipart form, or have too many parts.
        """
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise _malformed("is no valid multipart form") from None

    def close(self) -> list[Part]:
        """The parts, once the body has ended.

        Raises:
            RefusedError: the form is cut short, lacks the field or has other fields.
        """
        if not self._ended:
            raise _malformed("ends before the form does")
        if not self._parts:
            raise RefusedError(
                Code.FIELD_MISSING,
                f"{self._field}: missing. Send the image in a form field named {self._field}.",
            )
        if self._strays:
            raise RefusedError(
                Code.PARAMETER_UNKNOWN,
                f"body: the form has fields other than {self._field}. "
                "Remove them; parameters go into the query string.",
            )
        return self._parts

    def _on_part_begin(self) -> None:
        self._disposition = b""
        self._part = None

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _on_headers_finished(self) -> None:
        options = parse_options_header(self._disposition)[1]
        if _text(options.get(b"name", b"")) != self._field:
            self._strays += 1
            if self._strays > _STRAY_PARTS:
                raise _malformed(f"has too many fields other than {self._field}")
            return
        if len(self._parts) == self._count:
            only = "one file" if self._count == 1 else f"at most {self._count} files"
            more = " Many go to predict/batch." if self._count == 1 else ""
            raise RefusedError(Code.TOO_MANY_FILES, f"{self._field}: send {only}.{more}")
        filename = options.get(b"filename")
        self._part = Part(bytearray(), None if filename is None else _text(filename))
        self._parts.append(self._part)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        if part is None or part.too_large:
            return
        if len(part.data) + end - start > self._size:
            part.too_large = True
            part.data.clear()
            return
        part.data += memoryview(data)[start:end]

    def _on_end(self) -> None:
        self._ended = True


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _malformed(problem: str) -> RefusedError:
    return RefusedError(Code.MALFORMED_BODY, f"body: it {problem}. Send multipart/form-data anew.")
