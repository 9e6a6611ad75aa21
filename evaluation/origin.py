"""The report fields that all tasks share: pipeline, release, members, counts."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, TypeVar

from secondopinion import Answer, Pipeline

from evaluation.answers import Answered, Failed, Outcome
from evaluation.errors import EvaluationError, some
from evaluation.report import MemberFacts, copies
from evaluation.settings import EvaluationSettings

_MEASURING = ("secondopinion", "scikit-learn", "pycocotools", "numpy")

A = TypeVar("A", bound=Answer)


def answered(outcomes: Sequence[Outcome[A]]) -> list[Answered[A]]:
    """The outcomes with an answer.

    Raises:
        EvaluationError: There is none; it says why the first has none.
    """
    kept = [outcome for outcome in outcomes if isinstance(outcome, Answered)]
    if not kept:
        reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Failed)]
        raise EvaluationError(
            f"none of the {len(reasons)} photos was answered; the first because: {reasons[0]}"
        )
    return kept


def origin(
    settings: EvaluationSettings,
    pipeline: Pipeline,
    outcomes: Sequence[Outcome[A]],
    threshold: float | None,
) -> dict[str, Any]:
    """The fields of `Origin`.

    Raises:
        EvaluationError: No photo was answered, or not all by the same release.
    """
    answers = answered(outcomes)
    first = answers[0].answer
    releases = sorted({each.answer.release for each in answers})
    if len(releases) > 1:
        raise EvaluationError(
            f"{pipeline.name}: the service changed its release during the run "
            f"({some(releases)}); ask again"
        )
    return {
        "created": datetime.now(UTC),
        "pipeline": pipeline.name,
        "release": first.release,
        "member": settings.member,
        "members": {
            name: MemberFacts(version=member.version, sha256=member.sha256)
            for name, member in first.members.items()
        },
        "weights": first.weights,
        "preprocessing": first.preprocessing,
        "classes": list(pipeline.classes),
        "threshold": threshold,
        "photos": len(answers),
        "failed": len(outcomes) - len(answers),
        "copies": copies(each.sha256 for each in answers),
        "versions": {name: version(name) for name in _MEASURING},
    }
