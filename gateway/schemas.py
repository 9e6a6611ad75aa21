"""The shapes of the answers for /docs; rendering does not pass through them, for speed.

A test holds what is rendered against them.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MemberFacts(_Shape):
    """The artefact that spoke."""

    version: str
    sha256: str


class MemberOpinion(MemberFacts):
    """What one member says."""

    prediction: str
    confidence: float = Field(ge=0, le=1)
    probabilities: dict[str, float]
    weight: float = Field(description="Its share of the weighted mean; the shares add up to 1.")


class UncertaintyOpinion(_Shape):
    """How far to rely on the answer."""

    level: Literal["low", "medium", "high"]
    disagreement: float = Field(description="Largest distance between two members, 0 to 1.")
    entropy: float = Field(description="Of the probabilities, divided by its maximum, 0 to 1.")
    recommendation: str


class _Answer(_Shape):
    request_id: str
    pipeline: str
    release: str
    member: str | None = Field(None, description="Only where one member was asked alone.")
    threshold: float | None = Field(None, description="Only where a threshold decided.")
    preprocessing: str
    weights: Literal["demo"] | None = Field(None, description="Only where they are demo weights.")
    processing_time_ms: float


class _Decided(_Shape):
    prediction: str
    confidence: float = Field(ge=0, le=1, description="Probability of the predicted class.")


class Prediction(_Answer, _Decided):
    """The weighted opinion."""

    probabilities: dict[str, float]
    members: dict[str, MemberFacts]


class AdvancedPrediction(_Answer, _Decided):
    """The weighted opinion, how sure it is, and each member's own."""

    probabilities: dict[str, float]
    uncertainty: UncertaintyOpinion
    models: dict[str, MemberOpinion]


class FlatPrediction(_Answer, _Decided):
    """The shape of older systems."""

    uncertainty: Literal["low", "medium", "high"]
    recommendation: str
    individual_scores: dict[str, float] = Field(
        description="Each member's probability of the predicted class."
    )
    members: dict[str, MemberFacts]


class ProblemMembers(_Shape):
    """A problem document (RFC 9457) about one image of a batch."""

    type: str
    title: str
    status: int
    code: str
    detail: str = Field(description="Names the input and the remedy.")


class Problem(ProblemMembers):
    """A problem document (RFC 9457)."""

    request_id: str


class BatchResult(_Shape):
    """One image's answer, or its error."""

    index: int
    filename: str | None
    prediction: str | None = None
    confidence: float | None = None
    probabilities: dict[str, float] | None = None
    uncertainty: UncertaintyOpinion | None = None
    error: ProblemMembers | None = None


class BatchSummary(BaseModel):
    """Counts over a batch; a pipeline may name further entries."""

    total: int
    failed: int
    counts: dict[str, int]
    average_confidence: float | None


class BatchPrediction(_Answer):
    """An answer or an error for each image, in their order."""

    members: dict[str, MemberFacts]
    results: list[BatchResult]
    summary: BatchSummary


class ThresholdFacts(_Shape):
    """The default, and the bounds of what a caller may choose."""

    default: float
    minimum: float
    maximum: float


class MemberDescription(MemberFacts):
    """One model of a pipeline."""

    architecture: str
    format: str
    weight: float


class LimitsFacts(_Shape):
    """The largest image."""

    bytes: int
    pixels: int


class PipelineDescription(_Shape):
    """What a pipeline is."""

    name: str
    title: str
    task: str
    release: str
    ready: bool
    classes: list[str]
    positive: str | None
    threshold: ThresholdFacts | None
    members: dict[str, MemberDescription]
    preprocessing: str
    limits: LimitsFacts
    weights: Literal["demo"] | None = None


class PipelineList(_Shape):
    """All pipelines, and the one of the routes that name none."""

    default: str
    pipelines: list[PipelineDescription]


class Health(_Shape):
    """The process lives."""

    status: Literal["alive"]


class ReadinessReport(_Shape):
    """Each pipeline's state by name."""

    ready: bool
    pipelines: dict[str, bool]
