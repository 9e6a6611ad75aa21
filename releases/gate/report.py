"""The report of a gate, as it is kept with the candidate release."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from evaluation.errors import EvaluationError, first_problem
from evaluation.metrics.calibration import Bin, calibration
from pipelines.atomic_write import write_text
from pipelines.enums import Task
from pipelines.gate import ReleaseGate
from pipelines.gate_verdict import FOLDER, Result
from releases.gate.answers import CanaryPhoto, Part
from releases.gate.checks import Check


class CanaryFacts(Part):
    """The canary set.

    Attributes:
        sha256: Over the contents of the photos and their labels: equal for an equal set.
        photos: How many are compared, each content once.
        copies: How many more were copies of another.
        unanswered: How many neither release answered, and are left out.
    """

    sha256: str
    photos: int
    copies: int
    unanswered: int

    @classmethod
    def of(cls, photos: Sequence[CanaryPhoto], copies: int, unanswered: int) -> Self:
        """The facts of compared photos."""
        lines = sorted(f"{photo.sha256} {photo.labels!r}" for photo in photos)
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        return cls(sha256=digest, photos=len(photos), copies=copies, unanswered=unanswered)


class Reliability(Part):
    """How far the confidence of one release agrees with how often it is right."""

    bins: tuple[Bin, ...]

    @classmethod
    def of(cls, confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> Self:
        """Of answers; see `calibration`."""
        return cls(bins=tuple(calibration(confidence, right)))


class GateReport(Part):
    """What the gate says of a candidate, and why.

    Attributes:
        candidate_sha256: Of the candidate's release file, as its service said it; else None.
        demo: Whether demonstration weights answered: then it says nothing about a patient.
        still_needed: How many more would do, by what they are (`positives` and so on).
        gate: The margins that were asked for.
        reliability: Of the current release and of the candidate; empty for a detector.
    """

    format: Literal[1] = 1
    created: datetime
    pipeline: str
    task: Task
    current: str
    candidate: str
    candidate_sha256: str | None = None
    demo: bool
    result: Result
    reasons: tuple[str, ...]
    still_needed: dict[str, int]
    checks: tuple[Check, ...]
    canaries: CanaryFacts
    gate: ReleaseGate
    reliability: tuple[Reliability, ...] = ()

    @classmethod
    def read(cls, file: Path) -> Self:
        """Reads a report.

        Raises:
            EvaluationError: It is not there, or is none of this version.
        """
        try:
            return cls.model_validate_json(file.read_bytes())
        except OSError as error:
            raise EvaluationError(f"{file}: {error.strerror}: run the gate first") from None
        except ValidationError as error:
            raise EvaluationError(
                f"{file}: is no report of this version ({first_problem(error)}): run the gate again"
            ) from None


def place(repository: Path, report: GateReport) -> Path:
    """Where a report is kept: none replaces another, so that all tries are seen."""
    name = f"{report.created:%Y%m%dT%H%M%S%f}Z.json"
    return repository / report.pipeline / FOLDER / report.candidate / name


def keep(report: GateReport, page: str, file: Path) -> None:
    """Writes a report, and its page beside it.

    Raises:
        EvaluationError: One cannot be written.
    """
    try:
        write_text(file.with_suffix(".html"), page)
        write_text(file, report.model_dump_json(indent=1))
    except OSError as error:
        raise EvaluationError(f"{file}: {error.strerror}") from None
