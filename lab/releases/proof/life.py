"""The life of a candidate under steady load over both doors of two gateways."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from scipy.stats import binomtest
from sqlalchemy import select

from database.engine import open_engine, reading
from database.tables import predictions
from lab.releases.proof.canaries import CURRENT, GOOD, photo
from lab.releases.proof.load import Answer, Load
from lab.releases.proof.memory import Memory, look, stayed, warm_up
from lab.releases.proof.service import Running

SHARES = (10, 20)
_CALM, _NOTICED = 5.0, 3.0
"""Seconds of a phase, and until all gateways know a change."""
_CONFIDENCE = 0.99
_AT_ONCE = 500
OnStep = Callable[[str], None]


@dataclass
class Share:
    """One round, in which each subject was asked once."""

    percent: int
    subjects: int
    answered: int
    """By the candidate."""
    low: float
    high: float
    """Of the exact binomial interval."""

    @property
    def within(self) -> bool:
        """Whether the interval holds the share that was asked for."""
        return self.low <= self.percent / 100 <= self.high

    @classmethod
    def of(cls, percent: int, given: Mapping[int, str], candidate: str) -> Self:
        """Counts a round, of which `given` has the release of each subject."""
        answered = sum(release == candidate for release in given.values())
        interval = binomtest(answered, len(given)).proportion_ci(_CONFIDENCE, "exact")
        return cls(percent, len(given), answered, interval.low, interval.high)


@dataclass
class Life:
    """What was counted."""

    requests: int = 0
    failures: list[str] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    moved_back: int = 0
    """Subjects whom the candidate answered at the smaller share, and not at the larger one."""
    wrong_releases: int = 0
    """Answers by a release that the phase does not have."""
    rollback_seconds: float = 0.0
    """From the start of the command to the last answer of the release that was rolled back."""
    rows_wrong: int = 0
    """Answers whose row is missing, or names another release."""
    memory_before: Memory = field(default_factory=dict)
    memory_after: Memory = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether all of it is as it has to be."""
        return (
            not self.failures
            and all(each.within for each in self.shares)
            and self.moved_back == self.wrong_releases == self.rows_wrong == 0
            and stayed(self.memory_before, self.memory_after)
        )


def run(service: Running, subjects: int, on_step: OnStep) -> Life:
    """Takes a candidate from its stage to its end while all doors are asked.

    Raises:
        LabError: a command fails.
    """
    found, ids = Life(), service.world.ids
    old, new = ids[CURRENT], ids[GOOD]
    with Load(service.doors, photo(), subjects) as load:

        def calm(*releases: str) -> None:
            """A phase in which no other release may answer."""
            time.sleep(_NOTICED)
            began = time.monotonic()
            time.sleep(_CALM)
            late = [each for each in load.answers if each.at > began]
            found.wrong_releases += sum(each.release not in releases for each in late)

        on_step("warming up")
        warm_up(load)
        calm(old)
        found.memory_before = look(service)
        service.must("stage", new)
        calm(old)
        on_step("copies of all images for the candidate")
        service.must("shadow", "100")
        calm(old)
        service.must("shadow", "0")
        calm(old)
        found.shares, found.moved_back = split(service, load, new, on_step)
        on_step("promotion, rollback, retirement")
        service.must("promote", "--without-gate", "a measurement")
        calm(new)
        began = time.monotonic()
        service.must("rollback")
        calm(old)
        last = max(each.at for each in load.answers if each.release == new)
        found.rollback_seconds = max(0.0, last - began)
        service.must("retire", new)
        service.until(lambda: service.loaded() == [old])
        calm(old)
        found.memory_after = look(service)
    found.requests = len(load.answers) + len(load.failures)
    found.failures = [each.reason for each in load.failures]
    on_step(f"comparing {len(load.answers)} answers with their rows")
    found.rows_wrong = rows_wrong(service, load.answers)
    return found


def split(service: Running, load: Load, candidate: str, on_step: OnStep) -> tuple[list[Share], int]:
    """Has the candidate answer 10 and 20 % of the subjects, each asked once at each share.

    Returns:
        The shares, and how many subjects it answered at 10 % and not at 20 %.

    Raises:
        LabError: a command fails.
    """
    rounds = []
    for percent in SHARES:
        on_step(f"{percent} % of the subjects")
        service.must("split", str(percent))
        # At another door than before.
        load.rotate()
        time.sleep(_NOTICED)
        rounds.append(_by_subject(load.round()))
    small, large = rounds
    moved = sum(each == candidate != large[subject] for subject, each in small.items())
    return [
        Share.of(percent, given, candidate) for percent, given in zip(SHARES, rounds, strict=True)
    ], moved


def _by_subject(answers: list[Answer]) -> dict[int, str]:
    """The release of each subject; of several answers the last one."""
    return {each.subject: each.release for each in sorted(answers, key=lambda each: each.at)}


def rows_wrong(service: Running, answers: list[Answer]) -> int:
    """Answers whose row is missing, or names another release."""
    engine = reading(open_engine(service.database))
    said = {each.prediction_id: each.release for each in answers}
    rows: dict[str, str | None] = {}
    names = list(said)
    with engine.connect() as connection:
        for first in range(0, len(names), _AT_ONCE):
            chosen = select(predictions.c.id, predictions.c.release).where(
                predictions.c.id.in_(names[first : first + _AT_ONCE])
            )
            rows |= {row.id: row.release for row in connection.execute(chosen)}
    engine.dispose()
    return sum(rows.get(name) != release for name, release in said.items()) + (
        len(answers) - len(said)
    )
