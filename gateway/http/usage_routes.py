"""The route for usage: who asked what, how often, what came of it, and what it cost."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, NotRequired

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field, with_config
from starlette.responses import Response
from typing_extensions import TypedDict

from database.usage import Dimension, Sums
from gateway.errors import Code, RefusedError
from gateway.http.access import Access, principal_of
from gateway.http.openapi import problems
from gateway.identity.principal import Principal, Role
from gateway.results.shapes import adapter, doc
from gateway.usage.prices import Prices
from gateway.usage.usage import Group, Period, Usage, hour_start

_THOUSAND = 1000
_DIGITS = 6
_YEARS = range(1970, 9000)
"""Beyond them there may be no hour before or after."""
_closed = with_config(ConfigDict(extra="forbid"))


class UsageSums(TypedDict):
    """What is added up over images."""

    images: int
    bytes: Annotated[int, doc("Of the images as they were sent.")]
    cpu_seconds: float
    gpu_seconds: float
    estimated_seconds: Annotated[float, doc("Of the two: where a member measures nothing itself.")]
    cost: Annotated[float | None, doc("Null where there is no price of some of it.")]
    cost_per_thousand: Annotated[float | None, doc("Of images; null likewise, and of none.")]


@_closed
class UsageTotal(UsageSums):
    """The sums over all rows."""


@_closed
class UsageRow(UsageSums):
    """The sums over images that have something in common: what `by` names."""

    hour: NotRequired[Annotated[str, doc("When it began, UTC.")]]
    caller: NotRequired[Annotated[str, doc("The caller's id; a rotated key keeps it.")]]
    name: NotRequired[Annotated[str, doc("The caller's name.")]]
    pipeline: NotRequired[str]
    release: NotRequired[Annotated[str, doc("Empty where none answered.")]]
    format: NotRequired[Annotated[str, doc("Empty where it is none that is read.")]]
    outcome: NotRequired[Annotated[str, doc("`ok`, or the problem's code.")]]
    level: NotRequired[Annotated[str, doc("Of uncertainty; empty where an answer has none.")]]


@_closed
class UsageIdle(TypedDict):
    """What stood ready and computed nothing for any image."""

    cpu_seconds: float
    gpu_seconds: float
    cost: float | None


@_closed
class UsagePrices(TypedDict):
    """The operator's prices of an hour."""

    cpu_hour: float | None
    gpu_hour: float | None
    currency: str


UsageReport = TypedDict(
    "UsageReport",
    {
        "from": Annotated[str, doc("The first hour, UTC.")],
        "to": Annotated[str, doc("The end of the last hour.")],
        "by": list[Dimension],
        "prices": UsagePrices,
        "rows": list[UsageRow],
        "total": UsageTotal,
        "idle": NotRequired[
            Annotated[
                UsageIdle,
                doc("Only of all callers together, where the operator says what stands ready."),
            ]
        ],
    },
)
_closed(UsageReport)


class UsageQuery(BaseModel):
    """What a request asks for; an unknown parameter is refused."""

    model_config = ConfigDict(extra="forbid")

    by: list[str] = Field(
        default=[], description=f"Several, or separated by commas: {', '.join(Dimension)}."
    )
    since: str | None = Field(
        default=None,
        alias="from",
        description="Time, ISO 8601, UTC unless it says another zone; by default the beginning of "
        "this month.",
    )
    until: str | None = Field(
        default=None, alias="to", description="Time, ISO 8601; by default now."
    )
    caller: str | None = None
    name: str | None = None
    pipeline: str | None = None
    release: str | None = None
    format: str | None = None
    outcome: str | None = None
    level: str | None = None

    @property
    def filters(self) -> dict[Dimension, str]:
        """The values that dimensions are to have."""
        values = {each: getattr(self, each) for each in Dimension if each is not Dimension.HOUR}
        return {each: value for each, value in values.items() if value is not None}


