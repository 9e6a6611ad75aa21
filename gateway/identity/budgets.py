"""Budgets: what a caller's images may cost in a calendar month, UTC.

What was spent is read from the roll-ups of the audit log, every ten seconds at most: a caller may
go on for as long after its budget is spent.
"""

import asyncio
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from database import usage
from database.usage import Dimension
from gateway.errors import Code, RefusedError
from gateway.identity.principal import Principal
from gateway.usage.prices import Prices

log = structlog.get_logger("gateway")

_BUDGET = re.compile(r"([0-9]+(?:\.[0-9]+)?)([A-Z]{3})/month")
_FRESH_SECONDS = 10.0
_STALE_SECONDS = 60.0
"""From this age on, requests wait until what was spent is read again."""
LOW = 0.8
"""Share of a budget from which on answers warn."""
_REMEMBERED = 10_000
_HOUR_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Budget:
    """So much money in a month."""

    amount: float
    currency: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a budget as keys have it: `20EUR/month`.

        Raises:
            ValueError: it is none.
        """
        found = _BUDGET.fullmatch(text)
        if found is None or float(found[1]) <= 0:
            raise ValueError("write an amount, a currency and month, as in 20EUR/month")
        return cls(float(found[1]), found[2])


@dataclass(slots=True)
class _Account:
    """What one caller has spent in a month."""

    month: datetime
    spent: float | None = 0.0
    """None: there is no price of some of it."""
    read_at: float = -math.inf
    """On the clock of this process, in seconds; -inf before the first time."""
    share: float = 0.0
    reading: asyncio.Task[None] | None = None
    told: set[str] = field(default_factory=set)
    """Which lines the log has of it."""


class Budgets:
    """Lets callers in as long as their budgets last."""

    def __init__(
        self,
        engine: Engine,
        prices: Prices,
        default: str | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Takes where usage is, what it costs, and the budget of callers that have none."""
        self._engine, self._prices, self._now = engine, prices, now
        self._default = None if default is None else Budget.parse(default)
        self._accounts: dict[str, _Account] = {}

    def budget_of(self, principal: Principal) -> Budget | None:
        """The caller's budget; None where it has no limit."""
        if not principal.known:
            return None
        return self._default if principal.budget is None else Budget.parse(principal.budget)

    def callers(self, least: float, below: float = math.inf) -> int:
        """Callers that lately asked and have spent such a share of their budgets this month."""
        month = _month(self._now())
        return sum(
            account.month == month and least <= account.share < below
            for account in self._accounts.values()
        )

    async def check(self, principal: Principal, fields: dict[str, str]) -> None:
        """Refuses a caller whose budget is spent; `fields` warn where little is left.

        Raises:
            RefusedError: with `budget_spent`; with `unavailable` where it cannot be told what was
                spent.
        """
        budget = self.budget_of(principal)
        if budget is None:
            return
        if budget.currency != self._prices.currency:
            said = f"prices are in {self._prices.currency} (GATEWAY_PRICE_CURRENCY)"
            raise _unpriced(budget, said)
        if self._prices.cpu_hour is None:
            raise _unpriced(budget, "there is no price of a CPU hour (GATEWAY_PRICE_CPU_HOUR)")
        month = _month(self._now())
        account = await self._read(principal, budget, month)
        if account.spent is None:
            raise _unpriced(budget, "there is no price of a GPU hour (GATEWAY_PRICE_GPU_HOUR)")
        account.share = account.spent / budget.amount
        if account.share < LOW:
            return
        opens = _next(month)
        spent = account.share >= 1
        if (word := "spent" if spent else "low") not in account.told:
            account.told.add(word)
            log.warning(
                f"a caller's budget is {word}", caller=principal.name, share=_percent(account)
            )
        fields["budget-warning"] = (
            f"spent={_percent(account)}%; budget={budget.amount:g}{budget.currency}/month; "
            f"renewed={opens:%Y-%m-%dT%H:%M:%SZ}"
        )
        if spent:
            raise RefusedError(
                Code.BUDGET_SPENT,
                f"caller: its budget of {budget.amount:g} {budget.currency} a month is spent. It "
                f"begins anew on {opens:%Y-%m-%d} at 00:00 UTC; or ask the operator for more.",
                retry_after=max(1, math.ceil((opens - self._now()).total_seconds())),
                reason="budget",
            )

    async def _read(self, principal: Principal, budget: Budget, month: datetime) -> _Account:
        account = self._accounts.get(principal.id)
        if account is None or account.month != month:
            if len(self._accounts) >= _REMEMBERED:
                self._accounts.clear()
            account = self._accounts[principal.id] = _Account(month)
        age = time.monotonic() - account.read_at
        if age > _FRESH_SECONDS and account.reading is None:
            account.reading = asyncio.create_task(self._refresh(principal.id, account))
        if age > _STALE_SECONDS and account.reading is not None:
            before = account.read_at
            await asyncio.shield(account.reading)
            if account.read_at == before:
                raise RefusedError(
                    Code.UNAVAILABLE,
                    "service: what the caller has spent cannot be read now. Wait as Retry-After "
                    "says.",
                    reason="budget",
                )
        return account

    async def _refresh(self, caller: str, account: _Account) -> None:
        started = time.monotonic()
        try:
            cost = await asyncio.to_thread(self._cost, caller, account.month)
        except SQLAlchemyError as error:
            log.warning("what callers have spent cannot be read", error=type(error).__name__)
        else:
            account.spent, account.read_at = cost, started
        finally:
            account.reading = None

    def _cost(self, caller: str, month: datetime) -> float | None:
        usage.refresh(self._engine)
        ((_, sums),) = usage.totals(
            self._engine,
            (),
            since=_hour(month),
            until=_hour(_next(month)),
            where={Dimension.CALLER: (caller,)},
            limit=1,
        )
        return self._prices.cost(sums.cpu_seconds, sums.gpu_seconds)


def _percent(account: _Account) -> int:
    """Rounded down, so that it is 100 once nothing is left."""
    return math.floor(account.share * 100)


def _month(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _next(month: datetime) -> datetime:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


def _hour(moment: datetime) -> int:
    return int(moment.timestamp()) // _HOUR_SECONDS


def _unpriced(budget: Budget, why: str) -> RefusedError:
    return RefusedError(
        Code.UNAVAILABLE,
        f"caller: it has a budget in {budget.currency}, and {why}. Tell the operator.",
        reason="budget",
    )
