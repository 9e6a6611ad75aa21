"""No more images are let in than a rate says, and who waits as told is let in."""

import asyncio
import time

import pytest
from sqlalchemy import text

from database.engine import open_engine
from gateway.errors import Code, RefusedError
from gateway.identity import rate_limits, shared_rates
from gateway.identity.principal import OPEN, Principal, Role
from gateway.identity.rate_limits import OwnCounter, Rate, RateLimits
from gateway.identity.shared_rates import SharedCounter

pytestmark = pytest.mark.anyio

RATE = Rate(60, 60)


class Clock:
    """Time that the test moves, for all counters of the process."""

    def __init__(self, monkeypatch):
        self.passed = 0.0
        self._began = time.time()
        monkeypatch.setattr("limits.storage.memory.time", self)
        monkeypatch.setattr(rate_limits, "time", self)
        monkeypatch.setattr(shared_rates, "now", lambda: round(self.time() * 1_000_000))
        locked = shared_rates._locked

        def later(connection, caller):
            locked(connection, caller)
            return round(self.time() * 1_000_000)

        monkeypatch.setattr(shared_rates, "_locked", later)

    def time(self):
        return self._began + self.passed

    def monotonic(self):
        return self.time()


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def counter(request):
    """Makes counters; those in a database count together."""
    if request.param == "memory":
        own = OwnCounter()
        yield lambda: own
        return
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    engines = []

    def made():
        engines.append(open_engine(url))
        return SharedCounter(engines[-1])

    yield made
    for engine in engines:
        engine.dispose()


def caller(rate=None, name="clinic"):
    return Principal(f"key:{name}", "key", name, frozenset(Role), None, rate=rate)


@pytest.mark.parametrize(
    ("said", "rate"),
    [("60/min", RATE), ("5/s", Rate(5, 1)), ("7/h", Rate(7, 3600)), ("1/day", Rate(1, 86400))],
)
def test_a_rate_is_read(said, rate):
    assert Rate.parse(said) == rate


@pytest.mark.parametrize(
    "said", ["", "60", "60/week", "0/min", "-1/min", "1.5/min", "60 / min", "x/s"]
)
def test_another_text_is_no_rate(said):
    with pytest.raises(ValueError, match="as in 60/min"):
        Rate.parse(said)


async def test_images_are_let_in_up_to_the_rate_and_no_further(counter, clock):
    counter = counter()
    for number in range(60):
        count = await counter.take("a", RATE, 1)
        assert (count.left, count.retry_after) == (59 - number, None)
    refused = await counter.take("a", RATE, 1)
    assert refused.left == 0
    assert 59 <= refused.retry_after <= 62
    assert refused.more_in == refused.retry_after
    # Another caller has a rate of its own.
    assert (await counter.take("b", RATE, 1)).retry_after is None


async def test_who_waits_as_told_is_let_in_and_who_comes_earlier_is_not(counter, clock):
    """Of a batch: until as many images are left as it has."""
    counter = counter()
    for _ in range(4):
        await counter.take("a", RATE, 10)
        clock.passed += 7
    await counter.take("a", RATE, 20)
    for images in (1, 10, 11, 25, 60):
        refused = await counter.take("a", RATE, images)
        began = clock.passed
        # A slot of the shared counter is a second.
        clock.passed = began + refused.retry_after - 3
        assert (await counter.take("a", RATE, images)).retry_after is not None
        # A request takes its time.
        clock.passed = began + refused.retry_after + 0.001
        taken = await counter.take("a", RATE, images)
        assert taken.retry_after is None
        assert 0 <= taken.left <= 60 - images


async def test_more_in_is_when_more_is_left(counter, clock):
    counter = counter()
    await counter.take("a", RATE, 10)
    clock.passed += 20
    left = (await counter.take("a", RATE, 10)).left
    count = await counter.take("a", RATE, 1)
    assert count.left == left - 1
    clock.passed += count.more_in + 0.001
    assert (await counter.take("a", RATE, 1)).left >= count.left + 8


@pytest.mark.parametrize("step", [0.1, 0.7, 1.3, 13])
async def test_in_no_stretch_of_time_are_there_more(counter, clock, step):
    """Also where callers come at the end of one minute and at the start of the next."""
    counter = counter()
    rate = Rate(20, 60)
    let_in = []
    for number in range(120):
        if (await counter.take("a", rate, 1 + number % 3)).retry_after is None:
            let_in += [clock.passed] * (1 + number % 3)
        clock.passed += step
    for began in let_in:
        assert sum(began <= at < began + 60 for at in let_in) <= 20
    assert len(let_in) >= 18