def usage_routes(usage: Usage, access: Access) -> APIRouter:
    """Who has the role `operate` sees all callers, others see themselves."""
    router = APIRouter(tags=["usage"], dependencies=[Depends(access)])

    @router.get(
        "/api/v1/usage",
        operation_id="usage",
        responses={**problems(401, 403, 422, 503), 200: {"model": UsageReport}},
    )
    async def read_usage(request: Request, asked: Annotated[UsageQuery, Query()]) -> Response:
        """Images, what came of them, what they cost to compute; whole hours, UTC."""
        now = datetime.now(UTC)
        principal = principal_of(request)
        dimensions, where = _dimensions(asked.by), _allowed(principal, asked.filters)
        period = Period.of(_time("from", asked.since), _time("to", asked.until), now)
        groups = await usage.groups(dimensions, period, where)
        report = _report(usage.prices, dimensions, period, groups)
        everybody = principal.may(Role.OPERATE) and not where
        if everybody and (idle := usage.idle(period, _sum(groups), now)) is not None:
            report["idle"] = {
                "cpu_seconds": idle.cpu_seconds,
                "gpu_seconds": idle.gpu_seconds,
                "cost": usage.prices.cost(idle.cpu_seconds, idle.gpu_seconds),
            }
        content = adapter(UsageReport).dump_json(report)
        return Response(content, media_type="application/json")

    return router


def _dimensions(asked: Sequence[str]) -> list[Dimension]:
    names = [name.strip() for each in asked for name in each.split(",") if name.strip()]
    try:
        found = list(dict.fromkeys(map(Dimension, names)))
    except ValueError:
        # The name is the caller's text and is not repeated.
        raise RefusedError(
            Code.PARAMETER_INVALID,
            f"by: it names what usage is not told apart by. Choose from: {', '.join(Dimension)}.",
        ) from None
    if Dimension.CALLER in found and Dimension.NAME not in found:
        found.insert(found.index(Dimension.CALLER) + 1, Dimension.NAME)
    return found


def _allowed(principal: Principal, asked: Mapping[Dimension, str]) -> dict[Dimension, list[str]]:
    """The filters of a request, and those that the caller's credentials add.

    Raises:
        RefusedError: with `forbidden`, where it asks for another caller or pipeline than its own.
    """
    where = {name: [value] for name, value in asked.items()}
    if not principal.may(Role.OPERATE):
        if asked.get(Dimension.CALLER, principal.id) != principal.id:
            principal.require(Role.OPERATE)
        where[Dimension.CALLER] = [principal.id]
    if (pipeline := asked.get(Dimension.PIPELINE)) is not None:
        principal.require_covered(pipeline)
    elif principal.pipelines is not None:
        where[Dimension.PIPELINE] = sorted(principal.pipelines)
    return where


def _time(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    found = None
    with suppress(ValueError):
        found = datetime.fromisoformat(text)
    if found is None or found.year not in _YEARS:
        raise RefusedError(
            Code.PARAMETER_INVALID,
            f"{name}: it is no time. Write 2026-11-30 or 2026-11-30T12:00:00Z.",
        )
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _report(
    prices: Prices, by: list[Dimension], period: Period, groups: Sequence[Group]
) -> dict[str, Any]:
    return {
        "from": _text(period.first),
        "to": _text(period.end),
        "by": by,
        "prices": {
            "cpu_hour": prices.cpu_hour,
            "gpu_hour": prices.gpu_hour,
            "currency": prices.currency,
        },
        "rows": [{**_common(each), **_shown(each.sums, prices)} for each in groups if by],
        "total": _shown(_sum(groups), prices),
    }


def _common(group: Group) -> dict[str, Any]:
    return {
        str(name): _text(hour_start(value)) if name is Dimension.HOUR else value
        for name, value in group.common.items()
    }


def _sum(groups: Sequence[Group]) -> Sums:
    total = Sums()
    for group in groups:
        total += group.sums
    return total


def _shown(sums: Sums, prices: Prices) -> UsageSums:
    cost = prices.cost(sums.cpu_seconds, sums.gpu_seconds)
    thousand = (
        None if cost is None or not sums.images else round(cost * _THOUSAND / sums.images, _DIGITS)
    )
    return {
        "images": sums.images,
        "bytes": sums.bytes,
        "cpu_seconds": round(sums.cpu_seconds, _DIGITS),
        "gpu_seconds": round(sums.gpu_seconds, _DIGITS),
        "estimated_seconds": round(sums.estimated_seconds, _DIGITS),
        "cost": cost,
        "cost_per_thousand": thousand,
    }


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
