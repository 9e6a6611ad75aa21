"""What Triton decided on one image, in Python's types. Nothing here is computed."""

import math
from dataclasses import dataclass
from typing import Self

from gateway.core.catalog import Pipeline
from gateway.triton.outputs import Outputs, misfit
from pipelines.protocol import Output
from pipelines.uncertainty import Uncertainty


@dataclass(frozen=True, slots=True)
class MemberOpinion:
    """What one member says."""

    probabilities: list[float]
    """[classes]"""
    prediction: int


@dataclass(frozen=True, slots=True)
class Opinion:
    """The outputs of a classification ensemble (see the contract), with the facts behind them."""

    pipeline: Pipeline
    probabilities: list[float]
    members: dict[str, MemberOpinion]
    """Of the members that were heard."""
    prediction: int
    confidence: float
    disagreement: float
    entropy: float
    threshold: float | None
    """None where no threshold decided."""
    level: tuple[str, str]
    """Name and recommendation of the uncertainty level."""

    @classmethod
    def read(cls, outputs: Outputs, pipeline: Pipeline, member: str | None) -> Self:
        """Reads the tensors of one answer.

        Args:
            outputs: the tensors.
            pipeline: the facts that it was decided by.
            member: the one member that was asked; None: those that the facts say.

        Raises:
            RefusedError: with `model_output` where they do not fit the pipeline's facts.
        """
        (confidence,) = outputs.floats(Output.CONFIDENCE, 1)
        (disagreement,) = outputs.floats(Output.DISAGREEMENT, 1)
        (entropy,) = outputs.floats(Output.ENTROPY, 1)
        (threshold,) = outputs.floats(Output.THRESHOLD, 1)
        (prediction,) = outputs.ints(Output.PREDICTION, 1)
        (level,) = outputs.ints(Output.UNCERTAINTY_LEVEL, 1)
        classes = len(pipeline.spec.classes)
        probabilities = outputs.floats(Output.PROBABILITIES, classes)
        members = _members(outputs, pipeline, member)
        levels = _bands(pipeline).levels
        finite = all(map(math.isfinite, (*probabilities, confidence, disagreement, entropy)))
        if not finite or prediction not in range(classes) or level not in range(len(levels)):
            raise misfit()
        return cls(
            pipeline=pipeline,
            probabilities=probabilities,
            members=members,
            prediction=prediction,
            confidence=confidence,
            disagreement=disagreement,
            entropy=entropy,
            threshold=None if math.isnan(threshold) else threshold,
            level=levels[level],
        )

    @property
    def heard(self) -> tuple[str, ...]:
        """The members that spoke."""
        return tuple(self.members)

    @property
    def predicted_class(self) -> str:
        """Name of the predicted class."""
        return self.pipeline.spec.classes[self.prediction]

    @property
    def named(self) -> list[tuple[str, float]]:
        """The predicted class and its probability."""
        return [(self.predicted_class, self.confidence)]


def _members(outputs: Outputs, pipeline: Pipeline, member: str | None) -> dict[str, MemberOpinion]:
    """The opinions of those that were to be heard; the others' numbers mean nothing."""
    names, classes = list(pipeline.spec.members), len(pipeline.spec.classes)
    flat = outputs.floats(Output.MEMBER_PROBABILITIES, len(names) * classes)
    predictions = outputs.ints(Output.MEMBER_PREDICTION, len(names))
    opinions = {}
    for name in pipeline.heard(member):
        index = names.index(name)
        probabilities = flat[index * classes : (index + 1) * classes]
        if not all(map(math.isfinite, probabilities)) or predictions[index] not in range(classes):
            raise misfit()
        opinions[name] = MemberOpinion(probabilities, predictions[index])
    return opinions


def _bands(pipeline: Pipeline) -> Uncertainty:
    bands = pipeline.spec.uncertainty
    assert bands is not None  # noqa: S101 - the spec demands them of a classification
    return bands
