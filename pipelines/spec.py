"""The typed facts of one pipeline, frozen: what `<pipeline>.yaml` may say."""

import hashlib
import json
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=48)]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Rgb = tuple[Positive, Positive, Positive]
RESERVED_MEMBER_NAMES = {"decode", "decision"}


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Task(StrEnum):
    """The kind of answer a pipeline gives."""

    CLASSIFICATION = "classification"


class Format(StrEnum):
    """An artefact's format; each has its Triton backend and its file name."""

    ONNX = "onnx"
    TORCHSCRIPT = "torchscript"

    @property
    def backend(self) -> str:
        """Triton's backend for this format."""
        return {Format.ONNX: "onnxruntime", Format.TORCHSCRIPT: "pytorch"}[self]

    @property
    def filename(self) -> str:
        """The file name that the backend looks for in a version's folder."""
        return {Format.ONNX: "model.onnx", Format.TORCHSCRIPT: "model.pt"}[self]


class Resize(StrEnum):
    """How an image of any size becomes height x width."""

    STRETCH = "stretch"  # both sides to the target, the aspect not kept
    CROP = "crop"  # the short side to the target's larger one, then the centre


class Threshold(_Facts):
    """The probability of the positive class from which on it is the answer."""

    default: Probability
    minimum: Probability
    maximum: Probability

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.minimum <= self.default <= self.maximum:
            raise ValueError("needs minimum <= default <= maximum")
        return self


class Member(_Facts):
    """One model of a pipeline."""

    architecture: Name
    format: Format
    weight: Positive = 1.0
    """Relative weight in the ensemble's mean; the weights are normalised to 1 where used."""
    instances: int = Field(default=1, ge=1, le=64)
    threads: int = Field(default=1, ge=1, le=256)


class Preprocessing(_Facts):
    """From an image to what the model sees, as in training."""

    profile: Literal["exact"]
    height: int = Field(ge=1, le=4096)
    width: int = Field(ge=1, le=4096)
    resize: Resize
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"]
    mean: Rgb
    """Of RGB pixels in [0, 1], subtracted before the division by `std`."""
    std: Rgb


class Limits(_Facts):
    """What one encoded image may weigh and measure."""

    bytes: int = Field(ge=1024)
    pixels: int = Field(ge=1)


class Band(_Facts):
    """An uncertainty level that holds up to a disagreement and down to a margin."""

    disagreement_at_most: Probability
    margin_at_least: Probability
    recommendation: str = Field(min_length=1)


class LastBand(_Facts):
    """The level that holds where no other does."""

    recommendation: str = Field(min_length=1)


class Uncertainty(_Facts):
    """The bands of the levels 0 (low), 1 (medium) and 2 (high)."""

    low: Band
    medium: Band
    high: LastBand

    @property
    def levels(self) -> tuple[tuple[str, str], ...]:
        """Name and recommendation of each level, by its number."""
        return tuple((name, getattr(self, name).recommendation) for name in type(self).model_fields)


class Parity(_Facts):
    """How far an artefact's logits may lie from its checkpoint's."""

    tolerance: Positive


class Decode(_Facts):
    """Processes of the decode step, and the threads of each that decode a batch side by side."""

    instances: int = Field(default=1, ge=1, le=64)
    threads: int = Field(default=1, ge=1, le=256)


class Decision(_Facts):
    """Processes of the decision step, which asks the members and waits for them."""

    instances: int = Field(default=2, ge=1, le=64)


class Serving(_Facts):
    """Batching and queueing in Triton."""

    max_batch: int = Field(ge=1, le=1024)
    queue_delay_us: int = Field(ge=0)
    """How long a request may wait for others to share its batch, in microseconds."""
    queue_size: int = Field(ge=1)
    """Requests that may wait for one model; more are refused."""
    queue_timeout_ms: int = Field(ge=1)
    decode: Decode = Decode()
    decision: Decision = Decision()


class PipelineSpec(_Facts):
    """All facts of one pipeline."""

    name: Name
    title: str = Field(min_length=1)
    task: Task
    release: str = Field(pattern=r"^[A-Za-z0-9._-]+$", max_length=64)
    classes: tuple[Name, ...] = Field(min_length=2)
    positive: Name | None = None
    threshold: Threshold | None = None
    members: dict[Name, Member] = Field(min_length=1)
    preprocessing: Preprocessing
    limits: Limits
    uncertainty: Uncertainty
    parity: Parity
    serving: Serving
    summary_aliases: dict[Name, Name] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes: a name stands twice")
        if (self.positive is None) != (self.threshold is None):
            raise ValueError("positive and threshold: give both or neither")
        if self.positive is not None and len(self.classes) != 2:  # noqa: PLR2004 - binary
            raise ValueError("positive: only a pipeline of two classes has one")
        if self.positive is not None and self.positive != self.classes[1]:
            raise ValueError(
                f"positive: {self.positive!r} must be the second of the classes "
                "(order: negative, positive)"
            )
        for alias, target in self.summary_aliases.items():
            if target not in self.classes:
                raise ValueError(f"summary_aliases.{alias}: {target!r} is no class")
        if taken := RESERVED_MEMBER_NAMES & set(self.members):
            raise ValueError(f"members.{taken.pop()}: the name is taken by a step")
        return self

    @property
    def weights(self) -> tuple[float, ...]:
        """The members' weights in their order, normalised to 1."""
        total = sum(member.weight for member in self.members.values())
        return tuple(member.weight / total for member in self.members.values())

    def class_map(self) -> dict[str, str]:
        """Index (as JSON key) to class name; travels beside each artefact."""
        return {str(index): name for index, name in enumerate(self.classes)}

    def member_hash(self, member: str) -> str:
        """SHA-256 of the facts that are baked into a member's artefact.

        Class order, architecture, format and preprocessing: an artefact made under other ones
        must not be served. Thresholds, weights and serving may change without a new export.
        """
        baked = {
            "classes": self.classes,
            "architecture": self.members[member].architecture,
            "format": self.members[member].format,
            "preprocessing": self.preprocessing.model_dump(mode="json"),
        }
        return hashlib.sha256(json.dumps(baked, sort_keys=True).encode()).hexdigest()

    def release_id(self, artefacts: dict[str, str]) -> str:
        """The release's name and a hash of all it serves: this spec and the artefacts' SHA-256.

        Two services answer with the same id only if they serve the same facts and weights, so
        whoever caches facts by it never shows stale ones.
        """
        served = {"spec": self.model_dump(mode="json"), "artefacts": artefacts}
        digest = hashlib.sha256(json.dumps(served, sort_keys=True).encode()).hexdigest()
        return f"{self.release}-{digest[:8]}"
