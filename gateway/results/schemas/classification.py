"""The shapes of a classification's answers."""

from typing import Literal

from pydantic import Field

from gateway.results.schemas.answer import Answer, BatchEntry, BatchSummary, MemberFacts, Shape


class MemberOpinion(MemberFacts):
    """What one member says."""

    prediction: str
    confidence: float = Field(ge=0, le=1)
    probabilities: dict[str, float]
    weight: float = Field(
        description="Its share of the weighted mean; the shares add up to 1, an alternative's is 0."
    )


class UncertaintyOpinion(Shape):
    """How far to rely on the answer."""

    level: Literal["low", "medium", "high"]
    disagreement: float = Field(description="Largest distance between two members, 0 to 1.")
    entropy: float = Field(description="Of the probabilities, divided by its maximum, 0 to 1.")
    recommendation: str


class _Decided(Shape):
    prediction: str
    confidence: float = Field(ge=0, le=1, description="Probability of the predicted class.")


class Prediction(Answer, _Decided):
    """The weighted opinion."""

    probabilities: dict[str, float]
    members: dict[str, MemberFacts]


class AdvancedPrediction(Answer, _Decided):
    """The weighted opinion, how sure it is, and each member's own."""

    probabilities: dict[str, float]
    uncertainty: UncertaintyOpinion
    models: dict[str, MemberOpinion]


class FlatPrediction(Answer, _Decided):
    """The shape of older systems."""

    uncertainty: Literal["low", "medium", "high"]
    recommendation: str
    individual_scores: dict[str, float] = Field(
        description="Each member's probability of the predicted class."
    )
    members: dict[str, MemberFacts]


class BatchResult(BatchEntry):
    """One image's opinion, or its error."""

    prediction: str | None = None
    confidence: float | None = None
    probabilities: dict[str, float] | None = None
    uncertainty: UncertaintyOpinion | None = None


class BatchPrediction(Answer):
    """An opinion or an error for each image, in their order."""

    members: dict[str, MemberFacts]
    results: list[BatchResult]
    summary: BatchSummary
