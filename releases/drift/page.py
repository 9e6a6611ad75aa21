"""A report of drift as a page: a table, and each figure's distribution then and now."""

from collections.abc import Sequence

import numpy as np

from releases import page
from releases.drift.comparison import DriftReport, FigureDrift, Reference
from releases.drift.figures import Figures

_HEADER = ("figure", "of", "test", "distance", "critical", "PSI", "reference", "now", "")
_STEPS = 50


def render(report: DriftReport, reference: Reference, seen: Figures) -> str:
    """The page: HTML without scripts, which needs no other file."""
    drawn = [
        page.curves(
            f"{each.figure}: reference and now",
            _distributions(reference.figures.numbers[each.figure], seen.numbers[each.figure]),
            f"{each.figure}, of its range",
            "share below",
        )
        for each in report.figures
        if each.test == "ks"
    ]
    return page.document(
        f"Drift of {report.pipeline} {report.release}",
        page.paragraph(
            f"Photos: {report.input}. Answers: {report.answer}. {report.photos} photos beside the "
            f"reference of release {report.reference} ({reference.figures.photos} photos). Without "
            f"a change anything is called drifted in at most {report.alarms:.1%} of such times."
        ),
        *(
            [page.paragraph(f"The reference lacks: {', '.join(report.not_in_reference)}.")]
            if report.not_in_reference
            else []
        ),
        page.table(_HEADER, map(_row, report.figures)),
        *drawn,
    )


def _row(each: FigureDrift) -> tuple[str | float | None, ...]:
    return (
        each.figure,
        str(each.kind),
        each.test,
        each.value,
        each.critical,
        each.psi,
        _text(each.expected),
        _text(each.seen),
        "drift" if each.drifted else "",
    )


def _text(value: float | dict[str, float]) -> str:
    if isinstance(value, float):
        return f"median {value:.4g}"
    return ", ".join(f"{name} {share:.1%}" for name, share in value.items())


def _distributions(
    ours: Sequence[float], theirs: Sequence[float]
) -> list[tuple[str, list[tuple[float, float]]]]:
    """Both cumulative distributions, over the range of both together scaled to 0 to 1."""
    both = np.concatenate([ours, theirs])
    at = np.linspace(both.min(), both.max(), _STEPS)
    made = []
    for name, values in (("reference", ours), ("now", theirs)):
        below = np.searchsorted(np.sort(values), at, side="right") / len(values)
        made.append(
            (name, list(zip(np.linspace(0, 1, _STEPS).tolist(), below.tolist(), strict=True)))
        )
    return made
