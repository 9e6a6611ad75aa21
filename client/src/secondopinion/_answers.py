"""The answers for one image and for a batch, as types."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from secondopinion._explanation import Explanation
from secondopinion._problem import Problem
from secondopinion._quality import Quality
from secondopinion._typicality import ImageKind


class Member(Struct, frozen=True, kw_only=True):
    """A model of the ensemble: its version and the SHA-256 of its file."""

    version: str | None = None
    sha256: str | None = None


class Receipt(Struct, frozen=True, kw_only=True):
    """Where the service's audit log has the row of an image. Keep it to show a change of the log.

    Attributes:
        chain: Of one start of a gateway.
        position: In the chain, from 1 on without gaps.
        head: SHA-256 of the row, in hexadecimal; it covers all rows before.
        statement: What the signature says: `receipt`. None, as what follows, where no signature
            was asked for.
        at: When the row was made, in microseconds since 1970.
        key: The first 16 digits of the SHA-256 of the service's public key.
        signature: Ed25519, in base64.
    """

    chain: str
    position: int
    head: str
    statement: str | None = None
    at: int | None = None
    key: str | None = None
    signature: str | None = None


class Received(Struct, frozen=True, kw_only=True):
    """An answer, or a part of one, that also holds the JSON it was decoded from.

    Attributes:
        raw: The JSON object. It also has the fields that this version of the client does not know.
    """

    raw: Mapping[str, Any]

    def __repr__(self) -> str:
        names = [name for name in self.__struct_fields__ if name not in {"raw", "visualization"}]
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({shown})"


class PipelineAnswer(Received, frozen=True, kw_only=True):
    """The fields of the answer for one image and of the answer for a batch.

    Attributes:
        threshold: Score from which a binary pipeline says positive, or from which a detector
            names what it found; None where none decided.
        preprocessing: Profile, such as `exact`.
        weights: `demo` where the answer comes from demonstration weights, else None.
        processing_time_ms: Time inside the service, in milliseconds.
        members: The models that were asked, by name.
        member: Name of the one model that was asked alone, else None.
    """

    threshold: float | None = None
    preprocessing: str | None = None
    weights: str | None = None
    processing_time_ms: float | None = None
    members: Mapping[str, Member] = {}
    member: str | None = None

    @property
    def demo(self) -> bool:
        """Whether demonstration weights answered: then it says nothing about a patient."""
        return self.weights == "demo"


class Answer(PipelineAnswer, frozen=True, kw_only=True):
    """The answer for one image.

    Attributes:
        request_id: To find the request in the service's logs.
        prediction_id: Of this image alone, made by the service; None where it does not say one.
        receipt: Of the image's row in the audit log; None where the service keeps none.
        pipeline: Name of the pipeline that answered.
        release: Which release of its models and settings answered.
        quality: Of the photo, with warnings; None where the service does not say.
        input: Whether the image is of the kind that the models learnt from; None where the service
            does not say.
        compute_ms: What the image cost to compute, in milliseconds: CPU time, and of members on a
            GPU the time that their passes took. None where the service does not say.
        compute_estimated: Whether a part of that is an estimate.
        kept: Whether the service kept the image; None where the request did not say.
    """

    request_id: str
    prediction_id: str | None = None
    receipt: Receipt | None = None
    pipeline: str
    release: str
    quality: Quality | None = None
    input: ImageKind | None = None
    compute_ms: float | None = None
    compute_estimated: bool = False
    kept: bool | None = None


class Prediction(Answer, frozen=True, kw_only=True):
    """A classifier's answer for one image.

    Attributes:
        prediction: The class.
        confidence: Weighted probability of that class, 0 to 1. Under a threshold below 0.5 a
            positive answer may have less than 0.5.
        probabilities: Weighted probability of each class, 0 to 1.
        prediction_set: Classes among which the true one is in `coverage` of the images, the most
            probable first (`set` in the JSON). Of none, no class fits. None where there is none.
        coverage: The least share of images whose prediction set holds the true class, 0 to 1;
            None where there are no sets.
        calibrated: Whether the confidence was calibrated on labelled photos; None where the
            service does not say.
        explanation: Where each member looked; None where it was not asked for (`explain`).
    """

    prediction: str
    confidence: float
    probabilities: Mapping[str, float] = {}
    prediction_set: tuple[str, ...] | None = field(name="set", default=None)
    coverage: float | None = None
    calibrated: bool | None = None
    explanation: Explanation | None = None


class Uncertainty(Struct, frozen=True, kw_only=True):
    """How certain the answer is.

    Attributes:
        level: `low`, `medium` or `high`, as the pipeline names its levels.
        disagreement: Largest distance between two members' probabilities, 0 to 1.
        entropy: Of the probabilities, 0 (certain) to 1 (even).
        recommendation: What the pipeline advises at this level.
    """

    level: str
    disagreement: float
    entropy: float | None = None
    recommendation: str = ""


class Opinion(Member, frozen=True, kw_only=True):
    """One member's own answer; confidence and probabilities are 0 to 1, as is its weight.

    Attributes:
        compute_ms: Its part of the image's; None where the service does not say.
    """

    prediction: str
    confidence: float
    probabilities: Mapping[str, float] = {}
    weight: float | None = None
    compute_ms: float | None = None


class AdvancedPrediction(Prediction, frozen=True, kw_only=True):
    """A prediction with its uncertainty and each member's own answer (`models`, by name)."""

    uncertainty: Uncertainty
    models: Mapping[str, Opinion] = {}