async def test_a_lowered_rate_counts_what_came_before(counter, clock):
    counter = counter()
    for _ in range(50):
        await counter.take("a", RATE, 1)
    refused = await counter.take("a", Rate(5, 60), 1)
    assert refused.left == 0
    clock.passed += refused.retry_after + 0.001
    assert (await counter.take("a", Rate(5, 60), 1)).retry_after is None


@pytest.mark.parametrize("kind", ["sqlite_url", "postgres_url"])
async def test_gateways_with_one_database_count_together(request, kind):
    url = request.getfixturevalue(kind)
    engines = [open_engine(url) for _ in range(3)]
    counters = [SharedCounter(engine) for engine in engines]
    asked = [counters[number % 3].take("a", RATE, 1) for number in range(150)]
    asked += [counters[number % 3].take(f"b{number % 5}", RATE, 1) for number in range(150)]
    counts = await asyncio.gather(*asked)
    assert sum(count.retry_after is None for count in counts[:150]) == 60
    assert all(count.retry_after is None for count in counts[150:])
    for engine in engines:
        engine.dispose()


async def test_old_slots_are_deleted(sqlite_url, clock):
    engine = open_engine(sqlite_url)
    counter = SharedCounter(engine)
    for _ in range(200):
        await counter.take("a", RATE, 1)
        clock.passed += 1
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM rate_slots")) <= 61
    engine.dispose()


async def test_while_the_database_cannot_be_reached_nobody_with_a_rate_is_let_in(sqlite_url):
    engine = open_engine(sqlite_url)
    counter = SharedCounter(engine)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE rate_slots RENAME TO elsewhere"))
    with pytest.raises(RefusedError) as refused:
        await counter.take("a", RATE, 1)
    assert refused.value.code is Code.UNAVAILABLE
    assert refused.value.retry_after
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO rate_slots"))
    assert (await counter.take("a", RATE, 1)).retry_after is None
    engine.dispose()


async def test_a_database_that_hangs_keeps_callers_waiting_for_a_while_only(
    sqlite_url, monkeypatch
):
    monkeypatch.setattr(shared_rates, "_PATIENCE_SECONDS", 0.1)
    engine = open_engine(sqlite_url)
    counter = SharedCounter(engine)
    with engine.begin():
        with pytest.raises(RefusedError) as refused:
            await counter.take("a", RATE, 1)
        assert refused.value.code is Code.UNAVAILABLE
    async with asyncio.timeout(10):
        await counter._work
    assert (await counter.take("a", RATE, 1)).left in {58, 59}
    engine.dispose()


class Never:
    """Nothing may be counted."""

    async def take(self, *_):
        raise AssertionError


async def test_callers_without_a_rate_are_not_counted():
    limits, fields = RateLimits(Never()), {}
    for principal in (OPEN, caller()):
        limits.check(principal, fields)
        await limits.take(principal, 1000, fields)
    assert fields == {}
    # A default is for callers that are known.
    await RateLimits(Never(), "1/day").take(OPEN, 1000, fields)


async def test_a_key_has_its_own_rate_or_the_default(clock):
    limits, fields = RateLimits(OwnCounter(), "60/min"), {}
    await limits.take(caller("2/h"), 1, fields)
    assert fields["ratelimit-policy"] == '"images";q=2;w=3600'
    assert fields["ratelimit"].startswith('"images";r=1;t=')
    await limits.take(caller(name="other"), 1, fields)
    assert fields["ratelimit-policy"] == '"images";q=60;w=60'


async def test_who_has_nothing_left_is_refused_without_counting(clock):
    limits, fields = RateLimits(OwnCounter()), {}
    await limits.take(caller("2/min"), 2, fields)
    limits._counter = Never()
    with pytest.raises(RefusedError) as refused:
        limits.check(caller("2/min"), fields)
    assert refused.value.code is Code.RATE_LIMITED
    assert refused.value.retry_after in {60, 61}
    assert fields["ratelimit"] == f'"images";r=0;t={refused.value.retry_after}'
    # The operator raised the rate meanwhile.
    limits.check(caller("3/min"), fields)
    clock.passed += refused.value.retry_after
    limits.check(caller("2/min"), fields)


async def test_a_batch_of_more_images_than_the_rate_ever_lets_in_is_not_told_to_wait():
    with pytest.raises(RefusedError) as refused:
        await RateLimits(Never()).take(caller("60/min"), 61, {})
    assert refused.value.code is Code.TOO_MANY_FILES
    assert refused.value.retry_after is None
