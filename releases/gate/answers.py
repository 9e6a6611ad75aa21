"""The recorded answers of one release to a canary set, as a file that the gate reads.

It holds no file names, as they may name patients: the SHA-256 of its content identifies a photo.
"""

from datetime import datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from evaluation.errors import EvaluationError, first_problem
from evaluation.metrics.objects import Box, Found, Rle, Truth
from pipelines.atomic_write import write_text
from pipelines.enums import Task


class Part(BaseModel):
    """Base of what is recorded: frozen, and unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LabelledObject(Part):
    """An object as it was labelled; see `Truth`."""

    label: str
    box: Box
    mask: Rle | None = None
    crowd: bool = False

    @property
    def truth(self) -> Truth:
        """As the metrics take it."""
        return Truth(self.label, self.box, self.mask, crowd=self.crowd)


class FoundObject(Part):
    """A detection; see `Found`."""

    label: str
    score: float
    box: Box
    mask: Rle | None = None

    @property
    def found(self) -> Found:
        """As the metrics take it."""
        return Found(self.label, self.score, self.box, self.mask)


class CanaryPhoto(Part):
    """A photo with its labels, and what was answered.

    Attributes:
        label: The true class; of a detector "".
        objects: Of a detector; empty otherwise.
        groups: Subgroup by column of the labels.
        answered: Whether there is an answer. What follows is empty where there is none.
        prediction: The class that was answered.
        confidence: Its probability.
        found: Detections of all scores, of a detector.
        typical: None where it is not judged.
        latency_ms: Time within the service.
        compute_ms: Of all members and steps.
    """

    sha256: str
    label: str = ""
    objects: tuple[LabelledObject, ...] = ()
    groups: dict[str, str] = {}
    answered: bool
    prediction: str | None = None
    confidence: float | None = None
    found: tuple[FoundObject, ...] = ()
    typical: bool | None = None
    latency_ms: float | None = None
    compute_ms: float | None = None

    @property
    def labels(self) -> tuple[object, ...]:
        """What two recordings must agree on."""
        return self.label, self.objects, self.groups


class CanaryAnswers(Part):
    """All answers of one release, with the facts that they depend on."""

    format: Literal[1] = 1
    created: datetime
    pipeline: str
    release: str
    release_sha256: str | None = None
    """Of the release's file; None where the service does not say it."""
    task: Task
    classes: tuple[str, ...]
    positive: str | None = None
    threshold: float | None = None
    """Of a detector: from which score on detections count."""
    weights: str | None = None
    """`demo` where demonstration weights answered."""
    photos: tuple[CanaryPhoto, ...]

    @property
    def demo(self) -> bool:
        """Whether the answers say nothing about a patient."""
        return self.weights == "demo"

    @classmethod
    def read(cls, file: Path) -> Self:
        """Reads a file of recorded answers.

        Raises:
            EvaluationError: It is not there, or is none of this format.
        """
        try:
            return cls.model_validate_json(file.read_bytes())
        except OSError as error:
            raise EvaluationError(f"{file}: {error.strerror}: name recorded answers") from None
        except ValidationError as error:
            raise EvaluationError(
                f"{file}: holds no recorded answers of this version ({first_problem(error)}): "
                "record them again with `python -m releases gate --record`"
            ) from None

    def write(self, file: Path) -> None:
        """Writes the file.

        Raises:
            EvaluationError: It cannot be written.
        """
        try:
            write_text(file, self.model_dump_json(exclude_defaults=True))
        except OSError as error:
            raise EvaluationError(f"{file}: {error.strerror}") from None
