import pytest

from gateway.errors import Code, RefusedError
from gateway.identity.principal import NOBODY, OPEN, Principal, Role


def principal(roles, pipelines):
    return Principal("1", "key", "clinic", frozenset(roles), pipelines)


def test_a_role_covers_the_named_pipelines_alone():
    clinic = principal({Role.PREDICT}, frozenset({"mhist"}))
    assert clinic.may(Role.PREDICT)
    assert clinic.may(Role.PREDICT, "mhist")
    assert not clinic.may(Role.PREDICT, "oral_cancer")
    assert not clinic.may(Role.AUDIT, "mhist")
    clinic.require(Role.PREDICT, "mhist")
    for role, pipeline in (
        (Role.PREDICT, "oral_cancer"),
        (Role.AUDIT, "mhist"),
        (Role.AUDIT, None),
    ):
        with pytest.raises(RefusedError) as caught:
            clinic.require(role, pipeline)
        assert (caught.value.code, caught.value.reason) == (Code.FORBIDDEN, "forbidden")
        assert "oral_cancer" not in caught.value.detail


def test_without_named_pipelines_all_are_covered():
    assert principal({Role.AUDIT}, None).may(Role.AUDIT, "whatever comes later")
    assert not principal({Role.AUDIT}, None).may(Role.PREDICT, "whatever comes later")


def test_nobody_may_do_anything_and_an_open_service_lets_all_do_everything():
    assert all(OPEN.may(role, "mhist") and not NOBODY.may(role) for role in Role)
    assert OPEN.covers("mhist")
    assert not NOBODY.covers("mhist")
    assert not principal((), None).covers("mhist")
    assert not OPEN.known
    assert not NOBODY.known
