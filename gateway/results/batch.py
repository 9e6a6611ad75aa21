"""The answer to a batch of images: an entry for each image, and a summary."""

import math
from collections.abc import Sequence
from typing import Any

from gateway.core.catalog import Pipeline
from gateway.core.request import Image, RequestParameters
from gateway.errors import RefusedError, problem
from gateway.results.compute import milliseconds
from gateway.results.facts import Account, Stamp, basis, member_facts, origin
from gateway.results.shapes import BatchEntry, BatchProblemParts, BatchSummary, adapter
from gateway.results.task_handlers import Result, handler_of
from pipelines.enums import QualityWarning

_DIGITS = 7
"""Decimal digits of an FP32 number; a mean of such numbers has no more."""


def render(
    images: Sequence[Image],
    results: Sequence[Result | RefusedError],
    accounts: Sequence[Account],
    parameters: RequestParameters,
    stamp: Stamp,
) -> bytes:
    """The answer of `predict/batch` as JSON; one image at least must have a result."""
    first = next(result for result in results if not isinstance(result, RefusedError))
    pipeline = first.pipeline
    answer = {
        "request_id": stamp.request_id,
        **origin(pipeline, parameters),
        **first.calibration,
        **basis(pipeline, first.threshold),
        "members": member_facts(pipeline, first.answering_members),
        "results": _entries(images, results, accounts, parameters),
        "summary": _summary(results, pipeline),
        "processing_time_ms": stamp.processing_time_ms,
    }
    return adapter(handler_of(pipeline).batch_shape).dump_json(answer)


def problem_parts(
    images: Sequence[Image],
    refusals: Sequence[RefusedError],
    accounts: Sequence[Account],
    pipeline: Pipeline,
    parameters: RequestParameters,
) -> BatchProblemParts:
    """What the problem document of a batch adds where no image was answered."""
    return {
        "results": _entries(images, refusals, accounts, parameters),
        "summary": _summary(refusals, pipeline),
    }


def _entries(
    images: Sequence[Image],
    results: Sequence[Result | RefusedError],
    accounts: Sequence[Account],
    parameters: RequestParameters,
) -> list[Any]:
    """The result or the problem of each image, in their order."""
    entries: list[Any] = []
    rows = zip(images, results, accounts, strict=True)
    for index, (image, result, account) in enumerate(rows):
        entry: BatchEntry = {"index": index, "filename": image.filename, **account.facts()}
        if isinstance(result, RefusedError):
            entries.append({**entry, "error": problem(result.code, result.detail)})
        else:
            entries.append({**entry, **handler_of(result.pipeline).in_batch(result, parameters)})
    return entries


def _summary(results: Sequence[Result | RefusedError], pipeline: Pipeline) -> BatchSummary:
    """How often each class was predicted, with what mean confidence, and from what photos."""
    answered = [result for result in results if not isinstance(result, RefusedError)]
    judged = [result.kind["typical"] for result in answered]
    scores = [pair for result in answered for pair in result.label_scores]
    counts = dict.fromkeys(pipeline.spec.classes, 0)
    for label, _ in scores:
        counts[label] += 1
    mean = round(math.fsum(score for _, score in scores) / len(scores), _DIGITS) if scores else None
    warnings = [result.quality.warnings for result in answered]
    aliases: Any = {alias: counts[name] for alias, name in pipeline.spec.summary_aliases.items()}
    return {
        "total": len(results),
        "failed": len(results) - len(answered),
        "counts": counts,
        **aliases,
        "average_confidence": mean,
        "warned": sum(map(bool, warnings)),
        "warnings": {
            code: sum(code in each for each in warnings)
            for code in QualityWarning
            if getattr(pipeline.spec.quality, code) is not None
        },
        "compute_ms": milliseconds(math.fsum(result.compute.seconds() for result in answered)),
        "atypical": None if None in judged or not judged else judged.count(False),
    }
