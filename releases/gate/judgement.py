"""Judges a candidate release by its recorded answers beside those of the current release.

All checks must pass, so that each may have the whole error (R. L. Berger, Multiparameter hypothesis
testing and acceptance sampling, Technometrics 24, 1982); subgroups share it among themselves.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from evaluation.errors import EvaluationError
from evaluation.metrics.calibration import BINS
from evaluation.metrics.detection import match
from evaluation.metrics.resampled_precision import ResampledPrecision
from pipelines.enums import Task
from pipelines.gate import ReleaseGate
from pipelines.gate_verdict import Result
from releases.gate import checks
from releases.gate.answers import CanaryAnswers, CanaryPhoto
from releases.gate.checks import Check
from releases.gate.report import CanaryFacts, GateReport, Reliability

_MOST_GROUPS = 50
_CLASS = "true class"


@dataclass(frozen=True)
class _Paired:
    """Both releases' answers to the same photos in the same order, each photo once."""

    current: list[CanaryPhoto]
    candidate: list[CanaryPhoto]
    copies: int
    unanswered: int
    """By neither; they are left out."""

    @property
    def answered(self) -> list[tuple[CanaryPhoto, CanaryPhoto]]:
        """The photos that both have an answer to."""
        return [
            (ours, theirs)
            for ours, theirs in zip(self.current, self.candidate, strict=True)
            if ours.answered and theirs.answered
        ]


def judge(
    current: CanaryAnswers, candidate: CanaryAnswers, gate: ReleaseGate, *, again: bool = False
) -> GateReport:
    """Compares two recordings of one canary set.

    A photo that one release has no answer to counts as a wrong answer of it. With `again` the
    second recording is a later one, also of the same release; times of two days are not compared.

    Raises:
        EvaluationError: They are of other pipelines, classes, photos or labels, or a column has so
            many values that they are no subgroups.
    """
    _require_alike(current, candidate)
    if current.release == candidate.release and not again:
        raise EvaluationError(
            f"both answers are of release {current.release}: record those of the candidate"
        )
    paired = _pair(current, candidate)
    columns = sorted({name for photo in paired.current for name in photo.groups})
    _require_columns(paired.current, columns, gate)
    if current.task is Task.CLASSIFICATION:
        judged = _classification(current, paired, columns, gate)
    else:
        judged = _detection(current, candidate.threshold, paired, columns, gate)
    judged += _beside(paired, gate)
    if not again:
        judged += _times(paired, gate)
    result = _whole(judged)
    return GateReport(
        created=datetime.now(UTC),
        pipeline=current.pipeline,
        task=current.task,
        current=current.release,
        candidate=candidate.release,
        candidate_sha256=candidate.release_sha256,
        demo=current.demo or candidate.demo,
        result=result,
        reasons=tuple(each.reason for each in judged if each.reason),
        still_needed=_needed(judged),
        checks=tuple(judged),
        canaries=CanaryFacts.of(paired.current, paired.copies, paired.unanswered),
        gate=gate,
        reliability=_reliabilities(paired),
    )


def _require_alike(current: CanaryAnswers, candidate: CanaryAnswers) -> None:
    for name in ("pipeline", "task", "classes", "positive"):
        ours, theirs = getattr(current, name), getattr(candidate, name)
        if ours != theirs:
            raise EvaluationError(
                f"{name}: the current release has {ours}, the candidate {theirs}: they cannot be "
                "compared"
            )


def _pair(current: CanaryAnswers, candidate: CanaryAnswers) -> _Paired:
    ours, copies = _by_content(current)
    theirs, _ = _by_content(candidate)
    if ours.keys() != theirs.keys():
        raise EvaluationError(
            f"the releases were not asked about the same photos: {len(ours.keys() - theirs.keys())}"
            f" only the current one, {len(theirs.keys() - ours.keys())} only the candidate: record "
            "both on one canary set"
        )
    if any(ours[key].groups.keys() != theirs[key].groups.keys() for key in ours):
        raise EvaluationError(
            "the two were recorded with other columns: record both with the same --by"
        )
    if otherwise := sum(ours[key].labels != theirs[key].labels for key in ours):
        raise EvaluationError(
            f"{otherwise} photos are labelled otherwise in one of the two: record both on one "
            "canary set"
        )
    kept = [key for key in ours if ours[key].answered or theirs[key].answered]
    if not kept:
        raise EvaluationError("neither release answered any of the photos")
    return _Paired(
        [ours[key] for key in kept],
        [theirs[key] for key in kept],
        copies,
        len(ours) - len(kept),
    )


