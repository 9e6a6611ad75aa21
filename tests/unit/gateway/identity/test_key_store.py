"""The table of keys, on SQLite and on a real PostgreSQL."""

import hashlib
import threading
import time

import pytest
from sqlalchemy import text

from database.engine import open_engine
from gateway.identity.key_format import ApiKey, digest
from gateway.identity.key_store import KeyStore
from gateway.identity.principal import Role
from gateway.identity.stored_keys import ApiKeyError, Grant

PEPPER = b"p" * 32
CLINIC = Grant("clinic", frozenset({Role.PREDICT}), frozenset({"mhist"}), "60/min", "20EUR/month")


@pytest.fixture
def engine(database_url):
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine):
    return KeyStore(engine)


def created(store, grant=CLINIC, **options):
    key = ApiKey.new()
    return key, store.create(grant, PEPPER, key=key, **options)


def now():
    return time.time_ns() // 1000


def test_a_key_is_stored_without_its_text(store, engine):
    key, stored = created(store, seconds=60)
    changes, keys = store.all()
    assert keys == [stored]
    assert changes == store.changes() == 1
    assert stored.digest == digest(PEPPER, key.text)
    assert stored.expires_at == stored.created_at + 60_000_000
    principal = stored.principal()
    assert (principal.id, principal.credential) == (f"key:{key.id}", key.id)
    assert (principal.name, principal.rate, principal.budget) == (
        "clinic",
        "60/min",
        "20EUR/month",
    )
    assert principal.may(Role.PREDICT, "mhist")
    assert not principal.may(Role.PREDICT, "oral_cancer")
    with engine.connect() as connection:
        kept = str(connection.execute(text("SELECT * FROM api_keys")).all())
    assert key.text not in kept
    assert key.text.split("_")[2] not in kept


def test_without_pipelines_a_key_covers_all(store):
    _, stored = created(store, Grant("lab", frozenset(Role)))
    assert store.all()[1][0].grant == stored.grant
    assert stored.principal().may(Role.OPERATE, "anything")


def test_a_revoked_key_stays_revoked_and_every_change_is_counted(store):
    key, _ = created(store)
    revoked = store.revoke(key.id)
    assert revoked.state(now()) == "revoked"
    assert store.revoke(key.id) == revoked
    assert store.all() == (3, [revoked])
    with pytest.raises(ApiKeyError, match="no key of the id"):
        store.revoke("nosuchkey")


def test_a_rotated_key_keeps_its_owner_and_both_are_valid_for_a_time(store):
    key, first = created(store, seconds=90 * 86400)
    new_key = ApiKey.new()
    new, old = store.rotate(key.id, PEPPER, key=new_key, overlap_seconds=3600)
    assert new.grant == first.grant
    assert new.principal().id == first.principal().id
    assert new.principal().credential == new_key.id
    assert old.state(now()) == new.state(now()) == "active"
    assert old.state(now() + 3601 * 1_000_000) == "expired"
    assert new.expires_at - new.created_at == 90 * 86400 * 1_000_000
    assert store.all()[1] == [old, new]
    with pytest.raises(ApiKeyError, match=f"was rotated to {new_key.id}"):
        store.rotate(key.id, PEPPER, key=ApiKey.new(), overlap_seconds=1)


def test_rotation_never_makes_a_key_live_longer(store):
    key, stored = created(store, seconds=60)
    _, old = store.rotate(key.id, PEPPER, key=ApiKey.new(), overlap_seconds=3600)
    assert old.expires_at == stored.expires_at


def test_a_key_that_is_over_is_not_rotated(store):
    key, _ = created(store)
    store.revoke(key.id)
    with pytest.raises(ApiKeyError, match="it is revoked"):
        store.rotate(key.id, PEPPER, key=ApiKey.new(), overlap_seconds=1)
    key, _ = created(store, seconds=0)
    with pytest.raises(ApiKeyError, match="it is expired"):
        store.rotate(key.id, PEPPER, key=ApiKey.new(), overlap_seconds=1)


def test_changes_at_a_time_are_all_counted(store, engine):
    """A gateway that saw the last count has seen every change that was made before it."""
    keys = [created(store)[0] for _ in range(8)]
    workers = [threading.Thread(target=KeyStore(engine).revoke, args=(key.id,)) for key in keys]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    changes, stored = store.all()
    assert changes == 16
    assert {key.state(now()) for key in stored} == {"revoked"}


def lines(*names):
    return [f"{name}:{hashlib.sha256(name.encode()).hexdigest()}" for name in names]


def test_a_keys_file_is_taken_over_once(store):
    content = ["# who may call", "", *lines("clinic", "prometheus")]
    made, there = store.import_lines(content, PEPPER, {"prometheus": frozenset({Role.OPERATE})})
    assert there == 0
    assert [(key.grant.name, set(key.grant.roles), key.legacy) for key in made] == [
        ("clinic", {Role.PREDICT}, True),
        ("prometheus", {Role.OPERATE}, True),
    ]
    assert sorted(store.all()[1], key=lambda key: key.grant.name) == made
    assert store.import_lines(content, PEPPER, {}) == ([], 2)
    made, there = store.import_lines([*content, *lines("ward")], PEPPER, {})
    assert ([key.grant.name for key in made], there) == (["ward"], 2)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([], "no key in the file"),
        (["# only a comment"], "no key in the file"),
        (["clinic:correct-horse-battery"], "line 1: it is not name:sha256"),
        ([f"a:{'0' * 64}", f"a:{'1' * 64}"], "is there twice"),
        ([*lines("good"), "bad"], "line 2: it is not name:sha256"),
    ],
)
def test_of_an_unusable_keys_file_nothing_is_taken_over(store, content, problem):
    with pytest.raises(ApiKeyError, match=problem) as caught:
        store.import_lines(content, PEPPER, {})
    assert "correct-horse" not in str(caught.value)
    assert store.all() == (0, [])


def test_roles_for_a_name_that_the_file_lacks_are_refused(store):
    with pytest.raises(ApiKeyError, match="prometheus: the file has no key of this name"):
        store.import_lines(lines("a"), PEPPER, {"prometheus": frozenset({Role.OPERATE})})


def test_a_row_of_another_release_keeps_no_other_key_from_being_read(store, engine):
    key, stored = created(store)
    odd, _ = created(store)
    with engine.begin() as connection:
        values = "roles = 'predict diagnose', rate = 'often', budget = 'much'"
        where = {"id": odd.id}
        connection.execute(text(f"UPDATE api_keys SET {values} WHERE id = :id"), where)  # noqa: S608
    _, keys = store.all()
    assert [each.id for each in keys] == [key.id, odd.id]
    assert keys[0] == stored
    assert keys[1].grant.roles == {Role.PREDICT}
    assert store.revoke(odd.id).state(now()) == "revoked"


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ({"name": "a b"}, "name:"),
        ({"name": ""}, "name:"),
        ({"name": "x" * 65}, "name:"),
        ({"roles": frozenset()}, "role:"),
        ({"pipelines": frozenset({"a b"})}, "pipeline:"),
        ({"rate": "60"}, "rate:"),
        ({"rate": "0/min"}, "rate:"),
        ({"budget": "20/month"}, "budget:"),
        ({"budget": "0EUR/month"}, "budget:"),
    ],
)
def test_a_grant_with_a_wrong_part_is_refused(part, problem):
    whole = {"name": "clinic", "roles": frozenset({Role.PREDICT})}
    with pytest.raises(ApiKeyError, match=problem):
        Grant(**whole | part).check()
