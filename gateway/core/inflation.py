"""Inflates a body or a message in gzip, in pieces and within a ratio."""

import zlib
from collections.abc import Iterator

from gateway.errors import Code, RefusedError

GREATEST_RATIO = 100
"""How many times its size a body may inflate to: more is made to exhaust memory. Photos inflate to
about their own size, images that are not compressed to ten times."""
_PIECE = 64 * 1024
"""Largest piece, in bytes. Bodies below it are not held to the ratio."""
_GZIP = 16 + zlib.MAX_WBITS


class Inflation:
    """One body, of one gzip member or several behind each other."""

    def __init__(self, what: str) -> None:
        """Begins one.

        Args:
            what: the input's name for problem details.
        """
        self._what = what
        self._member = zlib.decompressobj(_GZIP)
        self._taken = self._made = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Gives what the next bytes of the body become.

        Raises:
            RefusedError: they are not gzip, or inflate by more than `GREATEST_RATIO`.
        """
        self._taken += len(chunk)
        rest = chunk
        while rest:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            try:
                piece = self._member.decompress(rest, _PIECE)
            except zlib.error:
                raise self._malformed() from None
            self._made += len(piece)
            if self._made > max(self._taken * GREATEST_RATIO, _PIECE):
                raise RefusedError(
                    Code.BODY_TOO_LARGE,
                    f"{self._what}: it inflates to more than {GREATEST_RATIO} times its size. "
                    "Send it without compression.",
                )
            if piece:
                yield piece
            rest = self._member.unused_data or self._member.unconsumed_tail

    def close(self) -> None:
        """Ends the body.

        Raises:
            RefusedError: it was cut short.
        """
        if not self._member.eof:
            raise self._malformed()

    def _malformed(self) -> RefusedError:
        return RefusedError(
            Code.MALFORMED_BODY,
            f"{self._what}: it is not valid gzip. Send all of it, compressed anew.",
        )
