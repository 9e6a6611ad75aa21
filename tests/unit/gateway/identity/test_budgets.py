"""A budget warns at 80 %, ends at 100 %, and begins anew with the month."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, text
from structlog.testing import capture_logs

from database.engine import open_engine
from database.tables import usage_hours
from gateway.errors import Code, RefusedError
from gateway.identity import budgets as module
from gateway.identity.budgets import LOW, Budget, Budgets
from gateway.identity.principal import OPEN, Principal, Role
from gateway.usage.prices import Prices

pytestmark = pytest.mark.anyio

PRICES = Prices(cpu_hour=0.05, gpu_hour=2.0, currency="EUR")
NOVEMBER = datetime(2026, 11, 20, 12, tzinfo=UTC)
CENT = 720
"""CPU seconds that cost 0.01 EUR."""


class World:
    """Usage and time as the test wants them."""

    def __init__(self, engine, monkeypatch):
        self.engine, self.now, self.seconds, self.reads = engine, NOVEMBER, 1000.0, 0
        monkeypatch.setattr(module, "time", self)
        totals = module.usage.totals

        def counted(*args, **kwargs):
            self.reads += 1
            return totals(*args, **kwargs)

        monkeypatch.setattr(module.usage, "totals", counted)

    def monotonic(self):
        return self.seconds

    def passes(self, seconds):
        self.seconds += seconds
        self.now += timedelta(seconds=seconds)

    def used(self, cpu_seconds, *, gpu_seconds=0.0, caller="key:clinic", at=None):
        hour = int((at or self.now).timestamp()) // 3600
        row = dict.fromkeys(("name", "pipeline", "release", "format", "outcome"), "")
        with self.engine.begin() as connection:
            level = str(connection.execute(text("SELECT count(*) FROM usage_hours")).scalar())
            sums = {"images": 1, "bytes": 1, "estimated_seconds": 0.0}
            seconds = {"cpu_seconds": float(cpu_seconds), "gpu_seconds": gpu_seconds}
            values = {**row, **sums, **seconds, "hour": hour, "caller": caller, "level": level}
            connection.execute(insert(usage_hours).values(values))

    def budgets(self, prices=PRICES, default=None):
        return Budgets(self.engine, prices, default, now=lambda: self.now)


@pytest.fixture
def world(sqlite_url, monkeypatch):
    engine = open_engine(sqlite_url)
    yield World(engine, monkeypatch)
    engine.dispose()


def caller(budget="1EUR/month", name="clinic"):
    return Principal(f"key:{name}", "key", name, frozenset(Role), None, budget=budget)


async def checked(budgets, principal=None):
    """What an answer says of it."""
    fields = {}
    await budgets.check(principal or caller(), fields)
    return fields


async def refused(budgets, principal=None):
    with pytest.raises(RefusedError) as caught:
        await checked(budgets, principal)
    return caught.value


@pytest.mark.parametrize(
    ("said", "budget"),
    [("20EUR/month", Budget(20.0, "EUR")), ("0.5USD/month", Budget(0.5, "USD"))],
)
def test_a_budget_is_read(said, budget):
    assert Budget.parse(said) == budget


@pytest.mark.parametrize(
    "said", ["", "20EUR", "20/month", "0EUR/month", "-1EUR/month", "20EUR/day"]
)
def test_another_text_is_no_budget(said):
    with pytest.raises(ValueError, match="as in 20EUR/month"):
        Budget.parse(said)


async def test_below_80_percent_nothing_is_said(world):
    world.used(79 * CENT)
    assert await checked(world.budgets()) == {}


async def test_from_80_percent_on_answers_and_the_log_warn(world):
    world.used(83 * CENT)
    budgets = world.budgets()
    with capture_logs() as lines:
        fields = await checked(budgets)
        await checked(budgets)
    warning = "spent=83%; budget=1EUR/month; renewed=2026-12-01T00:00:00Z"
    assert fields == {"budget-warning": warning}
    (line,) = lines
    assert (line["event"], line["caller"]) == ("a caller's budget is low", "clinic")
    assert (budgets.callers(LOW, 1), budgets.callers(1)) == (1, 0)


async def test_at_100_percent_requests_are_refused_until_the_next_month(world):
    world.used(60 * CENT)
    world.used(40 * CENT, at=NOVEMBER - timedelta(days=10))
    budgets = world.budgets()
    refusal = await refused(budgets)
    assert refusal.code is Code.BUDGET_SPENT
    assert "begins anew on 2026-12-01" in refusal.detail
    assert refusal.retry_after == 10.5 * 24 * 3600
    assert budgets.callers(1) == 1
    world.passes(refusal.retry_after - 1)
    assert (await refused(budgets)).retry_after == 1
    world.passes(1)
    assert await checked(budgets) == {}
    assert budgets.callers(LOW) == 0


async def test_what_was_spent_before_the_month_or_by_others_does_not_count(world):
    world.used(500 * CENT, at=datetime(2026, 10, 31, 23, 59, tzinfo=UTC))
    world.used(500 * CENT, caller="key:other")
    assert await checked(world.budgets()) == {}


async def test_gpu_seconds_cost_what_a_gpu_costs(world):
    world.used(0, gpu_seconds=1800.0)
    assert (await refused(world.budgets())).code is Code.BUDGET_SPENT


async def test_december_is_followed_by_january(world):
    world.now = datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
    world.used(100 * CENT)
    refusal = await refused(world.budgets())
    assert "2027-01-01" in refusal.detail
    assert refusal.retry_after == 3600


async def test_usage_is_read_every_ten_seconds_and_keeps_nobody_waiting(world):
    budgets = world.budgets()
    await asyncio.gather(*(checked(budgets) for _ in range(50)))
    assert world.reads == 1
    world.used(100 * CENT)
    world.passes(5)
    assert await checked(budgets) == {}
    assert world.reads == 1
    world.passes(6)
    # This one goes on; those after the reading do not.
    assert await checked(budgets) == {}
    async with asyncio.timeout(10):
        while world.reads < 2 or budgets._accounts["key:clinic"].reading:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert (await refused(budgets)).code is Code.BUDGET_SPENT


async def test_while_usage_cannot_be_read_what_is_known_goes_on_for_a_minute(world):
    budgets = world.budgets()
    await checked(budgets)
    with world.engine.begin() as connection:
        connection.execute(text("ALTER TABLE usage_hours RENAME TO elsewhere"))
    world.passes(30)
    assert await checked(budgets) == {}
    world.passes(31)
    refusal = await refused(budgets)
    assert (refusal.code, refusal.reason) == (Code.UNAVAILABLE, "budget")
    assert (await refused(world.budgets())).code is Code.UNAVAILABLE
    with world.engine.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO usage_hours"))
    assert await checked(budgets) == {}


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        (Prices(None, None, "EUR"), "GATEWAY_PRICE_CPU_HOUR"),
        (Prices(0.05, None, "USD"), "GATEWAY_PRICE_CURRENCY"),
        (Prices(0.05, None, "EUR"), "GATEWAY_PRICE_GPU_HOUR"),
    ],
)
async def test_a_budget_that_cannot_be_kept_lets_nobody_in(world, prices, said):
    world.used(1, gpu_seconds=1.0)
    refusal = await refused(world.budgets(prices))
    assert refusal.code is Code.UNAVAILABLE
    assert said in refusal.detail


async def test_only_callers_with_a_budget_have_one(world):
    world.used(500 * CENT)
    assert await checked(world.budgets(), caller(None)) == {}
    assert await checked(world.budgets(default="1EUR/month"), OPEN) == {}
    assert (await refused(world.budgets(default="1EUR/month"), caller(None))).retry_after
    assert await checked(world.budgets(default="1EUR/month"), caller("50EUR/month")) == {}
