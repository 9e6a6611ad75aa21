"""Facts that follow from other facts of a spec, for the typed spec and for its JSON.

Standard library only, as backend processes import it.
"""

from collections.abc import Iterable, Sequence

from pipelines.protocol import Step

REFERENCE_PHOTOS_AT_LEAST = 1000
"""Photos that a reference for typicality is made of: one half fits, the other one calibrates."""
REFERENCE_PHOTOS_KEY = "photos"
"""Array of a reference's file: `short_digest` of each photo that it was made of, UINT64 [N]."""
FALSE_ALARMS_AT_LEAST = 0.002
"""The least share of false alarms: 1 of 501, the least typicality after 500 calibration photos."""

RANDOM_TENTHS = 4
"""Tenths of an image, of an explanation, that are hidden beside the hottest one."""


def explained_views(grid: int) -> int:
    """How often a member sees a hidden part of an image for one explanation.

    Args:
        grid: cells along each side; each is hidden once, then the hottest tenth and others.
    """
    return grid**2 + 1 + RANDOM_TENTHS


def normalised_weights(weights: Iterable[float | None]) -> tuple[float, ...]:
    """Weights of members that sum to 1; None counts as 0. One at least must be above 0."""
    numbers = [weight or 0.0 for weight in weights]
    return tuple(number / sum(numbers) for number in numbers)


def max_batch(*, one_size: bool, member: int | None, pipeline: int) -> int:
    """Images in one forward pass of a member at most; 0: its graph takes one, without a batch.

    Args:
        one_size: whether all images have one size; those that keep their own do not stack.
        member: the member's own limit, if it has one.
        pipeline: the limit of all its models.
    """
    return min(member or pipeline, pipeline) if one_size else 0


def parts(members: Iterable[str]) -> tuple[str, ...]:
    """What the compute time of an image has parts of: the steps, and the members between them."""
    return (Step.DECODE, *members, Step.DECISION)


def no_call(chosen: Sequence[int], prediction: int) -> bool:
    """Whether a prediction set forbids to rely on the predicted class (docs/decisions/0057).

    Two classes: the set is any but the predicted class alone. More classes: it lacks that class.

    Args:
        chosen: for each class 1 where it is in the set, else 0; all -1 where there is no set.
        prediction: index of the predicted class.
    """
    if min(chosen) < 0:
        return False
    return not chosen[prediction] or (len(chosen) == 2 and sum(chosen) > 1)  # noqa: PLR2004 - binary


def short_digest(sha256: str) -> int:
    """The first 8 bytes of a photo's SHA-256: enough to find it, and no photo comes back of it."""
    return int(sha256[:16], 16)
