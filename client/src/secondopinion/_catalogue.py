"""What the service offers, typed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from secondopinion._answers import Member


@dataclass(frozen=True, kw_only=True)
class PipelineMember(Member):
    """A model of a pipeline: what it is, and its share of the decision (0 to 1)."""

    architecture: str | None
    format: str | None
    weight: float | None


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """The score from which a binary pipeline says positive, and what a request may ask for."""

    default: float
    minimum: float
    maximum: float


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The largest image a pipeline takes: encoded bytes, and pixels once decoded."""

    bytes: int
    pixels: int


@dataclass(frozen=True, kw_only=True)
class Pipeline:
    """A pipeline as the service describes it.

    Attributes:
        classes: In the order of the model's outputs.
        positive: The class a threshold decides about; None, as `threshold`, if not binary.
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


@dataclass(frozen=True, kw_only=True)
class Pipelines:
    """All pipelines of a service; `default` names the one that answers where none is named."""

    default: str | None
    pipelines: tuple[Pipeline, ...]

    def __iter__(self) -> Iterator[Pipeline]:
        return iter(self.pipelines)

    def __len__(self) -> int:
        return len(self.pipelines)
