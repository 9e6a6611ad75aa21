"""What comes back, typed. Fields that this version does not know stay in `raw`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Member:
    """A model of the ensemble: its version and the SHA-256 of its file."""

    version: str | None
    sha256: str | None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What every answer of a pipeline carries.

    Attributes:
        request_id: To find the request in the service's logs.
        pipeline: Name of the pipeline that answered.
        release: Which release of its models and settings answered.
        threshold: Score from which a binary pipeline says positive, or from which a detector
            names what it found; None where none decided.
        preprocessing: Profile, such as `exact`.
        weights: `demo` where the answer comes from demonstration weights, else None.
        processing_time_ms: Time inside the service, in milliseconds.
        members: The models that were asked, by name.
        member: Name of the one model that was asked alone, else None.
        raw: The answer as it was received.
    """

    request_id: str
    pipeline: str
    release: str
    threshold: float | None
    preprocessing: str | None
    weights: str | None
    processing_time_ms: float | None
    members: Mapping[str, Member]
    member: str | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def demo(self) -> bool:
        """Whether demonstration weights answered: then it says nothing about a patient."""
        return self.weights == "demo"


@dataclass(frozen=True, kw_only=True)
class Prediction(Answer):
    """A classifier's answer for one image.

    Attributes:
        prediction: The class.
        confidence: Weighted probability of that class, 0 to 1. Under a threshold below 0.5 a
            positive answer may have less than 0.5.
        probabilities: Weighted probability of each class, 0 to 1.
    """

    prediction: str
    confidence: float
    probabilities: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Uncertainty:
    """How far the answer can be leaned on.

    Attributes:
        level: `low`, `medium` or `high`, as the pipeline names its levels.
        disagreement: Largest distance between two members' probabilities, 0 to 1.
        entropy: Of the probabilities, 0 (certain) to 1 (even).
        recommendation: What the pipeline advises at this level.
    """

    level: str
    disagreement: float
    entropy: float | None
    recommendation: str


@dataclass(frozen=True, kw_only=True)
class Opinion(Member):
    """One member's own answer; confidence and probabilities are 0 to 1, as is its weight."""

    prediction: str
    confidence: float
    probabilities: Mapping[str, float]
    weight: float | None


@dataclass(frozen=True, kw_only=True)
class AdvancedPrediction(Prediction):
    """A prediction with how sure it is, and what each member said (`models`, by name)."""

    uncertainty: Uncertainty
    models: Mapping[str, Opinion]
