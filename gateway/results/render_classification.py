"""The answers of a classification."""

from collections.abc import Sequence

from gateway.core.parameters import Choices
from gateway.results.classification import Opinion
from gateway.results.frame import Json, artefact, framed


def basic(opinion: Opinion, choices: Choices) -> Json:
    """The answer of `predict`."""
    return framed(opinion, choices, _decided(opinion, choices))


def advanced(opinion: Opinion, choices: Choices) -> Json:
    """The answer of `predict/advanced`: how sure, and what each member says."""
    pipeline = opinion.pipeline
    weights = pipeline.weights
    models = {
        name: {
            "prediction": pipeline.spec.classes[member.prediction],
            "confidence": member.probabilities[member.prediction],
            "probabilities": _named(member.probabilities, opinion, choices),
            "weight": weights[name],
            **artefact(pipeline, name),
        }
        for name, member in opinion.members.items()
    }
    return framed(opinion, choices, entry(opinion, choices) | {"models": models}, members=False)


def flat(opinion: Opinion, choices: Choices) -> Json:
    """The answer of `/predict`, in the shape of older systems."""
    level, recommendation = opinion.level
    content = {
        "prediction": opinion.predicted_class,
        "confidence": opinion.confidence,
        "uncertainty": level,
        "recommendation": recommendation,
        "individual_scores": {
            name: member.probabilities[opinion.prediction]
            for name, member in opinion.members.items()
        },
    }
    return framed(opinion, choices, content)


def entry(opinion: Opinion, choices: Choices) -> Json:
    """One image of a batch."""
    level, recommendation = opinion.level
    return _decided(opinion, choices) | {
        "uncertainty": {
            "level": level,
            "disagreement": opinion.disagreement,
            "entropy": opinion.entropy,
            "recommendation": recommendation,
        }
    }


def _decided(opinion: Opinion, choices: Choices) -> Json:
    return {
        "prediction": opinion.predicted_class,
        "confidence": opinion.confidence,
        "probabilities": _named(opinion.probabilities, opinion, choices),
    }


def _named(probabilities: Sequence[float], opinion: Opinion, choices: Choices) -> Json:
    """Probabilities by class: all in class order, or the `top_k` largest, largest first."""
    pairs = list(zip(opinion.pipeline.spec.classes, probabilities, strict=True))
    if choices.top_k is not None:
        pairs = sorted(pairs, key=lambda pair: -pair[1])[: choices.top_k]
    return dict(pairs)
