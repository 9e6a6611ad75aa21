"""What the service offers, typed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from secondopinion._answers import Member


@dataclass(frozen=True, kw_only=True)
class PipelineMember(Member):
    """A model of a pipeline.

    Attributes:
        precision: Of its weights, such as `fp32` or `int8`; None where the service does not say.
        weight: Its share of the decision, 0 to 1; one of 0 answers only where it is asked alone.
    """

    architecture: str | None
    format: str | None
    precision: str | None
    weight: float | None


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """The score from which a binary pipeline says positive, or a detector names what it found.

    With the bounds of what a request may ask for.
    """

    default: float
    minimum: float
    maximum: float


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The largest image a pipeline takes: encoded bytes, and pixels once decoded.

    `aspect` is the longest side over the shortest; None where there is no limit.
    """

    bytes: int
    pixels: int
    aspect: float | None


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A pipeline as the service describes it.

    Attributes:
        task: `classification` (asked with predict), `detection` or `segmentation` (with detect).
        classes: In the order of the model's outputs.
        positive: The class a threshold decides about; None if the pipeline is not binary.
        threshold: None where no threshold decides.
        weights: `demo` where it answers from demonstration weights, else None.
        raw: The description as it was received.
    """

    name: str
    title: str
    task: str
    release: str | None
    ready: bool
    classes: tuple[str, ...]
    positive: str | None
    threshold: Threshold | None
    members: Mapping[str, PipelineMember]
    preprocessing: str | None
    limits: Limits | None
    weights: str | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def detects(self) -> bool:
        """Whether it answers with detections, and not with one class."""
        return self.task in {"detection", "segmentation"}


@dataclass(frozen=True, kw_only=True)
class Pipelines:
    """All pipelines of a service; `default` names the one that answers where none is named."""

    default: str | None
    pipelines: tuple[Pipeline, ...]

    def __iter__(self) -> Iterator[Pipeline]:
        return iter(self.pipelines)

    def __len__(self) -> int:
        return len(self.pipelines)
