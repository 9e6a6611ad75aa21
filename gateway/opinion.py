"""What Triton decided on one image, in Python's types. Nothing here is computed."""

import math
from dataclasses import dataclass
from typing import Self

from gateway.catalog import Pipeline
from gateway.errors import Code, RefusedError
from gateway.triton import Outputs
from pipelines.wire import Output


@dataclass(frozen=True, slots=True)
class Opinion:
    """The outputs of a classification ensemble (see the contract), with the facts behind them."""

    pipeline: Pipeline
    probabilities: list[float]
    member_probabilities: list[list[float]]
    """[members][classes]"""
    member_prediction: list[int]
    prediction: int
    confidence: float
    disagreement: float
    entropy: float
    threshold: float | None
    """None where no threshold decided."""
    uncertainty_level: int

    @classmethod
    def read(cls, outputs: Outputs, pipeline: Pipeline) -> Self:
        """Reads the tensors of one answer.

        Raises:
            RefusedError: with `model_output` where they do not fit the pipeline's facts.
        """
        classes, members = len(pipeline.spec.classes), len(pipeline.spec.members)
        flat = outputs.floats(Output.MEMBER_PROBABILITIES)
        (threshold,) = outputs.floats(Output.THRESHOLD)
        opinion = cls(
            pipeline=pipeline,
            probabilities=outputs.floats(Output.PROBABILITIES),
            member_probabilities=[
                flat[start : start + classes] for start in range(0, len(flat), classes)
            ],
            member_prediction=outputs.ints(Output.MEMBER_PREDICTION),
            prediction=outputs.ints(Output.PREDICTION)[0],
            confidence=outputs.floats(Output.CONFIDENCE)[0],
            disagreement=outputs.floats(Output.DISAGREEMENT)[0],
            entropy=outputs.floats(Output.ENTROPY)[0],
            threshold=None if math.isnan(threshold) else threshold,
            uncertainty_level=outputs.ints(Output.UNCERTAINTY_LEVEL)[0],
        )
        numbers = (*flat, *opinion.probabilities, opinion.confidence, opinion.disagreement)
        fits = (
            len(opinion.probabilities) == classes
            and len(flat) == classes * members
            and len(opinion.member_prediction) == members
            and all(map(math.isfinite, (*numbers, opinion.entropy)))
        )
        if not fits:
            raise RefusedError(
                Code.MODEL_OUTPUT,
                "pipeline: its answer does not fit its facts. Report it to the service's operator.",
            )
        return opinion

    @property
    def predicted_class(self) -> str:
        """Name of the predicted class."""
        return self.pipeline.spec.classes[self.prediction]

    @property
    def level(self) -> tuple[str, str]:
        """Name and recommendation of the uncertainty level."""
        return self.pipeline.spec.uncertainty.levels[self.uncertainty_level]
