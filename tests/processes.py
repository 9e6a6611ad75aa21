"""Starts a process for a test that sends it signals, and ends all that it leaves behind."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def child(command: list[str], **options) -> Iterator[subprocess.Popen]:
    """Starts a process that Ctrl-C ends, in a group of its own; kills the group at the end.

    A shell without job control starts `make test &` with SIGINT ignored, and every process below
    it inherits that. The child gets the default back.
    """
    with subprocess.Popen(
        command,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - one call
        **options,
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
