"""Fits a release's prediction sets to the calibrations of its members, and measures its errors."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.calibration import error
from inference.decision import probabilities, weighted_mean
from inference.prediction_set import fit
from pipelines.calibration import (
    COVERAGE,
    AnswerCalibration,
    CalibrationError,
    MemberCalibration,
    ReleaseCalibration,
)
from pipelines.spec import PipelineSpec

Floats = NDArray[np.float64]
_DIGITS = 6
"""Of a bound, which is rounded down: another machine's last digits must not make another id."""


def measure(spec: PipelineSpec, folders: Mapping[str, Path]) -> ReleaseCalibration | None:
    """The calibration of a release; None where none of its members is calibrated.

    Args:
        spec: the facts of the release.
        folders: of the versions of the calibrated members.

    Raises:
        CalibrationError: a file cannot be read, or is not of the spec's classes.
    """
    read = {name: MemberCalibration.read(folder) for name, folder in folders.items()}
    if not read:
        return None
    members = {name: answers(spec, {name: each}) for name, each in read.items()}
    answering = {name: read[name] for name in spec.answering_members if name in read}
    together = len(answering) == len(spec.answering_members)
    same_photos = len({(each.photos_sha256, each.labels) for each in answering.values()}) == 1
    ensemble = answers(spec, answering) if together and same_photos else None
    return ReleaseCalibration(coverage=COVERAGE, ensemble=ensemble, members=members)


def answers(spec: PipelineSpec, members: Mapping[str, MemberCalibration]) -> AnswerCalibration:
    """What photos say of the answers that these members give together.

    Args:
        spec: the facts of the release.
        members: calibrations on the same photos, by member.

    Raises:
        CalibrationError: a class has too few photos, or they are not of the spec's classes.
    """
    first = next(iter(members.values()))
    labels = np.array(first.labels, np.int64)
    after = _mean(spec, members, scaled=True)
    before = _mean(spec, members, scaled=False)
    try:
        bounds = np.floor(fit(after, labels, COVERAGE).astype(np.float64) * 10**_DIGITS)
    except (ValueError, IndexError) as problem:
        raise CalibrationError(f"{', '.join(members)}: {problem}: calibrate again") from None
    return AnswerCalibration(
        photos=len(labels),
        photos_sha256=first.photos_sha256,
        error_before=error(spec, before, labels),
        error_after=error(spec, after, labels),
        set_from=tuple((bounds / 10**_DIGITS).tolist()),
    )


def _mean(spec: PipelineSpec, members: Mapping[str, MemberCalibration], *, scaled: bool) -> Floats:
    each = [
        probabilities(
            np.array(member.logits) * (1.0 if scaled else member.figures.temperature),
            len(spec.classes),
            name,
        )
        for name, member in members.items()
    ]
    alone = len(members) == 1
    weights = [1.0 if alone else spec.members[name].weight or 0.0 for name in members]
    return weighted_mean(np.stack(each, axis=1), weights)
