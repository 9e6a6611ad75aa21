"""Whether two samples are of one distribution, with thresholds from their sizes.

Numbers by Kolmogorov and Smirnov's test of two samples (scipy); words by the population stability
index, whose critical value follows from a chi-square distribution and the sizes of both samples:
B. Yurdakul, Statistical properties of population stability index, dissertation, Western Michigan
University, 2018.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, ks_2samp

BINS = 10
"""Of numbers, for their index: the tenths of the reference."""
_LEAST_EXPECTED = 10
"""Things of a kind below which kinds are put together: chi-square does not hold for fewer."""


@dataclass(frozen=True)
class Distance:
    """How far a sample lies from a reference, and how far it may.

    Attributes:
        value: Of the test: the largest distance of both distributions, or the index.
        critical: Above it lies a share `alpha` of samples that have not changed.
        psi: The population stability index.
    """

    value: float
    critical: float
    psi: float

    @property
    def drifted(self) -> bool:
        """Whether it is too far."""
        return self.value > self.critical


def of_numbers(
    reference: NDArray[np.float64], seen: NDArray[np.float64], alpha: float
) -> Distance | None:
    """Kolmogorov and Smirnov's distance of two samples; None where one is empty.

    With ties, as where many values are 0, the test errs less often than `alpha`.

    Args:
        reference: FP64 [M], finite.
        seen: FP64 [N], finite.
        alpha: The share of samples without a change that are called drifted, at most.
    """
    if not len(reference) or not len(seen):
        return None
    found = ks_2samp(reference, seen, method="asymp")
    sizes = len(reference) * len(seen) / (len(reference) + len(seen))
    # The asymptotic p-value is that of Kolmogorov's distribution.
    critical = float(np.sqrt(-np.log(alpha / 2) / (2 * sizes)))
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1]))
    counts = [np.bincount(np.searchsorted(edges, each), minlength=len(edges) + 1)
              for each in (reference, seen)]  # fmt: skip
    return Distance(float(found.statistic), critical, index(*counts))


def of_words(
    reference: Mapping[str, int], seen: Mapping[str, int], alpha: float
) -> Distance | None:
    """The population stability index of two counts of words; None where one is empty.

    Words that are rare are counted together, as also those that only one of both has. Where that
    leaves one kind, nothing can differ.
    """
    kinds = sorted({*reference, *seen})
    counts = np.array([[each.get(kind, 0) for kind in kinds] for each in (reference, seen)])
    if not kinds or not counts.sum(axis=1).all():
        return None
    merged = _without_rare(counts)
    sizes = counts.sum(axis=1)
    free = merged.shape[1] - 1
    critical = float(chi2.ppf(1 - alpha, free) * (1 / sizes[0] + 1 / sizes[1])) if free else 0.0
    value = index(merged[0], merged[1])
    return Distance(value, critical, value)


def index(reference: NDArray[np.int64], seen: NDArray[np.int64]) -> float:
    """The population stability index of two counts of the same kinds; a kind without any has half.

    Args:
        reference: INT64 [K].
        seen: INT64 [K].
    """
    shares = [np.maximum(each, 0.5) / max(each.sum(), 1) for each in (reference, seen)]
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def _without_rare(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """INT64 [2, kinds] with the rarest kinds put together until each can be expected often enough.

    What is expected of a kind is its share of both samples together.
    """
    pooled = counts.sum(axis=0) / counts.sum()
    order = np.argsort(-pooled, kind="stable")
    least = counts.sum(axis=1).min()
    often = int((pooled * least >= _LEAST_EXPECTED).sum())
    kept, rare = counts[:, order[:often]], counts[:, order[often:]].sum(axis=1, keepdims=True)
    if not rare.sum():
        return kept
    if kept.shape[1] and rare.sum() / counts.sum() * least < _LEAST_EXPECTED:
        # Still too few: with the rarest of the others.
        kept = kept.copy()
        kept[:, -1] += rare[:, 0]
        return kept
    return np.concatenate([kept, rare], axis=1)
