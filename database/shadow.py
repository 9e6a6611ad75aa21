"""What was compared of a candidate's answers to copies of images: sums in the database."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite
from typing_extensions import TypedDict

from database.tables import shadow_counts as table

COMPARED, FAILED, SHED = "compared", "failed", "shed"
"""What became of a copy: answered and compared, refused or late, or never sent."""
IMAGES, DIFFERS, VALUE, UNCERTAINTY, COMPUTE = (
    "images",
    "differs",
    "value",
    "uncertainty",
    "compute",
)
"""Figures: of `IMAGES` the buckets are what became of them; of `DIFFERS` what differs; of `VALUE`
and `UNCERTAINTY` the upper bounds of differences; of `COMPUTE` (microseconds) `GIVEN` and
`CANDIDATE`."""
GIVEN, CANDIDATE = "given", "candidate"
BOUNDS = (-0.5, -0.2, -0.1, -0.05, -0.02, -0.005, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Of a difference: the candidate's number less the one that was given, each from 0 to 1."""


class Key(NamedTuple):
    """What is counted of which two releases."""

    pipeline: str
    given: str
    candidate: str
    figure: str
    bucket: str


class Share(TypedDict):
    """So many images, or detections, with a difference above the bound before and up to this."""

    at_most: float
    count: int


class ComputeMs(TypedDict):
    """Mean milliseconds of compute for one image; None: nothing was compared."""

    given: float | None
    candidate: float | None


class Comparison(TypedDict):
    """All that was compared of a candidate with one other release."""

    given: str
    candidate: str
    compared: int
    failed: int
    shed: int
    differs: dict[str, int]
    value: list[Share]
    uncertainty: list[Share]
    compute_ms: ComputeMs


def add(connection: Connection, counts: Mapping[Key, int]) -> None:
    """Adds to the sums in the connection's transaction."""
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    statement = statement.on_conflict_do_update(
        index_elements=[table.c[name] for name in Key._fields],
        set_={"total": table.c.total + statement.excluded.total},
    )
    # In the order of their keys: who do so at the same time never wait for each other in a ring.
    rows = [{**key._asdict(), "total": counts[key]} for key in sorted(counts)]
    connection.execute(statement, rows)


def comparisons(
    connection: Connection, pipeline: str, candidate: str | None = None
) -> list[Comparison]:
    """What was compared of a pipeline's candidates, or of one of them, by their ids."""
    chosen = select(table).where(table.c.pipeline == pipeline)
    if candidate is not None:
        chosen = chosen.where(table.c.candidate == candidate)
    found: dict[tuple[str, str], dict[tuple[str, str], int]] = {}
    for row in connection.execute(chosen.order_by(table.c.candidate, table.c.given)):
        counts = found.setdefault((row.given, row.candidate), {})
        counts[row.figure, row.bucket] = row.total
    return [_comparison(*releases, counts) for releases, counts in found.items()]


def _comparison(given: str, candidate: str, counts: Mapping[tuple[str, str], int]) -> Comparison:
    compared = counts.get((IMAGES, COMPARED), 0)

    def mean_ms(whose: str) -> float | None:
        microseconds = counts.get((COMPUTE, whose), 0)
        return round(microseconds / compared / 1000, 3) if compared else None

    return {
        "given": given,
        "candidate": candidate,
        "compared": compared,
        "failed": counts.get((IMAGES, FAILED), 0),
        "shed": counts.get((IMAGES, SHED), 0),
        "differs": {
            bucket: count for (figure, bucket), count in counts.items() if figure == DIFFERS
        },
        "value": _distribution(VALUE, counts),
        "uncertainty": _distribution(UNCERTAINTY, counts),
        "compute_ms": {"given": mean_ms(GIVEN), "candidate": mean_ms(CANDIDATE)},
    }


def _distribution(figure: str, counts: Mapping[tuple[str, str], int]) -> list[Share]:
    found = [(bound, counts.get((figure, f"{bound:g}"), 0)) for bound in BOUNDS]
    return [{"at_most": bound, "count": count} for bound, count in found if count]
