"""What a kept gate report says of a candidate, read again before the candidate is promoted."""

from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.release import Release
from pipelines.release_changes import ChangeRefusedError

FOLDER = "gates"
_REASONS = 3
"""Reasons of a failed gate that are named; the report has all."""


class Result(StrEnum):
    """What a check, or the whole gate, says."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    NOT_ENOUGH_EVIDENCE = "not enough evidence"
    SHOWN = "shown"
    """Not judged: a subgroup that is too small, or a figure that not all answers have."""


class _CanarySet(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    sha256: str
    photos: int


class GateVerdict(BaseModel):
    """The part of a report that a promotion rests on."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    created: datetime
    pipeline: str
    current: str
    candidate: str
    candidate_sha256: str | None = None
    """Of the file of the release that answered; None: its service did not say it."""
    result: Result
    reasons: tuple[str, ...]
    still_needed: dict[str, int]
    canaries: _CanarySet

    @classmethod
    def read(cls, file: Path) -> Self:
        """Reads it from a report.

        Raises:
            ChangeRefusedError: the report cannot be read, or is none of this version.
        """
        try:
            return cls.model_validate_json(file.read_bytes())
        except (OSError, ValidationError):
            raise ChangeRefusedError(
                f"gate report {file.name}: it cannot be read, or is of another version: run the "
                "gate again"
            ) from None


def kept(repository: Path, pipeline: str, candidate: str) -> list[Path]:
    """The reports of a candidate, the newest last; a page lies beside each."""
    return sorted((repository / pipeline / FOLDER / candidate).glob("*.json"))


def grounds(
    pipeline: str,
    candidate: str,
    current: str,
    repository: Path | None,
    *,
    without_gate: str | None,
) -> str:
    """What a promotion rests on, for the history: the newest gate report, or why there is none.

    Args:
        pipeline: its name.
        candidate: the id of the release that is to be promoted.
        current: the id of the one whose place it takes.
        repository: where reports are kept; None: it is not reached from here.
        without_gate: why no report is asked for; None: one is.

    Raises:
        ChangeRefusedError: there is no report, it has not passed, or it is of other releases.
        ReleaseError: the candidate's file cannot be read.
    """
    if without_gate is not None:
        if not without_gate.strip():
            raise ChangeRefusedError("without gate: say why")
        return f"without gate: {without_gate.strip()}"
    if repository is None:
        raise ChangeRefusedError(
            "this gateway does not reach the model repository (GATEWAY_MODEL_REPOSITORY), where "
            "gate reports are: run python -m releases promote beside the server, or say why no "
            "report is needed (without_gate)"
        )
    files = kept(repository, pipeline, candidate)
    if not files:
        raise ChangeRefusedError(
            f"no gate report of {candidate} is kept: run python -m releases gate {pipeline} "
            "LABELS, or say why it is promoted without one (--without-gate REASON; without_gate)"
        )
    verdict = GateVerdict.read(files[-1])
    _require_passed(verdict, files[-1].name, Release.read(pipeline, candidate, repository), current)
    return (
        f"gate passed {verdict.created:%Y-%m-%dT%H:%M:%SZ} beside {current}: "
        f"{verdict.canaries.photos} photos, canary set {verdict.canaries.sha256[:12]}, "
        f"{files[-1].name}"
    )


def _require_passed(verdict: GateVerdict, name: str, release: Release, current: str) -> None:
    pipeline, candidate = release.spec.name, release.identity
    again = f"run python -m releases gate {pipeline} LABELS again"
    if (verdict.pipeline, verdict.candidate) != (pipeline, candidate):
        raise ChangeRefusedError(
            f"gate report {name}: it is of {verdict.pipeline} {verdict.candidate}, and lies with "
            f"{candidate}: {again}"
        )
    if verdict.candidate_sha256 != release.sha256:
        raise ChangeRefusedError(
            f"gate report {name}: what answered was not said to be the files of {candidate}: "
            f"{again}"
        )
    if verdict.current != current:
        raise ChangeRefusedError(
            f"gate report {name}: it compares {candidate} with {verdict.current}, and {current} is "
            f"the current release now: {again}"
        )
    if verdict.result is Result.NOT_ENOUGH_EVIDENCE:
        more = " and ".join(f"{count} {what}" for what, count in verdict.still_needed.items())
        raise ChangeRefusedError(
            f"gate report {name}: not enough evidence: label about {more or 'more photos'} more "
            f"and {again}"
        )
    if verdict.result is not Result.PASS:
        raise ChangeRefusedError(
            f"gate report {name}: {candidate} failed: {'; '.join(verdict.reasons[:_REASONS])}: "
            "retire it, and stage a better one"
        )
