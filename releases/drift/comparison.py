"""Compares the figures of a time with the reference of a release."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from evaluation.errors import EvaluationError, first_problem
from evaluation.metrics.drift import of_numbers, of_words
from pipelines.atomic_write import write_text
from releases.drift.figures import Figures, Kind, kind_of

ALARMS = 0.01
"""The share of times without a change in which anything at all is called drifted, at most."""
LEAST_PHOTOS = 50
"""Below, nothing is said."""
_SPENT = 0.5
"""Part of the false alarms that the figures share: distributions that hold for large samples give
their critical values, and far out they err to either side."""
_SAMPLE = 5000
"""Values of a figure that a reference keeps, drawn at random."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Verdict(StrEnum):
    """What is said of photos, or of answers."""

    QUIET = "quiet"
    DRIFT = "drift"
    NOT_ENOUGH_EVIDENCE = "not enough evidence"


class Reference(_Part):
    """The figures of a release that others are compared with.

    Attributes:
        since: From when the rows are, as `until`; None: from the first one.
    """

    format: Literal[1] = 1
    pipeline: str
    release: str
    since: datetime | None
    until: datetime | None
    figures: Figures

    @classmethod
    def of(
        cls,
        pipeline: str,
        release: str,
        figures: Figures,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Self:
        """A reference that keeps a sample of each figure.

        Raises:
            EvaluationError: There are too few photos.
        """
        if figures.photos < LEAST_PHOTOS:
            raise EvaluationError(
                f"{pipeline} {release}: has {figures.photos} answers in that time; a reference "
                f"needs {LEAST_PHOTOS} at least, better 2000"
            )
        random = np.random.default_rng(0)
        numbers = {
            name: sorted(
                values
                if len(values) <= _SAMPLE
                else random.choice(values, _SAMPLE, replace=False).tolist()
            )
            for name, values in figures.numbers.items()
        }
        return cls(
            pipeline=pipeline,
            release=release,
            since=since,
            until=until,
            figures=figures.model_copy(update={"numbers": numbers}),
        )

    @classmethod
    def read(cls, file: Path) -> Self:
        """Reads a reference.

        Raises:
            EvaluationError: It is not there, or is none of this version.
        """
        try:
            return cls.model_validate_json(file.read_bytes())
        except OSError as error:
            raise EvaluationError(
                f"{file}: {error.strerror}: make it with `python -m releases drift PIPELINE "
                "--make-reference`"
            ) from None
        except ValidationError as error:
            raise EvaluationError(
                f"{file}: is no reference of this version ({first_problem(error)}): make it anew "
                "with --make-reference"
            ) from None

    def write(self, file: Path) -> None:
        """Writes the file.

        Raises:
            EvaluationError: It cannot be written.
        """
        try:
            write_text(file, self.model_dump_json())
        except OSError as error:
            raise EvaluationError(f"{file}: {error.strerror}") from None


class FigureDrift(_Part):
    """One figure beside its reference.

    Attributes:
        test: `ks` of numbers, `psi` of words.
        value: Of the test, as `critical`, above which it is drift.
        psi: The population stability index.
        expected: The reference's median, of words their shares; as `seen`.
    """

    figure: str
    kind: Kind
    test: Literal["ks", "psi"]
    value: float
    critical: float
    psi: float
    drifted: bool
    expected: float | dict[str, float]
    seen: float | dict[str, float]


class DriftReport(_Part):
    """What has become other, of photos and of answers apart."""

    created: datetime
    pipeline: str
    release: str
    reference: str
    since: datetime | None
    until: datetime | None
    photos: int
    alarms: float
    """The share of times without a change in which anything is called drifted, at most."""
    input: Verdict
    answer: Verdict
    figures: tuple[FigureDrift, ...]
    not_in_reference: tuple[str, ...] = ()
    """Figures of this time that the reference lacks, as one of an earlier version does."""


def compare(
    reference: Reference,
    seen: Figures,
    release: str,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    alarms: float = ALARMS,
) -> DriftReport:
    """Compares figures; each has its part of the false alarms that all together may have.

    Args:
        reference: What is expected.
        seen: Of the time that is looked at.
        release: Whose answers they are.
        since: From when they are, as `until`.
        until: None: until now.
        alarms: The share of times without a change with any alarm, at most.
    """
    names = sorted({*reference.figures.numbers} & {*seen.numbers})
    words = sorted({*reference.figures.words} & {*seen.words})
    enough = seen.photos >= LEAST_PHOTOS
    each = _SPENT * alarms / max(1, len(names) + len(words))
    found = []
    for name in names if enough else []:
        ours, theirs = (np.array(part.numbers[name]) for part in (reference.figures, seen))
        if len(theirs) < LEAST_PHOTOS or (distance := of_numbers(ours, theirs, each)) is None:
            continue
        found.append(
            FigureDrift(
                figure=name,
                kind=kind_of(name),
                test="ks",
                value=distance.value,
                critical=distance.critical,
                psi=distance.psi,
                drifted=distance.drifted,
                expected=float(np.median(ours)),
                seen=float(np.median(theirs)),
            )
        )
    for name in words if enough else []:
        counts = reference.figures.words[name], seen.words[name]
        if sum(counts[1].values()) < LEAST_PHOTOS or (distance := of_words(*counts, each)) is None:
            continue
        found.append(
            FigureDrift(
                figure=name,
                kind=kind_of(name),
                test="psi",
                value=distance.value,
                critical=distance.critical,
                psi=distance.psi,
                drifted=distance.drifted,
                expected=_shares(counts[0]),
                seen=_shares(counts[1]),
            )
        )
    return DriftReport(
        created=datetime.now(UTC),
        pipeline=reference.pipeline,
        release=release,
        reference=reference.release,
        since=since,
        until=until,
        photos=seen.photos,
        alarms=alarms,
        input=_verdict(found, Kind.INPUT),
        answer=_verdict(found, Kind.ANSWER),
        figures=tuple(found),
        not_in_reference=tuple(
            sorted(
                {*seen.numbers, *seen.words}
                - {*reference.figures.numbers, *reference.figures.words}
            )
        ),
    )


def _verdict(found: list[FigureDrift], kind: Kind) -> Verdict:
    of_kind = [each for each in found if each.kind is kind]
    if not of_kind:
        return Verdict.NOT_ENOUGH_EVIDENCE
    return Verdict.DRIFT if any(each.drifted for each in of_kind) else Verdict.QUIET


def _shares(counts: dict[str, int]) -> dict[str, float]:
    total = sum(counts.values())
    return {name: count / total for name, count in sorted(counts.items())}
