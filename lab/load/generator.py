"""Starts and commands `python -m lab.load`, a load generator in its own process."""

import json
import selectors
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.errors import ContenderError
from lab.load.__main__ import Target
from lab.load.scheduled import Limits
from lab.service.process_tree import ProcessTree

_ANSWER_WITHIN = 240.0


@dataclass(frozen=True)
class First:
    """A contender's first answer, or why there was none."""

    at: float | None = None
    """When it came (`time.monotonic`)."""
    apart: float = 0.0
    """Largest difference of a probability from the reference."""
    failed: str = ""


class Generator:
    """Asks one contender about photos."""

    def __init__(self, target: Target, root: Path, log: Path) -> None:
        self._tree = ProcessTree(
            [sys.executable, "-m", "lab.load"],
            environment={},
            folder=root,
            log=log,
            pipes=True,
        )
        talk(self._tree, asdict(target))

    def stop(self) -> None:
        """Ends the process."""
        self._tree.stop()

    def first(self, timeout: float) -> First:
        """Waits so many seconds for the first answer.

        Raises:
            ContenderError: the generator itself ended.
        """
        return First(**talk(self._tree, {"what": "first", "timeout": timeout}))

    def check(self, concurrency: int) -> float:
        """Asks about all photos; the largest difference of a probability from the reference.

        Raises:
            ContenderError: a photo was not answered.
        """
        answer = talk(self._tree, {"what": "check", "concurrency": concurrency})
        if answer["errors"]:
            raise ContenderError(f"photos were refused: {next(iter(answer['errors']))}")
        apart: float = answer["apart"]
        return apart

    def warm(self, concurrency: int) -> None:
        """A wave of requests that do not count."""
        talk(self._tree, {"what": "warm", "concurrency": concurrency})

    def cell(self, concurrency: int, seconds: float) -> dict[str, Any]:
        """One measured loop; see `lab.load`."""
        return talk(self._tree, {"what": "cell", "concurrency": concurrency, "seconds": seconds})

    def closed(self, concurrency: int, *, seconds: float = 0.0, fewest: int = 0) -> dict[str, Any]:
        """A closed loop for so long, of so many requests at least; see `lab.load`."""
        words = {"concurrency": concurrency, "seconds": seconds, "fewest": fewest}
        return talk(self._tree, {"what": "closed", **words})

    def scheduled(self, gaps: Sequence[float], limits: Limits) -> dict[str, Any]:
        """An open loop; see `lab.load`.

        Raises:
            ContenderError: some requests did not end.
        """
        words = {"gaps": list(gaps), "limits": asdict(limits)}
        within = sum(gaps) + limits.drain + _ANSWER_WITHIN
        answer = talk(self._tree, {"what": "scheduled", **words}, within)
        if answer["pending"]:
            raise ContenderError(
                f"{answer['pending']} requests had no answer {limits.drain:g} s after the last one"
            )
        return answer


def talk(
    tree: ProcessTree, words: dict[str, Any], within: float = _ANSWER_WITHIN
) -> dict[str, Any]:
    """One line of JSON to a process that talks, and one back.

    Args:
        tree: the process.
        words: what it is told.
        within: seconds for its answer.

    Raises:
        ContenderError: it ended, or did not answer in time.
    """
    process = tree.process
    if process.stdin is None or process.stdout is None:
        raise ValueError("this process does not talk")
    try:
        process.stdin.write(json.dumps(words) + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        raise ContenderError(f"the process ended:\n{tree.log_tail()}") from None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(within):
            raise ContenderError(f"no answer within {within:g} s")
    line = process.stdout.readline()
    if not line:
        raise ContenderError(f"the process ended:\n{tree.log_tail()}")
    answer: dict[str, Any] = json.loads(line)
    return answer
