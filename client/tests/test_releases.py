"""The loaded releases of a service, and questions to one of them, of both clients."""

import pytest
from secondopinion import ForbiddenError
from starlette.responses import JSONResponse

from client.tests.service import problem

STATE = {
    "pipeline": "oral_cancer",
    "profile": "default",
    "revision": 3,
    "current": "1-aaaaaaaa",
    "candidate": "2-bbbbbbbb",
    "share": 1000,
    "former": None,
    "loaded": ["1-aaaaaaaa", "2-bbbbbbbb"],
}


def test_what_is_loaded_is_said_by_pipeline(ask, service):
    service.other_replies.append(JSONResponse({"releases": [STATE]}))
    found = ask("releases")
    assert service.seen[-1].path == "/api/v1/releases"
    assert (found.of("oral_cancer").candidate, found.of("oral_cancer").share) == (
        "2-bbbbbbbb",
        1000,
    )
    assert found.of("mhist") is None


def test_who_is_no_operator_is_told_so(ask, service):
    service.other_replies.append(problem(403, "forbidden"))
    with pytest.raises(ForbiddenError):
        ask("releases")


@pytest.mark.parametrize("method", ["predict", "predict_advanced"])
def test_a_release_is_asked_by_its_name(ask, service, method):
    for release in ("2-bbbbbbbb", None):
        ask(method, b"cancer 0.9", release=release)
        assert service.seen[-1].headers.get("x-release") == release
        ask("pipeline", "oral_cancer", release=release)
        assert service.seen[-1].headers.get("x-release") == release
