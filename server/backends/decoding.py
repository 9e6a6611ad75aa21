"""Decodes the images of requests: here, or costly ones in a child that may be killed."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference.decode import decode, inspect
from inference.errors import RefusedError
from inference.header import Header
from inference.rules import DecodeRules
from pipelines import protocol
from server.backends.decoder_process import DecoderProcess, give_back_memory

P = ParamSpec("P")
R = TypeVar("R")

_SECONDS_HERE = 0.3
"""Of CPU time, as the header lets expect: 30 megapixels of a usual JPEG, 7 of a PNG."""
_BYTES_IN_FLIGHT = 2**28
"""Memory of all images that threads of this process decode at once."""
_LARGE_BYTES = 2**27
"""Memory that is given back to the system after an image; below, the next image needs it again."""

_PATIENCE_SECONDS = 60
"""The gateway's usual deadline: without an end, many costly images would hold up later ones."""


class Decoder:
    """Decodes one image after the other in each thread; of costly ones, one at a time in all."""

    def __init__(self, rules: DecodeRules) -> None:
        self._rules = rules
        self._process = DecoderProcess(rules.limits)
        self._turns = Turns(_BYTES_IN_FLIGHT)
        self._waiting = ThreadPoolExecutor(1, thread_name_prefix="costly")
        # The pipeline's own limit is checked instead, before anything is decoded.
        Image.MAX_IMAGE_PIXELS = None

    def costly(self, files: Iterable[bytes]) -> bool:
        """Whether an image among these is to be decoded in the child, by the headers alone."""
        return any(map(self._is_costly, files))

    def later(self, answer: Callable[[bool], None]) -> None:
        """Calls a function when those that came before are done, and returns at once.

        For requests of costly images: the images of others overtake them.

        Args:
            answer: is told whether it waited for so long that nobody waits for the answer any more.
        """
        latest = time.monotonic() + _PATIENCE_SECONDS
        self._waiting.submit(lambda: answer(time.monotonic() > latest))

    def _is_costly(self, data: bytes) -> bool:
        try:
            return _is_costly(inspect(data, self._rules))
        except RefusedError:
            return False

    def __call__(self, data: bytes) -> dict[str, NDArray[Any]]:
        """What travels to the decision of one encoded image, by name, and what it spent.

        Raises:
            RefusedError: as `inference.decode.decode`, or it takes too much CPU time.
        """
        began, before = time.monotonic(), time.thread_time()
        header = inspect(data, self._rules)
        image, in_child = self._within_limits(header, decode, data, self._rules, header)
        seconds = time.thread_time() - before + in_child
        return image.tensors() | {protocol.SPENT: np.array([seconds, began, time.monotonic()])}

    def read(self, function: Callable[[bytes], R], data: bytes) -> tuple[R, float]:
        """What another function that decodes makes of an image which has been decoded before.

        Beside it the CPU seconds that another process took for it.

        Raises:
            RefusedError: it takes too much CPU time.
        """
        return self._within_limits(inspect(data, self._rules), function, data)

    def _within_limits(
        self, header: Header, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs
    ) -> tuple[R, float]:
        if _is_costly(header):
            return self._process.run(function, *args, **kwargs)
        with self._turns.take(header.bytes):
            result = function(*args, **kwargs)
        if header.bytes > _LARGE_BYTES:
            give_back_memory()
        return result, 0.0

    def close(self) -> None:
        """Answers what waits, and ends the child."""
        self._waiting.shutdown()
        self._process.close()


class Turns:
    """Lets threads in as long as their bytes together stay within a limit, or one alone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def take(self, count: int) -> Iterator[None]:
        """Waits for a turn, and holds it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + count <= self._limit)
            self._taken += count
        try:
            yield
        finally:
            with self._changed:
                self._taken -= count
                self._changed.notify_all()


def _is_costly(header: Header) -> bool:
    return header.seconds > _SECONDS_HERE or header.bytes > _BYTES_IN_FLIGHT
