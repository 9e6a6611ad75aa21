"""The result of a classification, read from Triton's tensors, and the answers made from it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, Self, cast

from typing_extensions import TypedDict

from gateway.core.catalog import Pipeline
from gateway.core.request import RequestParameters
from gateway.results import explanation, typicality
from gateway.results.compute import ComputeTime, milliseconds
from gateway.results.facts import ImageStamp, artefact, basis, member_facts, origin
from gateway.results.photo_quality import PhotoQuality
from gateway.results.shapes import (
    AdvancedPrediction,
    Calibration,
    Decision,
    Explained,
    Explanation,
    FlatPrediction,
    ImageKind,
    Level,
    Prediction,
    UncertainDecision,
    Uncertainty,
)
from gateway.triton.outputs import Outputs, invalid_model_output
from pipelines.derived import no_call
from pipelines.protocol import Output


@dataclass(frozen=True, slots=True)
class MemberProbabilities:
    """The result of one member."""

    probabilities: list[float]
    """[classes], each in [0, 1]."""
    prediction: int
    """Index into the classes."""


@dataclass(frozen=True, slots=True)
class ClassificationResult:
    """The outputs of a classification ensemble for one image (docs/contract.md), and its facts.

    Nothing here is computed: the numbers are Triton's.
    """

    pipeline: Pipeline
    probabilities: list[float]
    members: dict[str, MemberProbabilities]
    """Of the members that answered."""
    prediction: int
    confidence: float
    disagreement: float
    entropy: float
    threshold: float | None
    """None where no threshold decided."""
    level: Level
    """Name of the uncertainty level."""
    recommendation: str
    quality: PhotoQuality
    kind: ImageKind
    """Whether the image is of the kind that the models learnt from."""
    compute: ComputeTime
    prediction_set: list[str] | None = None
    """The classes of the prediction set, the most probable first; None where there is none."""
    calibrated: bool = False
    """Whether all members that answered were calibrated."""
    explanation: Explanation | None = None
    """Where the members looked; None where the request does not ask."""

    @classmethod
    def read(cls, outputs: Outputs, pipeline: Pipeline, parameters: RequestParameters) -> Self:
        """Reads the tensors of one image.

        Args:
            outputs: the tensors.
            pipeline: the facts of the release that answered.
            parameters: of the request.

        Raises:
            RefusedError: with `model_output` where they do not fit the pipeline's facts.
        """
        (confidence,) = outputs.floats(Output.CONFIDENCE, 1)
        (disagreement,) = outputs.floats(Output.DISAGREEMENT, 1)
        (entropy,) = outputs.floats(Output.ENTROPY, 1)
        (threshold,) = outputs.floats(Output.THRESHOLD, 1)
        (prediction,) = outputs.ints(Output.PREDICTION, 1)
        (level,) = outputs.ints(Output.UNCERTAINTY_LEVEL, 1)
        classes, member = len(pipeline.spec.classes), parameters.member
        probabilities = outputs.floats(Output.PROBABILITIES, classes)
        members = _members(outputs, pipeline, member)
        bands = pipeline.spec.uncertainty
        assert bands is not None  # noqa: S101 - the spec demands them of a classification
        finite = all(map(math.isfinite, (*probabilities, confidence, disagreement, entropy)))
        if not finite or prediction not in range(classes) or level not in range(len(bands.levels)):
            raise invalid_model_output()
        name, recommendation = bands.levels[level]
        chosen = outputs.ints(Output.PREDICTION_SET, classes)
        if set(chosen) - {0, 1} and set(chosen) != {-1}:
            raise invalid_model_output()
        if no_call(chosen, prediction) and bands.no_call is not None:
            recommendation = bands.no_call.recommendation
        kind = typicality.read(outputs, pipeline)
        recommendation = kind.get("recommendation", recommendation)
        return cls(
            pipeline=pipeline,
            quality=PhotoQuality.read(outputs, pipeline),
            probabilities=probabilities,
            members=members,
            prediction=prediction,
            confidence=confidence,
            disagreement=disagreement,
            entropy=entropy,
            threshold=None if math.isnan(threshold) else threshold,
            level=cast("Level", name),
            recommendation=recommendation,
            prediction_set=_named(chosen, probabilities, pipeline),
            kind=kind,
            compute=ComputeTime.read(outputs, pipeline, member),
            calibrated=pipeline.is_calibrated(member),
            explanation=explanation.read(outputs, pipeline, prediction, parameters),
        )

    @property
    def answering_members(self) -> tuple[str, ...]:
        """Names of the members that answered."""
        return tuple(self.members)

    @property
    def predicted_class(self) -> str:
        """Name of the predicted class."""
        return self.pipeline.spec.classes[self.prediction]

    @property
    def calibration(self) -> Calibration:
        """Whether it is calibrated, and what share of sets holds the true class."""
        if self.prediction_set is None or self.pipeline.coverage is None:
            return {"calibrated": self.calibrated}
        return {"calibrated": self.calibrated, "coverage": self.pipeline.coverage}

    @property
    def label_scores(self) -> list[tuple[str, float]]:
        """The predicted class and its probability."""
        return [(self.predicted_class, self.confidence)]


def _members(
    outputs: Outputs, pipeline: Pipeline, member: str | None
) -> dict[str, MemberProbabilities]:
    """The results of the members that were asked; the numbers of the others mean nothing."""
    names, classes = list(pipeline.spec.members), len(pipeline.spec.classes)
    flat = outputs.floats(Output.MEMBER_PROBABILITIES, len(names) * classes)
    predictions = outputs.ints(Output.MEMBER_PREDICTION, len(names))
    results = {}
    for name in pipeline.answering_members(member):
        index = names.index(name)
        probabilities = flat[index * classes : (index + 1) * classes]
        if not all(map(math.isfinite, probabilities)) or predictions[index] not in range(classes):
            raise invalid_model_output()
        results[name] = MemberProbabilities(probabilities, predictions[index])
    return results


def _named(
    chosen: Sequence[int], probabilities: Sequence[float], pipeline: Pipeline
) -> list[str] | None:
    """Names of the classes in a set, the most probable first; None where there is no set."""
    if min(chosen) < 0:
        return None
    rows = zip(probabilities, chosen, pipeline.spec.classes, strict=True)
    return [name for _, in_it, name in sorted(rows, key=lambda row: -row[0]) if in_it]


def basic(
    result: ClassificationResult, parameters: RequestParameters, stamp: ImageStamp
) -> Prediction:
    """The answer of `predict`."""
    pipeline = result.pipeline
    return {
        "request_id": stamp.request_id,
        **stamp.account.facts(),
        **origin(pipeline, parameters),
        **_decision(result, parameters),
        **_explanation(result),
        **result.calibration,
        **basis(pipeline, result.threshold),
        "members": member_facts(pipeline, result.answering_members),
        "processing_time_ms": stamp.processing_time_ms,
    }


def advanced(
    result: ClassificationResult, parameters: RequestParameters, stamp: ImageStamp
) -> AdvancedPrediction:
    """The answer of `predict/advanced`: with the uncertainty, and each member's result."""
    pipeline = result.pipeline
    weights = pipeline.weights
    return {
        "request_id": stamp.request_id,
        **stamp.account.facts(),
        **origin(pipeline, parameters),
        **_decision(result, parameters),
        "uncertainty": _uncertainty(result),
        "models": {
            name: {
                "prediction": pipeline.spec.classes[member.prediction],
                "confidence": member.probabilities[member.prediction],
                "probabilities": _by_class(member.probabilities, pipeline, parameters),
                "weight": weights[name],
                "compute_ms": milliseconds(result.compute.parts[name].seconds),
                **artefact(pipeline, name),
            }
            for name, member in result.members.items()
        },
        **_explanation(result),
        **result.calibration,
        **basis(pipeline, result.threshold),
        "processing_time_ms": stamp.processing_time_ms,
    }


