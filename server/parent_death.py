"""Starts a child process that ends when its parent dies: `parent_death.py PARENT COMMAND ...`.

A launcher that is killed with -9 can stop nobody; the kernel can. The setting survives exec. It is
made here, in a process of its own, because the launcher has threads when it starts its children.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
_UMASK = 0o077


def start(
    command: list[str],
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    output: IO[bytes] | None = None,
) -> "subprocess.Popen[bytes]":
    """Starts `command`, which gets SIGTERM when this process dies.

    It is in a session of its own, so that Ctrl-C in the terminal reaches the launcher alone. The
    files that it creates only its user may read: images, records and logs are among them.

    Args:
        command: the program and its arguments.
        folder: where it runs; None: here.
        environment: of it; None: ours.
        output: takes what it prints; None: ours.
    """
    return subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        umask=_UMASK,
    )


def main(parent: int, command: list[str]) -> None:
    """Asks for SIGTERM at the parent's death, then becomes the command."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")
    if os.getppid() != parent:  # it died before the line above
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
