"""A child process that decodes costly images, and may be killed without hurting its neighbours.

The kernel ends it when an image takes more CPU time than it may, or its parent dies.
"""

import ctypes
import importlib
import math
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import psutil
from PIL import Image

from inference.errors import RefusedError
from pipelines.decoding_limits import DecodingLimits
from pipelines.protocol import Refusal

P = ParamSpec("P")
R = TypeVar("R")

_TRIES = 2
"""A child that somebody else ended is replaced once."""
_LOOK_SECONDS = 1.0
"""Between looks whether a child that does not answer is stopped."""
_SEND_SECONDS = 10
"""For which a child may take no bytes of an image."""
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL}
_IDLE_SECONDS = 60
"""After which a child ends, and gives all its memory back."""
_SPARE_BYTES = 2**28
"""Beyond the limit of an image: the encoded file, and what is copied for the answer."""
_NICE = 5
"""Images that are decoded in process come first."""
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class _Task:
    """What the child is to do, and what it may take."""

    function: Callable[[], Any]
    cpu_seconds: int
    memory: int


class DecoderProcess:
    """At most one child, which starts with the first image; threads wait for each other."""

    def __init__(self, limits: DecodingLimits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        # Of now: the thread that starts the child may be bound to one core by then.
        self._cores = os.sched_getaffinity(0)
        self._child: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    @property
    def pid(self) -> int | None:
        """Of the child; None where there is none."""
        return self._child.pid if self._child else None

    def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> tuple[R, float]:
        """What a function of a module gives for these arguments in the child, and its CPU seconds.

        Raises:
            RefusedError: the function's, or because it took too much.
            RuntimeError: no child can be started.
        """
        task = _Task(
            partial(function, *args, **kwargs), self._limits.cpu_seconds, self._limits.decoded_bytes
        )
        with self._lock:
            answer: tuple[R, float] = self._run(task)
        return answer

    def close(self) -> None:
        """Ends the child."""
        with self._lock:
            self._end()

    def _run(self, task: _Task) -> tuple[Any, float]:
        code = 0
        for _try in range(_TRIES):
            with suppress(EOFError, OSError):
                return self._answer(task)
            code = self._end()
            if code == -signal.SIGXCPU:
                raise _too_costly(f"takes more than {self._limits.cpu_seconds} s of CPU time")
            if -code in _CRASHES:
                raise RefusedError(
                    Refusal.IMAGE_UNDECODABLE,
                    "the image's data cannot be decoded. Save the image again and send that.",
                )
        if code > 0:
            raise RuntimeError(f"the process that decodes costly images ended with {code}")
        raise _too_costly("took more memory or time than there was")

    def _answer(self, task: _Task) -> tuple[Any, float]:
        if self._connection is None or self._child is None or self._child.poll() is not None:
            self._start()
        connection = self._ready()
        connection.send(task)
        connection = self._ready(answers=True)
        refusal, result, seconds = connection.recv()
        if refusal:
            raise RefusedError(*refusal)
        return result, seconds

    def _ready(self, *, answers: bool = False) -> Connection:
        """The connection to a child that runs; waits for its answer if asked to.

        Raises:
            OSError: it does not run.
        """
        if self._connection is None or self._child is None:
            raise OSError("there is no child")
        while True:
            with suppress(psutil.Error):  # it has ended, which the connection tells
                if psutil.Process(self._child.pid).status() == psutil.STATUS_STOPPED:
                    raise OSError("the child is stopped")
            if not answers or self._connection.poll(_LOOK_SECONDS):
                return self._connection

    def _start(self) -> None:
        self._end()
        ours, theirs = socket.socketpair()
        # Bytes that a stopped child does not take must not stop its parent.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _SEND_SECONDS, 0))
        cores = ",".join(map(str, sorted(self._cores)))
        with theirs:
            self._child = subprocess.Popen(
                [_python(), "-m", __name__, str(os.getpid()), str(theirs.fileno()), cores],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                                  "OPENBLAS_NUM_THREADS": "1"},
            )  # fmt: skip
        self._connection = Connection(ours.detach())
        self._ready(answers=True).recv()

    def _end(self) -> int:
        """Ends the child where it has not ended; its exit code."""
        child, connection = self._child, self._connection
        self._child = self._connection = None
        if connection:
            connection.close()
        if child is None:
            return 0
        with suppress(subprocess.TimeoutExpired):
            # It closes its end of the connection a moment before it is gone.
            return child.wait(0.5)
        child.kill()
        return child.wait()


def _too_costly(problem: str) -> RefusedError:
    return RefusedError(
        Refusal.IMAGE_TOO_COSTLY,
        f"decoding the image {problem}. Send a smaller image, saved as a common JPEG.",
    )


def _python() -> str:
    """The interpreter; a process that embeds Python may not know its own."""
    if sys.executable and Path(sys.executable).name.startswith("python"):
        return sys.executable
    return shutil.which("python3") or "python3"


def give_back_memory() -> None:
    """Hands what was freed back to the system."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _serve(connection: Connection) -> None:
    """Answers tasks until nobody asks."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection.send(None)
    start = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    while connection.poll(_IDLE_SECONDS):
        try:
            task: _Task = connection.recv()
        except EOFError:
            return
        began = time.process_time()
        resource.setrlimit(
            resource.RLIMIT_CPU, (math.ceil(began) + task.cpu_seconds, resource.RLIM_INFINITY)
        )
        memory = start + task.memory + _SPARE_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (memory, resource.RLIM_INFINITY))
        refusal = result = None
        try:
            result = task.function()
        except RefusedError as error:
            refusal = (error.code, error.text)
        connection.send((refusal, result, time.process_time() - began))
        del task, result
        give_back_memory()


def main(parent: int, descriptor: int, cores: list[int]) -> None:
    """Runs the child.

    Args:
        parent: process id; the child ends with it.
        descriptor: of the socket to the parent.
        cores: that it may run on.
    """
    # Also sent when the thread ends that started this process; the next image starts another.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    os.sched_setaffinity(0, cores)
    os.nice(_NICE)
    # Now, so that its memory does not count as an image's.
    importlib.import_module("inference.decode")
    # The pipeline's own limit is checked instead, before anything is decoded.
    Image.MAX_IMAGE_PIXELS = None
    with suppress(BrokenPipeError, ConnectionResetError):
        _serve(Connection(descriptor))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), [int(core) for core in sys.argv[3].split(",")])