def _by_content(answers: CanaryAnswers) -> tuple[dict[str, CanaryPhoto], int]:
    """The photos by SHA-256, and how many were copies of another: a photo counts once."""
    known: dict[str, CanaryPhoto] = {}
    for photo in answers.photos:
        first = known.setdefault(photo.sha256, photo)
        if first.labels != photo.labels:
            raise EvaluationError(
                f"two copies of one photo (SHA-256 {photo.sha256[:12]}) are labelled otherwise: "
                "take the wrong one out"
            )
    return known, len(answers.photos) - len(known)


def _require_columns(
    photos: Sequence[CanaryPhoto], columns: Sequence[str], gate: ReleaseGate
) -> None:
    if missing := [name for name in gate.subgroups if name not in columns]:
        raise EvaluationError(
            f"gate.subgroups: the answers were recorded without {', '.join(missing)}: record them "
            f"with --by {missing[0]}"
        )
    for name in columns:
        if (count := len({photo.groups.get(name, "") for photo in photos})) > _MOST_GROUPS:
            raise EvaluationError(
                f"{name}: has {count} values, so they are no subgroups: name a column of at most "
                f"{_MOST_GROUPS}"
            )


def _classification(
    facts: CanaryAnswers, paired: _Paired, columns: Sequence[str], gate: ReleaseGate
) -> list[Check]:
    truth = np.array([photo.label for photo in paired.current])
    right, theirs = _right(paired.current), _right(paired.candidate)
    groups = {name: _values(paired.current, name) for name in columns}
    if facts.positive is None:
        parts = [("accuracy", "photos", np.ones(len(truth), bool), gate.sensitivity_drop_at_most)]
        groups[_CLASS] = truth
    else:
        parts = [
            ("sensitivity", "positives", truth == facts.positive, gate.sensitivity_drop_at_most),
            ("specificity", "negatives", truth != facts.positive, gate.specificity_drop_at_most),
        ]
    cells = [
        (part, column, group, part[2] & (values == group))
        for column, values in groups.items()
        for group in sorted(set(values.tolist()))
        for part in parts
    ]
    judged = max(1, sum(chosen.sum() >= gate.subgroup_at_least for *_, chosen in cells))
    wholes = {
        name: checks.share_kept(name, unit, right[chosen], theirs[chosen], margin)
        for name, unit, chosen, margin in parts
    }
    of_groups = [
        checks.subgroup(
            wholes[part[0]],
            column,
            group,
            right[chosen],
            theirs[chosen],
            at_least=gate.subgroup_at_least,
            judged=judged,
        )
        for part, column, group, chosen in cells
        if chosen.any()
    ]
    return [*wholes.values(), *of_groups]


def _detection(
    facts: CanaryAnswers,
    threshold: float | None,
    paired: _Paired,
    columns: Sequence[str],
    gate: ReleaseGate,
) -> list[Check]:
    """`threshold` is the candidate's, which may be another one than the current release's."""
    photos = len(paired.current)
    counts = [
        _counts(paired.current, facts.classes, facts.threshold),
        _counts(paired.candidate, facts.classes, threshold),
    ]
    recalls = [_recall(each) for each in counts]
    objects = counts[0][:, 0] + counts[0][:, 1]
    whole = checks.figure_kept(
        "recall",
        "objects",
        *recalls,
        photos=photos,
        of=int(objects.sum()),
        margin=gate.sensitivity_drop_at_most,
    )
    precise = [_precision(facts, paired, masks=False)]
    if facts.task is Task.SEGMENTATION:
        precise.append(_precision(facts, paired, masks=True))
    wholes = [whole] + [
        checks.figure_kept(
            name,
            "objects",
            *metrics,
            photos=photos,
            of=int(objects.sum()),
            margin=gate.precision_drop_at_most,
        )
        for name, metrics in zip(("mAP@0.5 of boxes", "mAP@0.5 of masks"), precise, strict=False)
    ]
    cells = [
        (name, group, np.flatnonzero(_values(paired.current, name) == group))
        for name in columns
        for group in sorted({photo.groups.get(name, "") for photo in paired.current})
    ]
    judged = max(1, sum(objects[here].sum() >= gate.subgroup_at_least for *_, here in cells))
    of_groups = [
        checks.figure_of_subgroup(
            whole,
            column,
            group,
            *(_recall(each[here]) for each in counts),
            photos=len(here),
            of=int(objects[here].sum()),
            at_least=gate.subgroup_at_least,
            judged=judged,
        )
        for column, group, here in cells
    ]
    return [*wholes, *of_groups]


