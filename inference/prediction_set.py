"""Prediction sets: the classes among which the true one is, with a stated probability.

Split conformal prediction, for each class on its own (Vovk, Gammerman and Shafer, Algorithmic
Learning in a Random World, 2005, section 4.5; Sadinle, Lei and Wasserman, Least Ambiguous
Set-Valued Classifiers with Bounded Error Levels, 2019). A class is in the set from a probability
on that 95 % of its labelled photos reach. So the share holds for each class, whatever share of a
clinic's images is of it. A set may hold several classes, or none: then no class fits.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipelines.derived import no_call

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]
NOT_CALIBRATED = -1


@dataclass(frozen=True)
class SetRules:
    """For each class the probability from which on it is in the set, by who answers."""

    ensemble: tuple[float, ...] | None = None
    """Where a request names no member; None: there are no sets."""
    members: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Where a request names the member; those not among them give no sets."""

    @classmethod
    def from_json(cls, text: str | None) -> Self:
        """Reads `ConfigOverride.CALIBRATION`; None: nothing was calibrated.

        Raises:
            KeyError, TypeError, ValueError: it is not what the launcher writes.
        """
        if text is None:
            return cls()
        said = json.loads(text)
        ensemble = said["ensemble"]
        return cls(
            None if ensemble is None else tuple(ensemble),
            {name: tuple(each) for name, each in said["members"].items()},
        )

    def of(self, member: str | None) -> tuple[float, ...] | None:
        """The rule of a request that names a member or, with None, names none."""
        return self.ensemble if member is None else self.members.get(member)


def fit(p: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], coverage: float) -> Float32:
    """For each class the probability, FP32 [K], from which on it is in the set.

    Of n photos of a class, the k-th smallest probability of that class with
    k = floor((n + 1) (1 - coverage)): another image of the class reaches it with a probability of
    (n + 1 - k) / (n + 1), which is `coverage` or a little more.

    Args:
        p: [N, K], as answered, of photos that neither training nor temperatures saw.
        labels: [N], indices into the classes.
        coverage: in (0, 1).

    Raises:
        ValueError: a class has too few photos: 19 are needed for 95 %.
    """
    answered = p.astype(np.float32)
    lowest = np.empty(p.shape[1], np.float32)
    for index in range(p.shape[1]):
        own = np.sort(answered[labels == index, index])
        # Rounded first: (19 + 1) * (1 - 0.95) is a little less than 1.
        rank = math.floor(round((len(own) + 1) * (1 - coverage), 9))
        if rank < 1:
            raise ValueError(f"class {index}: {len(own)} photos are too few for {coverage:.0%}")
        lowest[index] = own[rank - 1]
    return lowest


def prediction_set(p: NDArray[np.floating[Any]], lowest: tuple[float, ...] | None) -> Int32:
    """Which classes are in the sets, INT32 [N, K]: 1 or 0; all -1 where there is no rule.

    By the probabilities [N, K] as they are answered, in FP32.
    """
    if lowest is None:
        return np.full(p.shape, NOT_CALIBRATED, np.int32)
    reached = p.astype(np.float32) >= np.asarray(lowest, np.float32)
    return np.asarray(reached, np.int32)


def without_call(sets: Int32, prediction: Int32) -> NDArray[np.bool_]:
    """Whether no call should be made, BOOL [N], by sets [N, K] and predicted classes [N]."""
    rows = zip(sets.tolist(), prediction.tolist(), strict=True)
    return np.array([no_call(chosen, index) for chosen, index in rows], np.bool_)
