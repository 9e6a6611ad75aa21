"""Decodes one image from base64 as it arrives: memory is taken by what it becomes alone."""

import binascii
import re

from gateway.errors import Code, RefusedError, too_large

_DATA_URL = re.compile(rb"data:[^,]{0,200};base64,", re.IGNORECASE)
_LONGEST_START = 256
"""Bytes that the start of a data: URL may have, and some more."""
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_SPACE = b" \t\n\r\v\f"


class Base64Image:
    """Takes base64 or base64url, with or without its padding; white space in it is ignored."""

    def __init__(self, limit: int) -> None:
        """Keeps at most `limit` bytes of the image."""
        self._limit = limit
        self._data = bytearray()
        self._start: bytes | None = b""
        """What came so far, until it is known whether it starts a data: URL."""
        self._carry = b""
        """Digits that are no four yet."""
        self._padding = 0
        self._malformed = self._too_large = False

    def feed(self, text: bytes) -> None:
        """Takes the next part of the text."""
        if self._start is not None:
            self._start += text
            if len(self._start) < _LONGEST_START:
                return
            text = self._without_start()
        self._decode(text)

    def feed_digits(self, text: bytes) -> bool:
        """Takes the next part of the text if it is plain base64, quickly; returns whether it is."""
        digits = text.rstrip(b"=")
        padding = len(text) - len(digits)
        if self._start is not None or self._padding or padding > 2 or b"=" in digits:  # noqa: PLR2004
            return False
        digits = self._carry + digits
        whole = len(digits) - len(digits) % 4
        try:
            decoded = binascii.a2b_base64(digits[:whole], strict_mode=True)
            # Those that are carried to the next part must be digits, too.
            binascii.a2b_base64(digits[whole:].ljust(4, b"A"), strict_mode=True)
        except ValueError:
            return False
        self._carry, self._padding = digits[whole:], padding
        self._keep(decoded)
        return True

    def close(self, where: str) -> bytes:
        """The image.

        Args:
            where: the input's name for problem details.

        Raises:
            RefusedError: the text is not base64, or the image is larger than the limit.
        """
        if self._start is not None:
            self._decode(self._without_start())
        missing = -len(self._carry) % 4
        if self._padding in {0, missing}:
            self._append(self._carry + b"=" * missing)
        else:
            self._malformed = True
        if self._too_large:
            raise too_large(where, self._limit)
        if self._malformed:
            raise RefusedError(
                Code.MALFORMED_BODY,
                f"{where}: it is not valid base64. Encode the file's bytes anew.",
            )
        return bytes(self._data)

    def _without_start(self) -> bytes:
        text, self._start = self._start or b"", None
        header = _DATA_URL.match(text)
        return text[header.end() :] if header else text

    def _decode(self, text: bytes) -> None:
        if self._malformed or self._too_large:
            return
        digits = text.translate(_URL_SAFE, _SPACE)
        if self._padding:
            digits, padding = b"", digits
        else:
            digits, equals, rest = digits.partition(b"=")
            padding = equals + rest
        self._padding += len(padding)
        if padding.strip(b"=") or self._padding > 2:  # noqa: PLR2004 - of four digits
            self._malformed = True
            return
        digits = self._carry + digits
        whole = len(digits) - len(digits) % 4
        self._carry = digits[whole:]
        self._append(digits[:whole])

    def _append(self, digits: bytes) -> None:
        try:
            self._keep(binascii.a2b_base64(digits, strict_mode=True))
        except ValueError:
            self._malformed = True
            self._data.clear()

    def _keep(self, decoded: bytes) -> None:
        self._too_large = self._too_large or len(self._data) + len(decoded) > self._limit
        if self._too_large:
            self._data.clear()
        elif not self._malformed:
            self._data += decoded
