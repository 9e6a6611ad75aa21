"""What feedback says of a service's answers: by release, by site, and which answers got it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict
from secondopinion import Case, LabelledObject, Pipeline

from evaluation.errors import EvaluationError, some
from evaluation.feedback_cases import label_of, reading_of
from evaluation.metrics.detection import match
from evaluation.metrics.intervals import Share, share
from evaluation.metrics.objects import Found, Truth
from evaluation.metrics.verification import Corrected, Stratum, correct

_ANY_SCORE = 0.0
"""The service recorded those detections that it answered: all of them count."""
_FOUND, _NOTHING = "something found", "nothing found"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ClassificationGroup(_Part):
    """The labelled answers of a release or a site; shares have Wilson's 95 % interval.

    Attributes:
        recall: Of each class; None where nobody said it.
        corrected: Estimates for all answers, labelled or not; None where nothing is known of some.
    """

    name: str
    answers: int
    accuracy: Share | None
    sensitivity: Share | None
    specificity: Share | None
    recall: dict[str, Share | None]
    corrected: Corrected | None


class DetectionGroup(_Part):
    """The labelled answers of a release or a site, by boxes of one class at an IoU of 0.5.

    Attributes:
        precision: Detections that meet an object.
        recall: Objects that are met.
    """

    name: str
    answers: int
    precision: Share | None
    recall: Share | None


class Coverage(_Part):
    """Which answers got a label.

    Attributes:
        labelled: Of all answers.
        levels: Of the answers of each uncertainty level; empty of a detector.
        predictions: Of the answers of each class; of a detector of those with and without finds.
        confidence: Mean of the labelled answers (of a detector: of their detections' scores), and
            of the others; None where there are none.
    """

    labelled: Share
    levels: dict[str, Share]
    predictions: dict[str, Share]
    confidence: tuple[float | None, float | None]


class Readings(_Part):
    """Labelled answers of which a reader had recorded an own finding before: who was right."""

    both: int
    models_alone: int
    reader_alone: int
    neither: int

    @property
    def cases(self) -> int:
        """How many there are."""
        return self.both + self.models_alone + self.reader_alone + self.neither


class FeedbackReport(_Part):
    """What people said of a pipeline's answers.

    Attributes:
        answers: How many there are, with and without a label.
        members_alone: Further answers, of one member alone, which are in no figure.
        readings: Of a classifier, where readers recorded findings before the models'.
    """

    format: Literal[1] = 1
    created: datetime
    pipeline: str
    task: str
    classes: list[str]
    positive: str | None
    since: datetime | None
    until: datetime | None
    answers: int
    members_alone: int
    releases: list[ClassificationGroup | DetectionGroup]
    sites: list[ClassificationGroup | DetectionGroup]
    coverage: Coverage
    readings: Readings | None


def report(
    pipeline: Pipeline,
    cases: Iterable[Case],
    since: datetime | None = None,
    until: datetime | None = None,
) -> FeedbackReport:
    """Measures answers by what people said of them.

    Args:
        pipeline: What the service says of it.
        cases: All answers of the time, with and without feedback.
        since: Where that time began.
        until: Where it ended.

    Raises:
        EvaluationError: There are no answers, or none has a label, or a label is none of the
            pipeline's classes.
    """
    asked = list(cases)
    whole = [case for case in asked if case.member is None]
    labelled = [case for case in whole if label_of(case) is not None]
    if not labelled:
        raise EvaluationError(
            f"{pipeline.name}: none of {len(whole)} answers has feedback yet; give some with "
            "`secondopinion feedback`"
        )
    _check_classes(labelled, pipeline)
    group = _detections if pipeline.detects else _classification
    return FeedbackReport(
        created=datetime.now(UTC),
        pipeline=pipeline.name,
        task=pipeline.task,
        classes=list(pipeline.classes),
        positive=pipeline.positive,
        since=since,
        until=until,
        answers=len(whole),
        members_alone=len(asked) - len(whole),
        releases=_groups(whole, lambda case: case.release, group, pipeline),
        sites=_groups(whole, lambda case: case.site, group, pipeline),
        coverage=_coverage(whole, pipeline),
        readings=None if pipeline.detects else _readings(labelled),
    )


def _check_classes(cases: Iterable[Case], pipeline: Pipeline) -> None:
    """Feedback of an earlier release may name classes that the pipeline has no more."""
    named: set[str | None] = set()
    for case in cases:
        named |= {case.prediction, *(each.class_name for each in case.detections or ())}
        if (label := label_of(case)) is not None:
            named |= {label.label, *(each.class_name for each in label.objects or ())}
    if unknown := sorted({str(name) for name in named - {None}} - {*pipeline.classes}):
        raise EvaluationError(
            f"{pipeline.name}: answers or feedback name classes that it does not have (any more): "
            f"{some(unknown)}; choose the time of one release with --since and --until"
        )


def _groups(
    cases: Sequence[Case],
    key: Callable[[Case], str],
    group: Callable[[str, Sequence[Case], Pipeline], ClassificationGroup | DetectionGroup],
    pipeline: Pipeline,
) -> list[ClassificationGroup | DetectionGroup]:
    """One for each release or site, in their order of appearance."""
    parts: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        parts[key(case)].append(case)
    return [group(name, part, pipeline) for name, part in parts.items()]


def _classification(name: str, cases: Sequence[Case], pipeline: Pipeline) -> ClassificationGroup:
    pairs = [
        (case.prediction, label.label) for case in cases if (label := label_of(case)) is not None
    ]
    recall = {
        each: share(
            sum(predicted == label == each for predicted, label in pairs),
            sum(label == each for _, label in pairs),
        )
        for each in pipeline.classes
    }
    positive = pipeline.positive
    other = next((each for each in pipeline.classes if each != positive), None)
    return ClassificationGroup(
        name=name,
        answers=len(cases),
        accuracy=share(sum(predicted == label for predicted, label in pairs), len(pairs)),
        sensitivity=None if positive is None else recall[positive],
        specificity=None if positive is None or other is None else recall[other],
        recall=recall,
        corrected=correct(_strata(cases), positive),
    )


def _strata(cases: Sequence[Case]) -> list[Stratum]:
    parts: dict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        parts[case.prediction or "", case.level or ""].append(case)
    strata = []
    for (prediction, level), part in parts.items():
        labels = [label.label for case in part if (label := label_of(case)) is not None]
        right = sum(label == prediction for label in labels)
        strata.append(Stratum(prediction, level, len(part), len(labels), right))
    return strata


def _detections(name: str, cases: Sequence[Case], pipeline: Pipeline) -> DetectionGroup:
    labelled = [case for case in cases if label_of(case) is not None]
    truth = [_truth(case) for case in labelled]
    found = [_found(case) for case in labelled]
    matches = match(truth, found, pipeline.classes, _ANY_SCORE) if labelled else []
    hits = sum(each.hits for each in matches)
    return DetectionGroup(
        name=name,
        answers=len(cases),
        precision=share(hits, hits + sum(each.false_alarms for each in matches)),
        recall=share(hits, hits + sum(each.missed for each in matches)),
    )


def _truth(case: Case) -> list[Truth]:
    label = label_of(case)
    objects = (label.objects if label else None) or ()
    return [Truth(each.class_name, box_of(each)) for each in objects]


def box_of(each: LabelledObject) -> tuple[float, float, float, float]:
    """The box of a labelled object; the service adds it where only a mask was sent.

    Raises:
        EvaluationError: It has none.
    """
    if each.box is None:
        raise EvaluationError("an object of the service's feedback has no box; ask a newer service")
    return each.box.x1, each.box.y1, each.box.x2, each.box.y2


def _found(case: Case) -> list[Found]:
    return [
        Found(each.class_name, each.score, (each.box.x1, each.box.y1, each.box.x2, each.box.y2))
        for each in case.detections or ()
    ]


def _coverage(cases: Sequence[Case], pipeline: Pipeline) -> Coverage:
    labelled = [case for case in cases if label_of(case) is not None]
    others = [case for case in cases if label_of(case) is None]
    whole = share(len(labelled), len(cases))
    assert whole is not None  # noqa: S101 - some are labelled
    return Coverage(
        labelled=whole,
        levels={} if pipeline.detects else _shares(cases, lambda case: case.level or ""),
        predictions=_shares(cases, _answer_of),
        confidence=(_mean_confidence(labelled), _mean_confidence(others)),
    )


def _answer_of(case: Case) -> str:
    if case.detections is None:
        return case.prediction or ""
    return _FOUND if case.detections else _NOTHING


def _shares(cases: Sequence[Case], key: Callable[[Case], str]) -> dict[str, Share]:
    """Of the answers of each kind, those with a label."""
    of: dict[str, list[bool]] = defaultdict(list)
    for case in cases:
        of[key(case)].append(label_of(case) is not None)
    found = {name: share(sum(labels), len(labels)) for name, labels in sorted(of.items())}
    return {name: each for name, each in found.items() if each is not None}


def _mean_confidence(cases: Sequence[Case]) -> float | None:
    scores = [case.confidence for case in cases if case.confidence is not None]
    scores += [each.score for case in cases for each in case.detections or ()]
    return sum(scores) / len(scores) if scores else None


def _readings(cases: Sequence[Case]) -> Readings | None:
    counts = {(models, reader): 0 for models in (True, False) for reader in (True, False)}
    for case in cases:
        reading, label = reading_of(case), label_of(case)
        if reading is not None and label is not None:
            counts[case.prediction == label.label, reading.label == label.label] += 1
    if not any(counts.values()):
        return None
    return Readings(
        both=counts[True, True],
        models_alone=counts[True, False],
        reader_alone=counts[False, True],
        neither=counts[False, False],
    )
