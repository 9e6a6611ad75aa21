"""What a gateway lets in, and how often it asks the database for it."""

import asyncio
import hashlib

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from database.engine import open_engine
from gateway.errors import Code, RefusedError
from gateway.identity.api_keys import ApiKeys
from gateway.identity.key_format import ApiKey, _with_checksum
from gateway.identity.key_store import KeyStore
from gateway.identity.principal import Role
from gateway.identity.stored_keys import Grant

pytestmark = pytest.mark.anyio

PEPPER = b"p" * 32
CLINIC = Grant("clinic", frozenset({Role.PREDICT}))


class Store(KeyStore):
    """The real table; counts how often it is read, and can be away."""

    reads = 0
    away = False

    def _read(self):
        self.reads += 1
        if self.away:
            raise OperationalError("SELECT", {}, Exception("the server is away"))

    def changes(self):
        self._read()
        return super().changes()

    def all(self):
        self._read()
        return super().all()


class Clock:
    seconds = 1000.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def store(sqlite_url):
    engine = open_engine(sqlite_url)
    yield Store(engine)
    engine.dispose()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def keys(store, clock):
    return ApiKeys(store, PEPPER, stale_seconds=900, clock=clock)


def new_key(store, pepper=PEPPER, **options):
    key = ApiKey.new()
    store.create(CLINIC, pepper, key=key, **options)
    return key


async def refusal(keys, text):
    with pytest.raises(RefusedError) as caught:
        await keys.principal(text)
    assert text not in caught.value.detail
    return caught.value.code, caught.value.reason


UNAUTHORIZED = (Code.UNAUTHORIZED, "unauthorized")
UNAVAILABLE = (Code.UNAVAILABLE, "identity")


async def test_a_known_key_says_who_sends_it_and_asks_no_database(keys, store):
    key = new_key(store)
    await keys.look()
    reads = store.reads
    for _ in range(3):
        principal = await keys.principal(key.text)
    assert (principal.name, principal.kind, principal.credential) == ("clinic", "key", key.id)
    assert store.reads == reads


async def test_a_revoked_key_is_refused_after_the_next_look(keys, store, clock):
    key = new_key(store)
    await keys.look()
    store.revoke(key.id)
    await keys.principal(key.text)
    clock.seconds += 2
    await keys.look()
    assert await refusal(keys, key.text) == UNAUTHORIZED


async def test_the_keys_are_watched_without_anybody_asking(keys, store, monkeypatch):
    monkeypatch.setattr("gateway.identity.api_keys.POLL_SECONDS", 0.01)
    key = new_key(store)
    watch = asyncio.create_task(keys.watch())
    async with asyncio.timeout(30):
        while keys.age is None:  # noqa: ASYNC110 - the watch sets no event
            await asyncio.sleep(0.01)
        store.revoke(key.id)
        while True:
            try:
                await keys.principal(key.text)
            except RefusedError:
                break
            await asyncio.sleep(0.01)
    watch.cancel()


async def test_without_a_change_only_the_count_is_read(keys, store, clock):
    new_key(store)
    await keys.look()
    assert store.reads == 1
    clock.seconds += 2
    await keys.look()
    assert store.reads == 2
    # Of a restored backup the count may say nothing: now and then all are read.
    clock.seconds += 60
    await keys.look()
    assert store.reads == 3
    assert keys.age == 0


async def test_a_key_that_was_just_made_is_let_in(keys, store):
    await keys.look()
    key = new_key(store)
    assert (await keys.principal(key.text)).name == "clinic"


async def test_100_000_wrong_keys_cost_one_read_and_no_memory(keys, store, clock):
    key = new_key(store)
    await keys.look()
    clock.seconds += 1
    reads, known = store.reads, (len(keys._by_id), len(keys._legacy))
    mistyped = [f"so_{number:012d}_{'x' * 49}" for number in range(99_000)]
    right_form = [ApiKey.new().text for _ in range(1000)]
    for text in mistyped:
        with pytest.raises(RefusedError):
            await keys.principal(text)
    assert store.reads == reads
    asked = [refusal(keys, text) for text in right_form]
    assert set(await asyncio.gather(*asked)) == {UNAUTHORIZED}
    assert store.reads == reads + 1
    assert (len(keys._by_id), len(keys._legacy)) == known
    assert (await keys.principal(key.text)).name == "clinic"


async def test_a_wrong_secret_under_a_known_id_is_refused(keys, store):
    key = new_key(store)
    await keys.look()
    # Of the right form, with a secret and a checksum of its own.
    other = ApiKey.new()
    forged = _with_checksum(f"so_{key.id}_{other.text.split('_')[2][:43]}")
    assert ApiKey.parse(forged).id == key.id
    for text in (forged, other.text, key.text + " ", key.text.upper(), "?"):
        assert await refusal(keys, text) == UNAUTHORIZED


async def test_a_key_ends_at_its_time(store, clock):
    key = new_key(store, seconds=3600)
    now = Clock()
    keys = ApiKeys(store, PEPPER, stale_seconds=900, clock=clock, now=now)
    await keys.look()
    _, (stored,) = store.all()
    now.seconds = stored.expires_at / 1e6 - 1
    await keys.principal(key.text)
    now.seconds += 1
    assert await refusal(keys, key.text) == UNAUTHORIZED


async def test_known_keys_go_on_while_the_database_is_away_for_a_time(keys, store, clock):
    key = new_key(store)
    await keys.look()
    store.away = True
    with capture_logs() as lines:
        for _ in range(449):
            clock.seconds += 2
            await keys.look()
            await keys.principal(key.text)
        assert await refusal(keys, ApiKey.new().text) == UNAUTHORIZED
        clock.seconds += 3
        assert await refusal(keys, key.text) == UNAVAILABLE
        store.away = False
        await keys.look()
    assert (await keys.principal(key.text)).name == "clinic"
    assert [line["event"] for line in lines] == [
        "api keys cannot be read",
        "api keys can be read again",
    ]
    assert "the server is away" not in str(lines)


async def test_before_the_keys_were_read_nobody_is_called_unknown(keys, store):
    key = new_key(store)
    store.away = True
    assert await refusal(keys, key.text) == UNAVAILABLE
    assert await refusal(keys, "correct-horse-battery") == UNAVAILABLE


async def test_a_key_of_an_old_keys_file_goes_on_working(keys, store):
    old = "correct-horse-battery"
    line = f"clinic:{hashlib.sha256(old.encode()).hexdigest()}"
    store.import_lines([line], PEPPER, {})
    await keys.look()
    reads = store.reads
    assert (await keys.principal(old)).name == "clinic"
    assert await refusal(keys, old + "x") == UNAUTHORIZED
    assert await refusal(keys, line.partition(":")[2]) == UNAUTHORIZED
    assert store.reads == reads


async def test_keys_of_another_pepper_are_refused_and_the_log_says_why(keys, store, clock):
    key = new_key(store, pepper=b"q" * 32)
    with capture_logs() as lines:
        await keys.look()
    assert lines == [
        {
            "event": "api keys of another pepper are refused: restore its file",
            "keys": 1,
            "log_level": "error",
        }
    ]
    clock.seconds += 1
    assert await refusal(keys, key.text) == UNAUTHORIZED