def _beside(paired: _Paired, gate: ReleaseGate) -> list[Check]:
    """The checks of every task: calibration, and false alarms of typicality."""
    both = paired.answered
    made = []
    if both and all(photo.confidence is not None for pair in both for photo in pair):
        errors = [_calibration_error([pair[place] for pair in both]) for place in (0, 1)]
        made.append(
            checks.rise_bounded(
                "expected calibration error",
                "photos",
                *errors,
                photos=len(both),
                limit=gate.calibration_error_rise_at_most,
            )
        )
    judges = [any(pair[place].typical is not None for pair in both) for place in (0, 1)]
    if judges == [True, False]:
        made.append(checks.lost("false alarms of typicality", "photos", len(both)))
    elif both and all(photo.typical is not None for pair in both for photo in pair):
        flagged = [_mean([not pair[place].typical for pair in both]) for place in (0, 1)]
        made.append(
            checks.rise_bounded(
                "false alarms of typicality",
                "photos",
                *flagged,
                photos=len(both),
                limit=gate.atypical_rise_at_most,
            )
        )
    return made


def _times(paired: _Paired, gate: ReleaseGate) -> list[Check]:
    made = []
    for name, field, figure, limit in (
        ("latency, median ms", "latency_ms", np.median, gate.latency_factor_at_most),
        ("compute time, mean ms", "compute_ms", np.mean, gate.compute_factor_at_most),
    ):
        timed = [
            (getattr(ours, field), getattr(theirs, field))
            for ours, theirs in paired.answered
            if getattr(ours, field) is not None and getattr(theirs, field) is not None
        ]
        times = np.array(timed, np.float64).reshape(-1, 2)
        made.append(
            checks.factor_bounded(
                name, "photos", _float(figure), times[:, 0], times[:, 1], limit=limit
            )
        )
    return made


def _whole(judged: Sequence[Check]) -> Result:
    results = {each.result for each in judged}
    if Result.FAIL in results:
        return Result.FAIL
    if Result.NOT_ENOUGH_EVIDENCE in results:
        return Result.NOT_ENOUGH_EVIDENCE
    return Result.PASS


def _needed(judged: Sequence[Check]) -> dict[str, int]:
    units = {each.unit for each in judged if each.still_needed}
    return {
        unit: max(each.still_needed for each in judged if each.unit == unit)
        for unit in sorted(units)
    }


def _right(photos: Sequence[CanaryPhoto]) -> NDArray[np.bool_]:
    return np.array([photo.prediction == photo.label for photo in photos])


def _values(photos: Sequence[CanaryPhoto], column: str) -> NDArray[np.str_]:
    return np.array([photo.groups.get(column, "") for photo in photos])


def _counts(
    photos: Sequence[CanaryPhoto], classes: Sequence[str], threshold: float | None
) -> NDArray[np.int64]:
    """INT64 [N, 2]: the found and the missed objects of each photo, at the threshold."""
    truth = [[each.truth for each in photo.objects] for photo in photos]
    found = [[each.found for each in photo.found] for photo in photos]
    matches = match(truth, found, classes, threshold or 0.0)
    return np.array([[each.hits, each.missed] for each in matches])


def _recall(counts: NDArray[np.int64]) -> checks.Metric:
    def of(drawn: NDArray[np.int64]) -> float | None:
        hits, missed = counts[drawn].sum(axis=0).tolist()
        return hits / (hits + missed) if hits + missed else None

    return of


def _precision(facts: CanaryAnswers, paired: _Paired, *, masks: bool) -> list[checks.Metric]:
    truth = [[each.truth for each in photo.objects] for photo in paired.current]
    return [
        ResampledPrecision(
            truth,
            [[each.found for each in photo.found] for photo in photos],
            facts.classes,
            "segm" if masks else "bbox",
        ).at
        for photos in (paired.current, paired.candidate)
    ]


def _calibration_error(photos: Sequence[CanaryPhoto]) -> checks.Metric:
    confidence, right = _confidence(photos), _right(photos)
    edges = np.linspace(0, 1, BINS + 1)
    places = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, BINS - 1)
    gaps = right - confidence

    def of(drawn: NDArray[np.int64]) -> float:
        sums = np.bincount(places[drawn], weights=gaps[drawn], minlength=BINS)
        return float(np.abs(sums).sum() / len(drawn))

    return of


def _confidence(photos: Sequence[CanaryPhoto]) -> NDArray[np.float64]:
    return np.array([photo.confidence for photo in photos], np.float64)


def _mean(flags: Sequence[bool]) -> checks.Metric:
    values = np.array(flags, np.float64)
    return lambda drawn: float(values[drawn].mean())


def _float(figure: Callable[..., object]) -> Callable[[NDArray[np.float64]], float]:
    return lambda times: float(np.asarray(figure(times)))


def _reliabilities(paired: _Paired) -> tuple[Reliability, ...]:
    made = []
    for photos in (paired.current, paired.candidate):
        answered = [photo for photo in photos if photo.confidence is not None]
        if not answered:
            return ()
        made.append(Reliability.of(_confidence(answered), _right(answered)))
    return tuple(made)
