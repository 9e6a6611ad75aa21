"""What answers of all kinds share."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.results.schemas.problem import ProblemMembers


class Shape(BaseModel):
    """Base of all shapes: no key but the documented ones."""

    model_config = ConfigDict(extra="forbid")


class MemberFacts(Shape):
    """The artefact that spoke."""

    version: str
    sha256: str


class Answer(Shape):
    """Who speaks, and how the answer came to be."""

    request_id: str
    pipeline: str
    release: str
    member: str | None = Field(None, description="Only where one member was asked alone.")
    threshold: float | None = Field(None, description="Only where a threshold decided.")
    preprocessing: str
    weights: Literal["demo"] | None = Field(None, description="Only where they are demo weights.")
    processing_time_ms: float


class BatchEntry(Shape):
    """One image of a batch: its answer, or its error."""

    index: int
    filename: str | None
    error: ProblemMembers | None = None


class BatchSummary(BaseModel):
    """Counts over a batch; a pipeline may name further entries."""

    total: int
    failed: int
    counts: dict[str, int] = Field(description="Images, or detections, of each class.")
    average_confidence: float | None = Field(
        description="Of the images that were answered, or of all detections; null where none is."
    )
