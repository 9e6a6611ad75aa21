"""Computes the figures of an overload run from its record."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from lab.overload.calls import Call
from lab.overload.experiment import SETTLED_ASKS, Record, settled
from lab.overload.resources import Sample, cores
from loadtest.study import End

WINDOW_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class OverloadFigures:
    """All in the summary; None where nothing was measured.

    Attributes:
        peak, offered, goodput: Requests a second.
        goodput_share: Goodput while the overload lasted, to its peak.
        worst_window_share: The same of its worst 20 seconds, the first 20 left out.
        refusal_ratio: Refusals' 99th percentile to answers' median.
        recovery_seconds: From the end of the overload to the first of five requests whose median
            is within 1.5 unloaded ones.
        memory_growth: Of the mean of its last quarter over that of its second; in the first, the
            queues fill.
        per_core_second, peak_per_core_second: Answers for each second of processor time that the
            service got, in the overload and in the best step.
        cores: Kept busy by each part.
    """

    unloaded_ms: float
    peak: float
    offered: float
    goodput: float
    goodput_share: float
    worst_window_share: float | None
    answered: int
    refused: int
    failed: int
    error_rate: float
    answer_p50_ms: float | None
    answer_p99_ms: float | None
    refusal_p50_ms: float | None
    refusal_p99_ms: float | None
    refusal_ratio: float | None
    recovery_seconds: float | None
    recovery_ratio: float | None
    memory_mib: float | None
    memory_slope_mib_per_minute: float | None
    memory_growth: float | None
    unready_polls: int
    polls: int
    per_core_second: float | None
    peak_per_core_second: float | None
    cores: dict[str, float]
    faults: dict[str, int]

    def judged(self) -> dict[str, float | None]:
        """What budgets bound, by their names."""
        return {
            "goodput_share": self.goodput_share,
            "refusal_ratio": self.refusal_ratio,
            "recovery_ratio": self.recovery_ratio,
            "memory_growth": self.memory_growth,
            "unready_polls": self.unready_polls,
            "error_rate": self.error_rate,
        }

    def document(self) -> dict[str, object]:
        """For the summary."""
        return asdict(self)


def figures_of(record: Record) -> OverloadFigures:
    """Counts and compares."""
    unloaded = statistics.median(record.unloaded)
    ended = {end: [call for call in record.calls if call.end is end] for end in End}
    answers = [call.seconds for call in ended[End.ANSWERED]]
    refusals = [call.seconds for call in ended[End.REPORTED]]
    span = record.stopped - record.started
    in_time = [call.ended for call in ended[End.ANSWERED] if call.ended <= record.stopped]
    goodput = len(in_time) / span
    answer_p50, refusal_p99 = _quantile(answers, 0.5), _quantile(refusals, 0.99)
    worst = _worst_window(in_time, record.started, record.stopped)
    recovery = _recovery_seconds(record, unloaded)
    samples = [each for each in record.samples if record.started <= each.at <= record.stopped]
    faults: dict[str, int] = {}
    for call in ended[End.WRONG]:
        faults[call.fault] = faults.get(call.fault, 0) + 1
    return OverloadFigures(
        unloaded_ms=unloaded * 1000,
        peak=record.peak,
        offered=record.offered,
        goodput=goodput,
        goodput_share=goodput / record.peak,
        worst_window_share=None if worst is None else worst / record.peak,
        answered=len(answers),
        refused=len(refusals),
        failed=len(ended[End.WRONG]),
        error_rate=len(ended[End.WRONG]) / len(record.calls),
        answer_p50_ms=_ms(answer_p50),
        answer_p99_ms=_ms(_quantile(answers, 0.99)),
        refusal_p50_ms=_ms(_quantile(refusals, 0.5)),
        refusal_p99_ms=_ms(refusal_p99),
        refusal_ratio=refusal_p99 / answer_p50 if refusal_p99 and answer_p50 else None,
        recovery_seconds=recovery,
        recovery_ratio=None if recovery is None else recovery / unloaded,
        memory_mib=max((each.total_mib for each in samples), default=None),
        memory_slope_mib_per_minute=_slope(samples),
        memory_growth=_growth(samples),
        unready_polls=sum(not ready for _, ready in record.ready),
        polls=len(record.ready),
        per_core_second=_per_core_second(len(in_time), samples),
        peak_per_core_second=max(record.steps, key=lambda step: step.goodput).per_core_second,
        cores=cores(samples),
        faults=faults,
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _quantile(values: Sequence[float], share: float) -> float | None:
    return float(np.quantile(values, share)) if values else None


def _worst_window(ends: Sequence[float], start: float, stop: float) -> float | None:
    """Answers a second in the emptiest whole window after the first."""
    count = round((stop - start) / WINDOW_SECONDS)
    counts = [
        sum(0 <= end - start - index * WINDOW_SECONDS < WINDOW_SECONDS for end in ends)
        for index in range(1, count)
    ]
    return min(counts) / WINDOW_SECONDS if counts else None


def _per_core_second(answers: int, samples: Sequence[Sample]) -> float | None:
    worked = samples[-1].busy - samples[0].busy if samples else 0.0
    return answers / worked if worked else None


def _recovery_seconds(record: Record, unloaded: float) -> float | None:
    calls: Sequence[Call] = record.recovery[-SETTLED_ASKS:]
    return calls[0].intended - record.stopped if settled(calls, unloaded) else None


def _slope(samples: Sequence[Sample]) -> float | None:
    if len(samples) < 2:  # noqa: PLR2004 - a line has two points
        return None
    moments = [each.at / 60 for each in samples]
    return statistics.linear_regression(moments, [each.total_mib for each in samples]).slope


def _growth(samples: Sequence[Sample]) -> float | None:
    quarter = len(samples) // 4
    if not quarter:
        return None
    first = statistics.fmean(each.total_mib for each in samples[quarter : 2 * quarter])
    last = statistics.fmean(each.total_mib for each in samples[-quarter:])
    return max(0.0, last / first - 1)
