"""Simulated answers of two releases to one canary set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from pipelines.enums import Task
from releases.gate.answers import CanaryAnswers, CanaryPhoto

CLASSES = ("healthy", "cancer")
SITES = ("north", "south", "east", "west")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A canary set, and how a candidate differs from the current release; shares are 0 to 1.

    Attributes:
        sensitivity: Of the current release, as `specificity`.
        lost: Share of all photos that only the current release has right.
        gained: That only the candidate has right.
        lost_at: `lost` of single sites.
        slower: Factor of its times.
        atypical: Share of photos that each of both calls atypical.
        shuffled: Whether the candidate's classes have nothing to do with the photos.
    """

    positives: int = 800
    negatives: int = 800
    sensitivity: float = 0.92
    specificity: float = 0.93
    lost: float = 0.01
    gained: float = 0.01
    lost_at: Mapping[str, float] = field(default_factory=dict)
    slower: float = 1.0
    atypical: tuple[float, float] = (0.01, 0.01)
    shuffled: bool = False


def simulate(seed: int, candidate: Candidate) -> tuple[CanaryAnswers, CanaryAnswers]:
    """Draws the answers of the current release and of the candidate."""
    rng = np.random.default_rng(seed)
    count = candidate.positives + candidate.negatives
    positive = np.arange(count) < candidate.positives
    correct = np.where(positive, candidate.sensitivity, candidate.specificity)
    ours = rng.random(count) < correct
    sites = rng.integers(len(SITES), size=count)
    lost = np.full(count, candidate.lost)
    for site, its_own in candidate.lost_at.items():
        lost[sites == SITES.index(site)] = its_own
    kept, won = rng.random(count) >= lost / correct, rng.random(count)
    theirs = np.where(ours, kept, won < candidate.gained / (1 - correct))
    if candidate.shuffled:
        theirs = rng.permutation(positive) == positive
    times = rng.lognormal(4.0, 0.2, (2, count)) * np.array([[1.0], [candidate.slower]])
    typical = rng.random((2, count)) >= np.array(candidate.atypical)[:, np.newaxis]
    made = []
    for place, (release, right) in enumerate((("1-aaaaaaaa", ours), ("2-bbbbbbbb", theirs))):
        photos = tuple(
            CanaryPhoto(
                sha256=f"{number:064x}",
                label=CLASSES[int(positive[number])],
                groups={"site": SITES[sites[number]]},
                answered=True,
                prediction=CLASSES[int(positive[number] == right[number])],
                confidence=0.93,
                typical=bool(typical[place, number]),
                latency_ms=float(times[place, number]),
                compute_ms=float(times[place, number] * 0.8),
            )
            for number in range(count)
        )
        made.append(
            CanaryAnswers(
                created=datetime(2026, 11, 30, tzinfo=UTC),
                pipeline="lesions",
                release=release,
                task=Task.CLASSIFICATION,
                classes=CLASSES,
                positive=CLASSES[1],
                threshold=0.5,
                photos=photos,
            )
        )
    return made[0], made[1]
