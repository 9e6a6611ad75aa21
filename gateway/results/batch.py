"""The answer about a batch of images: an entry for each, and a summary."""

import math
from collections.abc import Sequence
from typing import Any

from gateway.core.catalog import Pipeline
from gateway.core.request import RequestParameters
from gateway.errors import RefusedError, problem
from gateway.results.facts import Stamp, basis, member_facts, origin
from gateway.results.outcome import Outcome
from gateway.results.shapes import BatchError, BatchProblemParts, BatchSummary, adapter
from gateway.results.task_handlers import handler_of

_DIGITS = 7
"""Decimal digits of an FP32 number; a mean of such numbers has no more."""


def render(outcomes: Sequence[Outcome], parameters: RequestParameters, stamp: Stamp) -> bytes:
    """The answer of `predict/batch` as JSON; one outcome at least must be a result."""
    first = next(o.result for o in outcomes if not isinstance(o.result, RefusedError))
    pipeline = first.pipeline
    handler = handler_of(pipeline)
    entries: list[Any] = [
        _error(index, outcome, outcome.result)
        if isinstance(outcome.result, RefusedError)
        else {
            "index": index,
            "filename": outcome.image.filename,
            **handler.in_batch(outcome.result, parameters),
        }
        for index, outcome in enumerate(outcomes)
    ]
    answer = {
        "request_id": stamp.request_id,
        **origin(pipeline, parameters),
        **basis(pipeline, first.threshold),
        "members": member_facts(pipeline, first.answering_members),
        "results": entries,
        "summary": _summary(outcomes, pipeline),
        "processing_time_ms": stamp.processing_time_ms,
    }
    return adapter(handler.batch_shape).dump_json(answer)


def problem_parts(outcomes: Sequence[Outcome], pipeline: Pipeline) -> BatchProblemParts:
    """What the problem document of a batch adds where no image was answered."""
    errors = [
        _error(index, outcome, outcome.result)
        for index, outcome in enumerate(outcomes)
        if isinstance(outcome.result, RefusedError)
    ]
    return {"results": errors, "summary": _summary(outcomes, pipeline)}


def _error(index: int, outcome: Outcome, refusal: RefusedError) -> BatchError:
    return {
        "index": index,
        "filename": outcome.image.filename,
        "error": problem(refusal.code, refusal.detail),
    }


def _summary(outcomes: Sequence[Outcome], pipeline: Pipeline) -> BatchSummary:
    """How often each class was predicted, and with what mean confidence."""
    results = [o.result for o in outcomes if not isinstance(o.result, RefusedError)]
    scores = [pair for result in results for pair in result.label_scores]
    counts = dict.fromkeys(pipeline.spec.classes, 0)
    for label, _ in scores:
        counts[label] += 1
    mean = round(math.fsum(score for _, score in scores) / len(scores), _DIGITS) if scores else None
    aliases: Any = {alias: counts[name] for alias, name in pipeline.spec.summary_aliases.items()}
    return {
        "total": len(outcomes),
        "failed": len(outcomes) - len(results),
        "counts": counts,
        **aliases,
        "average_confidence": mean,
    }
