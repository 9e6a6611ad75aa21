"""Answers as JSON: the shapes of docs/api.md, from opinions and facts."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.body import Image
from gateway.catalog import Pipeline
from gateway.choices import Choices
from gateway.errors import RefusedError, problem
from gateway.opinion import Opinion

Json = dict[str, Any]
_DIGITS = 7
"""What FP32 numbers hold; a mean of them has no more."""


def basic(opinion: Opinion, choices: Choices) -> Json:
    """The answer of `predict`."""
    return {
        **_origin(opinion, choices),
        **_decided(opinion, choices),
        **_facts(opinion),
        "members": _members(opinion.pipeline, choices),
        **_demo(opinion.pipeline),
    }


def advanced(opinion: Opinion, choices: Choices) -> Json:
    """The answer of `predict/advanced`: how sure, and what each member says."""
    pipeline = opinion.pipeline
    models = {}
    for index, (name, weight) in enumerate(_weights(pipeline).items()):
        if choices.member in {None, name}:
            probabilities = opinion.member_probabilities[index]
            prediction = opinion.member_prediction[index]
            models[name] = {
                "prediction": pipeline.spec.classes[prediction],
                "confidence": probabilities[prediction],
                "probabilities": _named(probabilities, opinion, choices),
                "weight": weight,
                **_artefact(pipeline, name),
            }
    return {
        **_origin(opinion, choices),
        **_decided(opinion, choices),
        "uncertainty": _uncertainty(opinion),
        "models": models,
        **_facts(opinion),
        **_demo(pipeline),
    }


def flat(opinion: Opinion, choices: Choices) -> Json:
    """The answer of `/predict`, in the shape of older systems."""
    level, recommendation = opinion.level
    return {
        **_origin(opinion, choices),
        "prediction": opinion.predicted_class,
        "confidence": opinion.confidence,
        "uncertainty": level,
        "recommendation": recommendation,
        "individual_scores": {
            name: probabilities[opinion.prediction]
            for name, probabilities in zip(
                opinion.pipeline.spec.members, opinion.member_probabilities, strict=True
            )
            if choices.member in {None, name}
        },
        **_facts(opinion),
        "members": _members(opinion.pipeline, choices),
        **_demo(opinion.pipeline),
    }


def batch(
    images: Sequence[Image],
    results: Sequence[Opinion | RefusedError],
    pipeline: Pipeline,
    choices: Choices,
) -> Json:
    """Results and summary of `predict/batch`; the facts only where an image was answered."""
    opinions = [result for result in results if isinstance(result, Opinion)]
    if opinions:
        pipeline = opinions[0].pipeline
    counts = dict.fromkeys(pipeline.spec.classes, 0)
    for opinion in opinions:
        counts[opinion.predicted_class] += 1
    total = math.fsum(opinion.confidence for opinion in opinions)
    answer: Json = {}
    if opinions:
        answer |= _origin(opinions[0], choices) | _facts(opinions[0])
        answer |= {"members": _members(pipeline, choices)} | _demo(pipeline)
    answer["results"] = [
        {"index": index, "filename": image.filename, **_result(result, choices)}
        for index, (image, result) in enumerate(zip(images, results, strict=True))
    ]
    answer["summary"] = {
        "total": len(results),
        "failed": len(results) - len(opinions),
        "counts": counts,
        **{alias: counts[name] for alias, name in pipeline.spec.summary_aliases.items()},
        "average_confidence": round(total / len(opinions), _DIGITS) if opinions else None,
    }
    return answer


def described(pipeline: Pipeline, *, ready: bool) -> Json:
    """One entry of the list of pipelines."""
    spec = pipeline.spec
    return {
        "name": spec.name,
        "title": spec.title,
        "task": spec.task,
        "release": pipeline.release,
        "ready": ready,
        "classes": spec.classes,
        "positive": spec.positive,
        "threshold": spec.threshold and spec.threshold.model_dump(),
        "members": {
            name: {
                "architecture": spec.members[name].architecture,
                "format": spec.members[name].format,
                "weight": weight,
                **_artefact(pipeline, name),
            }
            for name, weight in _weights(pipeline).items()
        },
        "preprocessing": spec.preprocessing.profile,
        "limits": spec.limits.model_dump(),
        **_demo(pipeline),
    }


def _result(result: Opinion | RefusedError, choices: Choices) -> Json:
    if isinstance(result, RefusedError):
        return {"error": problem(result.code, result.detail)}
    return {**_decided(result, choices), "uncertainty": _uncertainty(result)}


def _origin(opinion: Opinion, choices: Choices) -> Json:
    """Who speaks."""
    origin = {"pipeline": opinion.pipeline.name, "release": opinion.pipeline.release}
    return origin if choices.member is None else origin | {"member": choices.member}


def _decided(opinion: Opinion, choices: Choices) -> Json:
    return {
        "prediction": opinion.predicted_class,
        "confidence": opinion.confidence,
        "probabilities": _named(opinion.probabilities, opinion, choices),
    }


def _facts(opinion: Opinion) -> Json:
    """How it came to be."""
    facts: Json = {} if opinion.threshold is None else {"threshold": opinion.threshold}
    return facts | {"preprocessing": opinion.pipeline.spec.preprocessing.profile}


def _named(probabilities: Sequence[float], opinion: Opinion, choices: Choices) -> Json:
    """Probabilities by class: all in class order, or the `top_k` largest, largest first."""
    pairs = list(zip(opinion.pipeline.spec.classes, probabilities, strict=True))
    if choices.top_k is not None:
        pairs = sorted(pairs, key=lambda pair: -pair[1])[: choices.top_k]
    return dict(pairs)


def _uncertainty(opinion: Opinion) -> Json:
    level, recommendation = opinion.level
    return {
        "level": level,
        "disagreement": opinion.disagreement,
        "entropy": opinion.entropy,
        "recommendation": recommendation,
    }


def _members(pipeline: Pipeline, choices: Choices) -> Json:
    names = pipeline.spec.members if choices.member is None else (choices.member,)
    return {name: _artefact(pipeline, name) for name in names}


def _artefact(pipeline: Pipeline, member: str) -> Json:
    artefact = pipeline.artefacts[member]
    return {"version": artefact.version, "sha256": artefact.sha256}


def _weights(pipeline: Pipeline) -> Mapping[str, float]:
    return dict(zip(pipeline.spec.members, pipeline.spec.weights, strict=True))


def _demo(pipeline: Pipeline) -> Json:
    return {"weights": "demo"} if pipeline.demo else {}
