import asyncio
import time

import pytest
from sqlalchemy import select, update

from database.engine import open_engine
from database.tables import idempotency as table
from gateway.audit import idempotency
from gateway.audit.idempotency import Answer, Claim, Idempotency, Scope, is_final, read_key
from gateway.errors import Code, RefusedError

pytestmark = pytest.mark.anyio
PEPPER = bytes(range(32))
SCOPE = Scope("clinic", "predict", "oral_cancer", "photo-4711 of Jane Doe")
ASKED, OTHER = bytes(32), bytes([1] * 32)
ANSWER = Answer("200", {"content-type": "application/json"}, b'{"prediction": "cancer"}\n\xff')


class Direct:
    """Runs a function in a transaction of its own, as a gateway's writer does."""

    def __init__(self, engine):
        self._engine, self._lock = engine, asyncio.Lock()

    async def run(self, function):
        def work():
            with self._engine.begin() as connection:
                return function(connection)

        async with self._lock:
            return await asyncio.to_thread(work)


@pytest.fixture
def engine(database_url):
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def writes(engine):
    return Direct(engine)


@pytest.fixture
def keys(writes):
    return Idempotency(writes, PEPPER, kept_seconds=60)


async def claimed(keys, scope=SCOPE, asked=ASKED):
    claim = await keys.claim(scope, asked)
    assert isinstance(claim, Claim)
    return claim


async def answered(keys, answer=ANSWER, **more):
    claim = await claimed(keys, **more)
    assert await keys.writes.run(lambda connection: claim.store(connection, answer))
    return claim


async def refused(keys, code, scope=SCOPE, asked=ASKED):
    with pytest.raises(RefusedError) as caught:
        await keys.claim(scope, asked)
    assert caught.value.code is code
    return caught.value


def rows(engine):
    with engine.connect() as connection:
        return connection.execute(select(table)).all()


