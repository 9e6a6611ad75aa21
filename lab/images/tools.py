"""Runs the programs that build and run images."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

_LAST_LINES = 15


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    code: int
    output: str
    """What it printed, on stdout and stderr in the order in which it came."""


def require(names: Iterable[str]) -> None:
    """Checks that programs are there.

    Raises:
        LabError: some are not; the text says how they are installed.
    """
    if missing := [name for name in names if shutil.which(name) is None]:
        raise LabError(
            f"not installed: {', '.join(missing)}: run `apt-get install {' '.join(missing)}` as "
            "root (Debian, Ubuntu)"
        )


def ran(
    words: Sequence[str | Path],
    *,
    seconds: float = 900,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Runs a program to its end.

    Raises:
        LabError: it is not done after `seconds`.
    """
    try:
        done = subprocess.run(
            [str(word) for word in words],
            env=os.environ | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"{words[0]}: not done after {seconds:.0f} s") from None
    return Ended(done.returncode, done.stdout)


def succeed(
    words: Sequence[str | Path],
    *,
    seconds: float = 900,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Runs a program that must end well, and gives what it printed.

    Raises:
        LabError: it failed, or is not done after `seconds`; the text has its last lines.
    """
    ended = ran(words, seconds=seconds, environment=environment)
    if ended.code != 0:
        said = "\n".join(f"  {line}" for line in ended.output.splitlines()[-_LAST_LINES:])
        raise LabError(f"{words[0]} failed with code {ended.code}; its last lines:\n{said}")
    return ended.output
