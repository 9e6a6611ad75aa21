"""What the service has answered, and what that cost, as types."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict

from msgspec import Struct, field

from secondopinion._answers import Received


class UsageFilter(TypedDict, total=False):
    """Only images with these values are counted.

    Attributes:
        caller: The caller's id.
        name: The caller's name.
        outcome: `ok`, or the problem's code.
        level: Of uncertainty.
    """

    caller: str | None
    name: str | None
    pipeline: str | None
    release: str | None
    format: str | None
    outcome: str | None
    level: str | None


class UsageSums(Struct, frozen=True, kw_only=True):
    """What is added up over images.

    Attributes:
        bytes: Of the images as they were sent.
        cpu_seconds: CPU time of decoding, members and decisions.
        gpu_seconds: Time that passes of members on a GPU took.
        estimated_seconds: Of the two, where a member measures nothing itself.
        cost: In the service's currency; None where there is no price of some of it.
        cost_per_thousand: Of images; None likewise.
    """

    images: int
    bytes: int
    cpu_seconds: float
    gpu_seconds: float
    estimated_seconds: float
    cost: float | None = None
    cost_per_thousand: float | None = None


class UsageRow(UsageSums, frozen=True, kw_only=True):
    """The sums over images that have something in common; None of what was not asked for."""

    hour: datetime | None = None
    caller: str | None = None
    name: str | None = None
    pipeline: str | None = None
    release: str | None = None
    format: str | None = None
    outcome: str | None = None
    level: str | None = None


class UsagePrices(Struct, frozen=True, kw_only=True):
    """The service's prices of an hour of a core and of a GPU; None where there is none."""

    cpu_hour: float | None = None
    gpu_hour: float | None = None
    currency: str


class UsageIdle(Struct, frozen=True, kw_only=True):
    """What stood ready and computed nothing for any image."""

    cpu_seconds: float
    gpu_seconds: float
    cost: float | None = None


class UsageReport(Received, frozen=True, kw_only=True):
    """Usage of a period.

    Attributes:
        since: When its first hour began (`from` in the JSON).
        until: When its last hour ends (`to` in the JSON).
        by: What the rows are told apart by; without it there are none.
        idle: Only of all callers together, where the service says what stands ready.
    """

    since: datetime = field(name="from")
    until: datetime = field(name="to")
    by: tuple[str, ...]
    prices: UsagePrices
    rows: tuple[UsageRow, ...]
    total: UsageSums
    idle: UsageIdle | None = None


def query(
    by: Sequence[str], since: datetime | None, until: datetime | None, only: UsageFilter
) -> dict[str, str]:
    """The query of a question."""
    asked = {"by": ",".join(by) or None, **only}
    times = {"from": since, "to": until}
    asked |= {name: None if at is None else at.isoformat() for name, at in times.items()}
    return {name: str(value) for name, value in asked.items() if value is not None}
