"""Reads the files of a multipart form as it arrives, in memory and never from a disk."""

import binascii
from dataclasses import dataclass
from email.message import Message

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.errors import Code, RefusedError, too_large
from gateway.http.base64_image import Base64Image
from pipelines.protocol import Parameter

_FURTHER_PARTS = 64
_PARAMETERS = {str(parameter) for parameter in Parameter}
_PREAMBLE = 64 * 1024
"""Most bytes before the first boundary."""
_PLAIN = {"", "binary", "8bit", "7bit"}
_ENCODED = {"base64", "quoted-printable"}
"""The values of Content-Transfer-Encoding that are read."""


def encoded_size(size: int) -> int:
    """Most bytes that base64 makes of `size` bytes, with its line ends."""
    return size * 4 // 3 * 78 // 76 + 8


@dataclass(slots=True)
class Part:
    """One file as sent."""

    data: bytearray
    filename: str | None
    encoding: str = ""
    """Its Content-Transfer-Encoding, in small letters."""
    refusal: RefusedError | None = None
    """Why it is not read; its bytes were dropped."""


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
        self._further = 0
        self._parameters = False
        self._other_files = False
        self._preamble: bytearray | None = bytearray(b"\r\n")
        """What came before the first boundary; None once that has come."""
        self._encoding = b""
        self._ended = False
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition = b""
        self._part: Part | None = None
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        self._delimiter = b"\r\n--" + boundary
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
                    "on_part_end": self._on_part_end,
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
        if self._preamble is not None:
            self._preamble += chunk
            chunk = self._from_first_boundary()
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise _malformed("is no valid multipart form") from None

    def close(self) -> list[Part]:
        """The parts, decoded, once the body has ended.

        Raises:
            RefusedError: the form is cut short, lacks the field, or has a parameter or a file
                in another field.
        """
        if not self._ended:
            raise _malformed("ends before the form does")
        if not self._parts:
            raise RefusedError(
                Code.FIELD_MISSING,
                f"{self._field}: missing. Send the image in a form field named {self._field}.",
            )
        if self._parameters:
            raise RefusedError(
                Code.PARAMETER_UNKNOWN,
                "body: the form has a parameter among its fields. "
                "Parameters go into the query string.",
            )
        if self._other_files:
            raise RefusedError(
                Code.PARAMETER_UNKNOWN,
                f"body: the form has a file in a field other than {self._field}. Remove it.",
            )
        for index, part in enumerate(self._parts):
            where = self._field if self._count == 1 else f"{self._field}[{index}]"
            self._decode(part, where)
        return self._parts

    def _from_first_boundary(self) -> bytes:
        """The body from its first boundary on, without the padding behind that (RFC 2046)."""
        assert self._preamble is not None  # noqa: S101 - asked for while there is one
        seen = bytes(self._preamble)
        at = seen.find(self._delimiter)
        while at >= 0:
            line, end, rest = seen[at + len(self._delimiter) :].partition(b"\r\n")
            text = line.strip(b" \t")
            if end and text in {b"", b"--"}:
                self._preamble = None
                return self._delimiter[2:] + text + end + rest
            if not end and text in {b"", b"-", b"--"}:
                # Its line is not complete, unless this is the end of an empty form.
                break
            at = seen.find(self._delimiter, at + 1)
        if len(seen) > _PREAMBLE:
            raise _malformed("is no valid multipart form")
        return b""

    def _decode(self, part: Part, where: str) -> None:
        if part.refusal is None and part.encoding == "base64":
            try:
                image = Base64Image(self._size)
                image.feed(bytes(part.data))
                part.data = bytearray(image.close(where))
            except RefusedError as refusal:
                part.refusal = refusal
        elif part.encoding == "quoted-printable":
            part.data = bytearray(binascii.a2b_qp(part.data))
        elif part.encoding not in _PLAIN | _ENCODED:
            part.refusal = RefusedError(
                Code.CONTENT_TYPE_UNSUPPORTED,
                f"{where}: its Content-Transfer-Encoding is not read. "
                "Send the file's bytes as they are.",
            )
        if part.refusal is None and len(part.data) > self._size:
            part.refusal = too_large(where, self._size)

    def _on_part_begin(self) -> None:
        self._disposition = self._encoding = b""
        self._part = None

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        name = self._header_name.lower()
        if name == b"content-disposition":
            self._disposition = bytes(self._header_value)
        elif name == b"content-transfer-encoding":
            self._encoding = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _on_headers_finished(self) -> None:
        options = parse_options_header(self._disposition)[1]
        field = _text(options.get(b"name", b""))
        filename = _filename(self._disposition, options)
        if field != self._field:
            self._check_further(field, filename)
            return
        encoding = self._encoding.decode("latin-1").strip().lower()
        self._part = Part(bytearray(), filename, encoding)
        self._parts.append(self._part)
        if filename != "":
            self._check_count()

    def _check_further(self, field: str, filename: str | None) -> None:
        """Counts a field that is dropped, and notes what would have changed the answer."""
        self._further += 1
        if self._further > _FURTHER_PARTS:
            raise _malformed(f"has too many fields other than {self._field}")
        self._parameters |= field in _PARAMETERS
        self._other_files |= bool(filename)

    def _check_count(self) -> None:
        if len(self._parts) > self._count:
            only = "one file" if self._count == 1 else f"at most {self._count} files"
            more = " Many go to predict/batch." if self._count == 1 else ""
            raise RefusedError(Code.TOO_MANY_FILES, f"{self._field}: send {only}.{more}")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self._part
        if part is None or part.refusal:
            return
        self._check_count()
        most = encoded_size(self._size) if part.encoding in _ENCODED else self._size
        if len(part.data) + end - start > most:
            part.refusal = too_large(self._field, self._size)
            part.data.clear()
            return
        part.data += memoryview(data)[start:end]

    def _on_part_end(self) -> None:
        # A browser sends a file field that was left empty as a file without a name.
        if self._part is not None and self._part.filename == "" and not self._part.data:
            self._parts.remove(self._part)

    def _on_end(self) -> None:
        self._ended = True


def _filename(disposition: bytes, options: dict[bytes, bytes]) -> str | None:
    """The name of the file, which some programs write by RFC 2231."""
    plain = options.get(b"filename")
    if plain is not None or b"filename*" not in disposition.lower():
        return None if plain is None else _text(plain)
    header = Message()
    header["Content-Disposition"] = _text(disposition)
    return header.get_filename()


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _malformed(problem: str) -> RefusedError:
    return RefusedError(Code.MALFORMED_BODY, f"body: it {problem}. Send multipart/form-data anew.")