def flat(
    result: ClassificationResult, parameters: RequestParameters, stamp: ImageStamp
) -> FlatPrediction:
    """The answer of `/predict`, in the shape of older systems."""
    pipeline = result.pipeline
    return {
        "request_id": stamp.request_id,
        **stamp.account.facts(),
        **origin(pipeline, parameters),
        "prediction": result.predicted_class,
        "confidence": result.confidence,
        **_set(result),
        "input": result.kind,
        **result.compute.facts(),
        "uncertainty": result.level,
        "recommendation": result.recommendation,
        "individual_scores": {
            name: member.probabilities[result.prediction] for name, member in result.members.items()
        },
        "quality": result.quality.facts(),
        **_explanation(result),
        **result.calibration,
        **basis(pipeline, result.threshold),
        "members": member_facts(pipeline, result.answering_members),
        "processing_time_ms": stamp.processing_time_ms,
    }


def in_batch(result: ClassificationResult, parameters: RequestParameters) -> UncertainDecision:
    """What the entry of one image of a batch says of it."""
    return {**_decision(result, parameters), "uncertainty": _uncertainty(result)}


def record(result: ClassificationResult) -> dict[str, Any]:
    """What the audit log keeps of a result: everything that an answer can say of it.

    But no explanation: the row's parameters say that one was asked for.
    """
    everything = RequestParameters({})
    return {
        "prediction": result.predicted_class,
        "confidence": result.confidence,
        "probabilities": _by_class(result.probabilities, result.pipeline, everything),
        **_set(result),
        "input": result.kind,
        "quality": result.quality.record(),
        "uncertainty": _uncertainty(result),
        "members": {
            name: _by_class(member.probabilities, result.pipeline, everything)
            for name, member in result.members.items()
        },
        **result.calibration,
        **basis(result.pipeline, result.threshold),
    }


def _decision(result: ClassificationResult, parameters: RequestParameters) -> Decision:
    return {
        "prediction": result.predicted_class,
        "confidence": result.confidence,
        "probabilities": _by_class(result.probabilities, result.pipeline, parameters),
        **_set(result),
        "quality": result.quality.facts(),
        "input": result.kind,
        **result.compute.facts(),
    }


class _Set(TypedDict):
    set: NotRequired[list[str]]


def _set(result: ClassificationResult) -> _Set:
    return {} if result.prediction_set is None else {"set": result.prediction_set}


def _explanation(result: ClassificationResult) -> Explained:
    return {} if result.explanation is None else {"explanation": result.explanation}


def _uncertainty(result: ClassificationResult) -> Uncertainty:
    return {
        "level": result.level,
        "disagreement": result.disagreement,
        "entropy": result.entropy,
        "recommendation": result.recommendation,
    }


def _by_class(
    probabilities: Sequence[float], pipeline: Pipeline, parameters: RequestParameters
) -> dict[str, float]:
    """Probabilities by class: all in class order, or the `top_k` largest, largest first."""
    pairs = list(zip(pipeline.spec.classes, probabilities, strict=True))
    if parameters.top_k is not None:
        pairs = sorted(pairs, key=lambda pair: -pair[1])[: parameters.top_k]
    return dict(pairs)
