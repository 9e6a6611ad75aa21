"""The prediction in an answer, compared with the unloaded service's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from loadtest.photos import Photo

SCORE_TOLERANCE = 1e-3
"""How far scores of one photo may differ: its neighbours in a batch change the last digits."""


class UnusableAnswerError(Exception):
    """The answer is none, or not to what was asked."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Class and score of a classification; of a detector, those of all detections.

    Scores are in [0, 1].
    """

    labels: tuple[str, ...]
    scores: tuple[float, ...]

    @classmethod
    def of_answer(cls, answer: Mapping[str, Any]) -> Self:
        """Reads the JSON of one image's answer.

        Raises:
            UnusableAnswerError: it has no prediction.
        """
        try:
            if "predictions" in answer:
                found = answer["predictions"]
                pairs = [(str(item["class"]), float(item["score"])) for item in found]
            else:
                pairs = [(str(answer["prediction"]), float(answer["confidence"]))]
        except (KeyError, TypeError, ValueError):
            raise UnusableAnswerError("the answer has no prediction") from None
        return cls(tuple(label for label, _ in pairs), tuple(score for _, score in pairs))

    @classmethod
    def of_indices(
        cls, indices: Sequence[int], scores: Sequence[float], classes: Sequence[str]
    ) -> Self:
        """Reads tensors, which have indices into the classes.

        Raises:
            UnusableAnswerError: an index is beyond the classes.
        """
        try:
            labels = tuple(classes[index] for index in indices)
        except IndexError:
            raise UnusableAnswerError("the answer has a class that the pipeline has not") from None
        return cls(labels, tuple(float(score) for score in scores))

    def differs(self, other: Self) -> bool:
        """Whether the other says something else about the same photo."""
        if self.labels != other.labels or len(self.scores) != len(other.scores):
            return True
        pairs = zip(self.scores, other.scores, strict=True)
        # A score that is no number is near none.
        return not all(abs(one - another) <= SCORE_TOLERANCE for one, another in pairs)


def answered(document: object, pipeline: str) -> Mapping[str, Any]:
    """The answer, if it is one of this pipeline's.

    Raises:
        UnusableAnswerError: it is none, or another pipeline's.
    """
    if not isinstance(document, Mapping):
        raise UnusableAnswerError("the answer is not a JSON object")
    if document.get("pipeline") != pipeline:
        raise UnusableAnswerError("the answer is of another pipeline")
    return document


class Reference:
    """Predictions by the name of their photo."""

    def __init__(self) -> None:
        self._predictions: dict[str, Prediction] = {}

    def learn(self, photo: Photo, prediction: Prediction) -> None:
        """Takes the first answer as the right one."""
        self._predictions.setdefault(photo.name, prediction)

    def fault(self, photos: Sequence[Photo], predictions: Sequence[Prediction]) -> str:
        """What is wrong with the answers; empty where nothing is."""
        if len(photos) != len(predictions):
            return f"{len(predictions)} answers to {len(photos)} photos"
        for photo, prediction in zip(photos, predictions, strict=True):
            if prediction.differs(self._predictions[photo.name]):
                return f"{photo.name}: not the answer of the unloaded service"
        return ""