class BatchPlace(Struct, frozen=True, kw_only=True):
    """One image's place in a batch.

    Attributes:
        index: Place among the images that were sent, from 0.
        filename: The path as it was given, else `image INDEX`.
        error: Why this image has no answer; the other fields are then None or empty.
        prediction_id: As of an `Answer`, as is `receipt`.
        quality: Of the photo, as of an `Answer`.
        input: Of the image's kind, as of an `Answer`.
        compute_ms: As of an `Answer`, as is `compute_estimated`.
        kept: Whether the service kept it, as of an `Answer`.
    """

    index: int
    filename: str = ""
    error: Problem | None = None
    prediction_id: str | None = None
    receipt: Receipt | None = None
    quality: Quality | None = None
    input: ImageKind | None = None
    compute_ms: float | None = None
    compute_estimated: bool = False
    kept: bool | None = None

    def _need(self, name: str) -> None:
        if self.error is None and getattr(self, name) is None:
            raise ValueError(f"Object missing required field `{name}`")


class BatchItem(BatchPlace, frozen=True, kw_only=True):
    """A classifier's answer for one image, or `error`; `prediction_set` is as of `Prediction`."""

    prediction: str | None = None
    confidence: float | None = None
    probabilities: Mapping[str, float] = {}
    prediction_set: tuple[str, ...] | None = field(name="set", default=None)
    uncertainty: Uncertainty | None = None

    def __post_init__(self) -> None:
        """Refuses an image with neither an answer nor an error."""
        self._need("prediction")
        self._need("confidence")


class BatchSummary(Struct, frozen=True, kw_only=True):
    """Counts over a batch.

    Attributes:
        counts: Images of each class; of a detector, detections of each class.
        average_confidence: Over the answered images; of a detector, the mean score over all
            detections. None if there is none.
        warned: Images whose photo has a warning; None where the service does not say.
        warnings: Images with each warning that the pipeline has a bound for, by its code.
        atypical: Images that are not of the kind that the models learnt from; None where nothing
            judges them.
        compute_ms: Of all answered images together; None where the service does not say.
    """

    total: int
    failed: int
    counts: Mapping[str, int] = {}
    average_confidence: float | None = None
    warned: int | None = None
    warnings: Mapping[str, int] = {}
    atypical: int | None = None
    compute_ms: float | None = None


class BatchAnswer(PipelineAnswer, frozen=True, kw_only=True):
    """The answer for a batch.

    Attributes:
        pipeline: Name of the pipeline; None, as `release`, where no image was answered.
        results: One for each image, in the order of the images.
    """

    request_id: str | None = None
    pipeline: str | None = None
    release: str | None = None
    summary: BatchSummary
    results: tuple[BatchPlace, ...]


class BatchResult(BatchAnswer, frozen=True, kw_only=True):
    """A classifier's answers, in the order of the images.

    Attributes:
        coverage: As of a `Prediction`, as is `calibrated`.
    """

    results: tuple[BatchItem, ...]
    coverage: float | None = None
    calibrated: bool | None = None
