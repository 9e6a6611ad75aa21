"""The answer about many images."""

import math
from collections.abc import Sequence

from gateway.core.catalog import Pipeline
from gateway.core.parameters import Choices
from gateway.errors import RefusedError, problem
from gateway.http.body import Image
from gateway.results.frame import Json, framed
from gateway.results.result import Finding
from gateway.results.task_handlers import kind_of

_DIGITS = 7
"""What FP32 numbers hold; a mean of them has no more."""


def batch(
    images: Sequence[Image],
    results: Sequence[Finding | RefusedError],
    pipeline: Pipeline,
    choices: Choices,
) -> Json:
    """Results and summary of `predict/batch`; the facts only where an image was answered."""
    findings = [result for result in results if not isinstance(result, RefusedError)]
    answer: Json = {}
    if findings:
        pipeline = findings[0].pipeline
        answer = framed(findings[0], choices, {})
    answer["results"] = [
        {"index": index, "filename": image.filename, **_result(result, choices)}
        for index, (image, result) in enumerate(zip(images, results, strict=True))
    ]
    failed = len(results) - len(findings)
    answer["summary"] = {"total": len(results), "failed": failed, **_counted(findings, pipeline)}
    return answer


def _result(result: Finding | RefusedError, choices: Choices) -> Json:
    if isinstance(result, RefusedError):
        return {"error": problem(result.code, result.detail)}
    return kind_of(result.pipeline).entry(result, choices)


def _counted(findings: Sequence[Finding], pipeline: Pipeline) -> Json:
    """How often each class was named, and how surely on average; null where none was."""
    named = [pair for finding in findings for pair in finding.named]
    counts = dict.fromkeys(pipeline.spec.classes, 0)
    for name, _ in named:
        counts[name] += 1
    total = math.fsum(confidence for _, confidence in named)
    return {
        "counts": counts,
        **{alias: counts[name] for alias, name in pipeline.spec.summary_aliases.items()},
        "average_confidence": round(total / len(named), _DIGITS) if named else None,
    }
