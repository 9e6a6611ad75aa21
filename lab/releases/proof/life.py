"""The life of a candidate under steady load over both doors of two gateways."""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from scipy.stats import binomtest
from sqlalchemy import select

from database.engine import open_engine, reading
from database.tables import predictions
from lab.releases.proof.canaries import CURRENT, GOOD, photo
from lab.releases.proof.load import Answer, Load
from lab.releases.proof.service import Running
from lab.service.service import GATEWAY, LAUNCHER, TRITON

SHARES = (10, 20)
_WARM, _CALM, _NOTICED = 90.0, 5.0, 3.0
"""Seconds of load before anything is measured, of a phase, and until all gateways know a change."""
_CONFIDENCE = 0.99
_AT_ONCE = 500
_MEMORY = 0.05
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
    memory_before: dict[str, float] = field(default_factory=dict)
    memory_after: dict[str, float] = field(default_factory=dict)
    """MiB (PSS) of the gateways, Triton, the launcher, and the models' processes."""

    @property
    def passed(self) -> bool:
        """Whether all of it is as it has to be."""
        return (
            not self.failures
            and all(each.within for each in self.shares)
            and self.moved_back == self.wrong_releases == self.rows_wrong == 0
            and sum(self.memory_after.values()) <= sum(self.memory_before.values()) * (1 + _MEMORY)
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

        on_step(f"warming up, {_WARM:.0f} s")
        time.sleep(_WARM)
        calm(old)
        found.memory_before = _memory(service)
        service.must("stage", new)
        calm(old)
        on_step("copies of all images for the candidate")
        service.must("shadow", "100")
        calm(old)
        service.must("shadow", "0")
        calm(old)
        rounds = []
        for percent in SHARES:
            on_step(f"{percent} %: {subjects} subjects")
            service.must("split", str(percent))
            # At another door than before.
            load.rotate()
            time.sleep(_NOTICED)
            rounds.append(_by_subject(load.round()))
            answered = sum(release == new for release in rounds[-1].values())
            interval = binomtest(answered, subjects).proportion_ci(_CONFIDENCE, "exact")
            found.shares.append(
                Share(percent, len(rounds[-1]), answered, interval.low, interval.high)
            )
        for before, after in pairwise(rounds):
            found.moved_back += sum(
                release == new and after[subject] != new for subject, release in before.items()
            )
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
        time.sleep(_CALM)
        found.memory_after = _memory(service)
    found.requests = len(load.answers) + len(load.failures)
    found.failures = [each.reason for each in load.failures]
    on_step(f"comparing {len(load.answers)} answers with their rows")
    found.rows_wrong = _rows_wrong(service, load.answers)
    return found


def _by_subject(answers: list[Answer]) -> dict[int, str]:
    """The release of each subject; of several answers the last one."""
    return {each.subject: each.release for each in sorted(answers, key=lambda each: each.at)}


def _memory(service: Running) -> dict[str, float]:
    found = defaultdict(float, {"gateways": service.second.tree.memory().pss})
    for role, mebibytes in service.server.pss_mib().items():
        names = {GATEWAY: "gateways", TRITON: "Triton", LAUNCHER: "launcher"}
        found[names.get(role, "models' processes")] += mebibytes
    return dict(found)


def _rows_wrong(service: Running, answers: list[Answer]) -> int:
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
