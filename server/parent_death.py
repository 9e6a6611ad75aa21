"""Ends a child process when its parent dies: `parent_death.py PARENT COMMAND [ARGUMENT ...]`.

A launcher that is killed with -9 can stop nobody; the kernel can. The setting survives exec. It is
made here, in a process of its own, because the launcher has threads when it starts its children.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def ending_with_us(command: list[str]) -> list[str]:
    """A command that runs `command`, and gets SIGTERM when this process dies."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def main(parent: int, command: list[str]) -> None:
    """Asks for SIGTERM at the parent's death, then becomes the command."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        raise OSError(ctypes.get_errno(), "prctl failed")
    if os.getppid() != parent:  # it died before the line above
        sys.exit(1)
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
