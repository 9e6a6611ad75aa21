"""The file `report.json` of an evaluation, as types.

It holds no file names, as they may name patients: the SHA-256 of its content identifies a photo.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from evaluation.errors import EvaluationError, first_problem
from evaluation.metrics.calibration import Bin
from evaluation.metrics.classification import ClassificationScores, LevelScore
from evaluation.metrics.detection import AveragePrecision
from evaluation.metrics.sets import SetScores
from evaluation.metrics.sweep import OperatingPoint
from evaluation.metrics.typicality import TypicalityScores


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MemberFacts(_Part):
    """A model that answered: its version and the SHA-256 of its file."""

    version: str | None
    sha256: str | None


class Origin(_Part):
    """The fields of both kinds of report.

    Attributes:
        member: The one member that was asked alone, else None.
        weights: `demo` where the answers come from demonstration weights, else None.
        threshold: The score that decided; of a detector, that at which hits are counted.
        photos: How many the metrics are over.
        failed: How many have no answer and are in no metric.
        copies: How many of the photos have the same content as one before.
        versions: Of the packages that measured.
        typicality: How often these photos and other images were called atypical; None where the
            service did not judge it.
    """

    format: Literal[1] = 1
    created: datetime
    pipeline: str
    release: str
    member: str | None
    members: dict[str, MemberFacts]
    weights: str | None
    preprocessing: str | None
    classes: list[str]
    threshold: float | None
    photos: int
    failed: int
    copies: int
    versions: dict[str, str]
    typicality: TypicalityScores | None = None

    @property
    def title(self) -> str:
        """Pipeline, release and, if it was asked alone, the member."""
        alone = f", {self.member} alone" if self.member else ""
        return f"{self.pipeline} {self.release}{alone}"


class ClassifiedPhoto(_Part):
    """One answer beside its label; probabilities are in class order."""

    sha256: str
    label: str
    prediction: str
    probabilities: list[float]
    uncertainty: str
    prediction_set: list[str] | None = None


class Sweep(_Part):
    """A binary pipeline at other thresholds; `best` by Youden's index, on these photos."""

    points: list[OperatingPoint]
    best: OperatingPoint | None
    default: float


class Reliability(_Part):
    """How far confidence agrees with accuracy; the interval is a bootstrap's of 95 %."""

    expected_calibration_error: float
    low: float
    high: float
    bins: list[Bin]


class ClassificationReport(Origin):
    """The report of a classification."""

    task: Literal["classification"] = "classification"
    positive: str | None
    scores: ClassificationScores
    levels: list[LevelScore]
    sweep: Sweep | None
    answers: list[ClassifiedPhoto]
    reliability: Reliability | None = None
    """As answered."""
    reliability_before: Reliability | None = None
    """Without the temperatures; None where not all members that answered were calibrated."""
    sets: SetScores | None = None
    """None where answers have no prediction set."""


class DetectedPhoto(_Part):
    """Hits and errors in one photo at the threshold; `labels_sha256` is of its labels."""

    sha256: str
    labels_sha256: str
    hits: int
    false_alarms: int
    missed: int


class DetectionScores(_Part):
    """Scores of a detector; each share in [0, 1], None where it is not defined.

    Attributes:
        boxes: Average precision of the boxes, over the scores from `asked_from` on.
        masks: Of the masks; None for a detector without.
        asked_from: The lowest score the service was asked for: what lies below is missing from
            the recall.
        precision: Share of detections at the report's threshold that meet an object.
        recall: Share of objects that are met.
        mask_iou: Mean IoU of the masks of the pairs met by their boxes.
    """

    boxes: AveragePrecision
    masks: AveragePrecision | None
    asked_from: float
    hits: int
    false_alarms: int
    missed: int
    precision: float | None
    recall: float | None
    f1: float | None
    mask_iou: float | None


class DetectionReport(Origin):
    """The report of a detection or a segmentation."""

    task: Literal["detection", "segmentation"]
    scores: DetectionScores
    answers: list[DetectedPhoto]


Report = ClassificationReport | DetectionReport
_REPORT: TypeAdapter[Report] = TypeAdapter(Annotated[Report, Field(discriminator="task")])


def read(file: Path) -> Report:
    """Reads a `report.json`.

    Raises:
        EvaluationError: It is not there, or no report of this format.
    """
    try:
        return _REPORT.validate_json(file.read_bytes())
    except OSError as error:
        raise EvaluationError(f"{file}: {error.strerror}; name the report.json of a run") from error
    except ValidationError as error:
        raise EvaluationError(
            f"{file}: is not a report of this version ({first_problem(error)}); make it again "
            "with `python -m evaluation`"
        ) from error


def copies(hashes: Iterable[str]) -> int:
    """How many photos have the same content as an earlier one."""
    return sum(count - 1 for count in Counter(hashes).values())
