"""The life of a candidate on two Tritons, of which each is started again in the middle of it."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from lab.releases.proof.canaries import CURRENT, GOOD, photo
from lab.releases.proof.life import Share, rows_wrong, split
from lab.releases.proof.load import Load
from lab.releases.proof.service import Running

_CALM, _NOTICED = 5.0, 3.0
"""Seconds of a phase, and until all gateways know a change."""


@dataclass
class Phase:
    """What answered after one step, once all gateways knew of it."""

    step: str
    answers: int
    wrong: int
    """By a release that the step does not have."""


@dataclass
class LifeOnTwo:
    """What was counted."""

    requests: int = 0
    failures: list[str] = field(default_factory=list)
    staged_seconds: float = 0.0
    """From the start of the command until both Tritons had loaded the candidate."""
    phases: list[Phase] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    moved_back: int = 0
    rows_wrong: int = 0

    @property
    def passed(self) -> bool:
        """Whether all of it is as it has to be."""
        return (
            not self.failures
            and all(each.within for each in self.shares)
            and self.moved_back == self.rows_wrong == sum(each.wrong for each in self.phases) == 0
        )


def run(service: Running, subjects: int, on_step: Callable[[str], None]) -> LifeOnTwo:
    """Takes a candidate from its stage to its end while all doors are asked.

    Raises:
        LabError: a command fails, or a Triton does not come back.
    """
    found, ids = LifeOnTwo(), service.world.ids
    old, new = ids[CURRENT], ids[GOOD]
    with Load(service.doors, photo(), subjects) as load:

        def phase(step: str, *releases: str) -> None:
            on_step(step)
            time.sleep(_NOTICED)
            began = time.monotonic()
            time.sleep(_CALM)
            given = Counter(each.release for each in load.answers if each.at > began)
            wrong = sum(count for release, count in given.items() if release not in releases)
            found.phases.append(Phase(step, given.total(), wrong))

        def restarted(number: int, step: str, release: str) -> None:
            """All its answers count, also those of the time when the Triton is away."""
            on_step(step)
            began = time.monotonic()
            server = service.servers[number]
            server.stop()
            server.start()
            server.wait_ready()
            _until_loaded(service, {old, new})
            time.sleep(_CALM)
            given = [each.release for each in load.answers if each.at > began]
            found.phases.append(Phase(step, len(given), len(given) - given.count(release)))

        phase("before", old)
        began = time.monotonic()
        service.must("stage", new)
        _until_loaded(service, {old, new})
        found.staged_seconds = time.monotonic() - began
        phase("stage", old)
        found.shares, found.moved_back = split(service, load, new, on_step)
        service.must("promote", "--without-gate", "a measurement")
        phase("promotion", new)
        restarted(1, "second Triton started again after it", new)
        service.must("rollback")
        phase("rollback", old)
        restarted(0, "first Triton started again after it", old)
        service.must("retire", new)
        _until_loaded(service, {old})
        phase("retirement", old)
    found.requests = len(load.answers) + len(load.failures)
    found.failures = [each.reason for each in load.failures]
    on_step(f"comparing {len(load.answers)} answers with their rows")
    found.rows_wrong = rows_wrong(service, load.answers)
    return found


def _until_loaded(service: Running, releases: set[str]) -> None:
    numbers = range(len(service.servers))
    service.until(lambda: all({*service.loaded(number)} == releases for number in numbers))