def end_the_time_of_all(engine):
    with engine.begin() as connection:
        connection.execute(update(table).values(expires_at=time.time_ns() // 1000))


async def test_the_first_request_answers_and_the_next_one_gets_its_answer(keys):
    await answered(keys)
    assert await keys.claim(SCOPE, ASKED) == ANSWER
    assert await keys.claim(SCOPE, ASKED) == ANSWER


async def test_a_request_in_flight_is_to_be_sent_again_in_a_second(keys):
    await claimed(keys)
    assert (await refused(keys, Code.IDEMPOTENCY_IN_FLIGHT)).retry_after == 1


@pytest.mark.parametrize("stored", [True, False])
async def test_another_image_or_other_parameters_are_refused(keys, stored):
    await (answered(keys) if stored else claimed(keys))
    error = await refused(keys, Code.IDEMPOTENCY_MISMATCH, asked=OTHER)
    assert error.retry_after is None
    assert SCOPE.key not in error.detail


@pytest.mark.parametrize(
    "other",
    [
        Scope("hospital", "predict", "oral_cancer", SCOPE.key),
        Scope("clinic", "predict/advanced", "oral_cancer", SCOPE.key),
        Scope("clinic", "predict", "mhist", SCOPE.key),
        Scope("clinic", "predict", "oral_cancer", SCOPE.key + "0"),
        # The same letters, divided differently.
        Scope("clin", "icpredict", "oral_cancer", SCOPE.key),
    ],
)
async def test_a_key_is_of_one_caller_route_and_pipeline(keys, other):
    await answered(keys)
    assert isinstance(await keys.claim(other, OTHER), Claim)


async def test_a_key_that_got_no_answer_is_free_again(keys):
    claim = await claimed(keys)
    await keys.end(claim, answered=False)
    await claimed(keys, asked=OTHER)


async def test_release_leaves_an_answer_and_the_claims_of_others(keys, engine):
    claim = await answered(keys)
    await keys.end(claim, answered=False)
    assert await keys.claim(SCOPE, ASKED) == ANSWER
    end_the_time_of_all(engine)
    await claimed(keys)
    await keys.end(claim, answered=False)
    await refused(keys, Code.IDEMPOTENCY_IN_FLIGHT)


async def test_a_claim_whose_gateway_died_ends_after_seconds(keys, engine):
    old = await claimed(keys)
    (row,) = rows(engine)
    assert 5 < row.expires_at / 1e6 - time.time() < 11
    end_the_time_of_all(engine)
    await claimed(keys, asked=OTHER)

    # The first one, if it lives after all, can store nothing.
    with pytest.raises(RefusedError) as caught:
        await keys.writes.run(lambda connection: old.store(connection, ANSWER))
    assert caught.value.code is Code.IDEMPOTENCY_IN_FLIGHT
    assert rows(engine)[0].answer is None


async def test_the_claim_of_a_request_under_way_is_renewed(keys, engine, monkeypatch):
    first = await claimed(keys)
    await claimed(keys, scope=Scope("clinic", "predict", "mhist", "1"))
    with engine.begin() as connection:
        soon = time.time_ns() // 1000 + 1_000_000
        connection.execute(update(table).values(expires_at=soon))
    await keys.renew()
    assert {row.expires_at for row in rows(engine)} == {soon}, "none is old yet"
    monkeypatch.setattr(idempotency, "RENEWAL_SECONDS", -1.0)
    await keys.end(first, answered=False)
    await keys.renew()
    (row,) = rows(engine)
    assert row.expires_at > soon
    await answered(keys)
    stored = [row.expires_at for row in rows(engine) if row.answer]
    await keys.renew()
    assert [row.expires_at for row in rows(engine) if row.answer] == stored


async def test_an_answer_is_kept_for_its_time_and_removed_afterwards(keys, engine, monkeypatch):
    monkeypatch.setattr(idempotency, "_REMOVED_AT_A_TIME", 2)
    await answered(keys)
    (row,) = rows(engine)
    assert 55 < row.expires_at / 1e6 - time.time() < 61
    for number in range(4):
        await claimed(keys, scope=Scope("clinic", "predict", "mhist", f"{number}"))
    assert await keys.remove_expired() == 0
    end_the_time_of_all(engine)
    await claimed(keys, scope=Scope("clinic", "predict", "mhist", "new"))
    assert await keys.remove_expired() == 5
    assert len(rows(engine)) == 1
    await claimed(keys, asked=OTHER)


async def test_an_answer_that_is_too_large_is_not_stored(keys, engine, monkeypatch):
    monkeypatch.setattr(idempotency, "ANSWER_BYTES", 50)
    claim = await claimed(keys)
    assert not await keys.writes.run(lambda connection: claim.store(connection, ANSWER))
    assert rows(engine) == []


async def test_the_database_says_neither_key_nor_answer(keys, engine):
    await answered(keys)
    (row,) = rows(engine)
    stored = b"".join(value for value in row if isinstance(value, bytes))
    for text in (b"4711", b"Jane", b"cancer", b"clinic", b"json"):
        assert text not in stored
    assert PEPPER not in stored
    # Nor does one who has all of it, but the caller's key.
    other = Idempotency(keys.writes, bytes(32), 60)
    assert isinstance(await other.claim(SCOPE, ASKED), Claim)


async def test_a_damaged_answer_is_an_error_and_never_an_answer(keys, engine):
    await answered(keys)
    (row,) = rows(engine)
    changed = row.answer[:-1] + bytes([row.answer[-1] ^ 1])
    with engine.begin() as connection:
        connection.execute(update(table).values(answer=changed))
    await refused(keys, Code.INTERNAL)


async def test_of_a_hundred_at_a_time_one_claims_also_on_three_gateways(keys, engine):
    gateways = [Idempotency(Direct(engine), PEPPER, 60) for _ in range(3)]

    async def one(number):
        try:
            return await gateways[number % 3].claim(SCOPE, ASKED)
        except RefusedError as refusal:
            return refusal.code

    found = await asyncio.gather(*map(one, range(100)))
    assert found.count(Code.IDEMPOTENCY_IN_FLIGHT) == 99
    assert sum(isinstance(each, Claim) for each in found) == 1


async def test_keys_that_are_claimed_in_another_order_do_not_block_each_other(keys, engine):
    """Several claims share a transaction: two gateways may have them in opposite orders."""
    gateways = [Idempotency(Direct(engine), PEPPER, 60) for _ in range(2)]
    scopes = [Scope("clinic", "predict", "mhist", f"{number}") for number in range(20)]

    async def all_of(gateway, order):
        claims = 0
        for scope in order:
            try:
                claims += isinstance(await gateway.claim(scope, ASKED), Claim)
            except RefusedError as refusal:
                assert refusal.code is Code.IDEMPOTENCY_IN_FLIGHT  # noqa: PT017
        return claims

    counts = await asyncio.gather(
        all_of(gateways[0], scopes), all_of(gateways[1], reversed(scopes))
    )
    assert sum(counts) == len(scopes)


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ([], None),
        (["abc"], "abc"),
        (['"abc"'], "abc"),
        ([' a "b" '], 'a "b"'),
        (["x" * 255], "x" * 255),
    ],
)
def test_a_key_may_be_in_quotes(sent, key):
    assert read_key(sent) == key


@pytest.mark.parametrize(
    "sent", [[""], ['""'], ["x" * 256], ["a", "a"], ["é"], ["a\x00"], ["a\nb"]]
)
def test_what_is_no_key_is_refused_without_repeating_it(sent):
    with pytest.raises(RefusedError) as caught:
        read_key(sent)
    assert caught.value.code is Code.PARAMETER_INVALID
    assert "Idempotency-Key" in caught.value.detail


def test_refusals_that_a_retry_may_cure_are_not_final():
    final = {code for code in Code if is_final(code)}
    assert {Code.IMAGE_UNDECODABLE, Code.IMAGE_TOO_LARGE, Code.PARAMETER_INVALID} <= final
    assert not final & {
        Code.BUSY,
        Code.RATE_LIMITED,
        Code.BUDGET_SPENT,
        Code.UNAVAILABLE,
        Code.OUT_OF_MEMORY,
        Code.DEADLINE,
        Code.INTERNAL,
        Code.MODEL_OUTPUT,
        Code.IDEMPOTENCY_IN_FLIGHT,
    }
