"""Calibration: what labelled photos that no training saw say of a member and of its answers."""

import json
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError

from pipelines.fact import Facts, Name, Positive, Probability

FILENAME = "calibration.json"
"""Of a calibrated member, beside its artefact."""
COVERAGE = 0.95
"""The least share of images whose prediction set holds the true class."""


class CalibrationError(ValueError):
    """A member's calibration cannot be read."""


class Estimate(Facts):
    """A figure in [0, 1] with its 95 % bootstrap interval."""

    value: Probability
    low: Probability
    high: Probability


class CalibrationFigures(Facts):
    """How a member was calibrated (temperature scaling: Guo et al., 2017), for its manifest."""

    temperature: Positive
    """What the checkpoint's logits are divided by. The artefact's head has done it already."""
    fitted: int = Field(ge=1)
    """Photos that the temperature was fitted to."""
    measured: int = Field(ge=1)
    """Others, that the errors are of."""
    error_before: Estimate
    """Expected calibration error of the checkpoint's own confidence."""
    error_after: Estimate
    """Of the confidence that is served."""


class MemberCalibration(Facts):
    """The content of `calibration.json`: the figures, and what a release fits its sets to.

    It holds no file names and no pixels.
    """

    figures: CalibrationFigures
    photos_sha256: str
    """SHA-256 over those of the labelled photos: members calibrated on the same ones share it."""
    labels: tuple[int, ...]
    """Of the measured photos, indices into the classes."""
    logits: tuple[tuple[float, ...], ...]
    """What the artefact says of them, the temperature included: [photos, K] or [photos, 1]."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The calibration in a version's folder.

        Raises:
            CalibrationError: there is none, or it cannot be read.
        """
        path = folder / FILENAME
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            reason = error.strerror if isinstance(error, OSError) else error.errors()[0]["msg"]
            raise CalibrationError(f"{path}: {reason}: export it again") from None

    @property
    def text(self) -> str:
        """The file's content: JSON."""
        return self.model_dump_json() + "\n"


class AnswerCalibration(Facts):
    """What labelled photos say of the answers of one member, or of all together."""

    photos: int = Field(ge=1)
    photos_sha256: str
    error_before: Estimate
    """Expected calibration error without the temperatures."""
    error_after: Estimate
    set_from: tuple[Probability, ...]
    """For each class the probability from which on it is in the prediction set."""


class AnswerFigures(Facts):
    """How far the confidence of answers was from how often they were right."""

    photos: int = Field(ge=1)
    """Labelled ones, that no temperature was fitted to."""
    error_before: Estimate
    """Expected calibration error without the temperatures."""
    error_after: Estimate


class ReleaseCalibration(Facts):
    """The calibration of a release. Sets hold only for the members that they were fitted to."""

    coverage: Probability = COVERAGE
    ensemble: AnswerCalibration | None = None
    """Of the answers to requests that name no member; None where not all members that answer were
    calibrated on the same photos."""
    members: dict[Name, AnswerCalibration] = Field(default={})
    """Of the calibrated members, each asked alone."""

    @property
    def served(self) -> str:
        """What the decision and the gateway read, as JSON (`ConfigOverride.CALIBRATION`)."""
        sets = {name: each.set_from for name, each in self.members.items()}
        served: dict[str, Any] = {
            "coverage": self.coverage,
            "ensemble": None,
            "members": sets,
            "figures": None,
        }
        if (ensemble := self.ensemble) is not None:
            figures = ensemble.model_dump(include=set(AnswerFigures.model_fields))
            served |= {"ensemble": ensemble.set_from, "figures": figures}
        return json.dumps(served)
