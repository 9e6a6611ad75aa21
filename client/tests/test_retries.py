import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from secondopinion import AnswerTimeoutError, Retries, TransportError, UnreachableError
from secondopinion._request import Request
from secondopinion._retries import Wait, with_retries

from client.tests.service import problem

GOOD = b"cancer 0.95"
ASKED = Request(method="POST", path="/api/v1/predict", once_by_key=True)
PICTURE = Request(method="POST", path="/api/v1/predict")


def outcome(replies, retries, chance=1.0, asked=ASKED):
    """Plays the transport: the waits that were asked for, and the last answer."""
    now, waits, replies = 0.0, [], iter(replies)
    steps = with_retries(asked, retries, clock=lambda: now, chance=lambda: chance)
    try:
        step = next(steps)
        while True:
            if isinstance(step, Wait):
                waits.append(step.seconds)
                now += step.seconds
                step = next(steps)
            else:
                step = steps.send(next(replies))
    except StopIteration as end:
        return waits, end.value


def busy(retry_after=None):
    return httpx.Response(429, headers={"Retry-After": retry_after} if retry_after else {})


def refused():
    return failed(httpx.ConnectError)


def failed(kind):
    return kind("no answer", request=httpx.Request("POST", "http://127.0.0.1:9/api/v1/predict"))


@pytest.mark.parametrize("status", [429, 503])
def test_an_answer_after_busy_or_down_is_an_answer(ask, service, status):
    service.replies.extend([problem(status, "x", Retry_After="0"), problem(status, "x")])
    assert ask("predict", GOOD).prediction == "cancer"
    assert [seen.body for seen in service.asked] == [GOOD] * 3


def test_retry_after_is_waited_for(ask, service):
    service.replies.append(problem(429, "busy", Retry_After="1"))
    began = time.monotonic()
    assert ask("predict", GOOD).prediction == "cancer"
    assert 1 <= time.monotonic() - began < 5


def test_a_batch_is_sent_again_whole(ask, service):
    service.replies.append(problem(503, "unavailable", Retry_After="0"))
    assert len(ask("predict_batch", [GOOD, GOOD]).results) == 2
    first, second = service.asked
    assert first.body.count(GOOD) == second.body.count(GOOD) == 2


def test_without_retry_after_the_limits_double_up_to_the_longest():
    retries = Retries(attempts=6, first_delay=1, longest_delay=5)
    waits, last = outcome([busy()] * 6, retries)
    assert waits == [1, 2, 4, 5, 5]
    assert last.status_code == 429


def test_the_wait_is_drawn_between_nothing_and_the_limit():
    waits, _ = outcome([busy()] * 3, Retries(attempts=3, first_delay=1), chance=0.25)
    assert waits == [0.25, 0.5]


def test_retry_after_may_be_an_http_date():
    moment = datetime.now(UTC) + timedelta(seconds=10)
    waits, _ = outcome([busy(format_datetime(moment, usegmt=True))] * 2, Retries(attempts=2))
    assert waits[0] == pytest.approx(9.5, abs=1)


@pytest.mark.parametrize("value", ["Wed, 21 Oct 2015 07:28:00 GMT", "0"])
def test_a_retry_after_that_has_passed_means_now(value):
    waits, _ = outcome([busy(value)] * 2, Retries(attempts=2))
    assert waits == [0]


@pytest.mark.parametrize("value", ["soon", "-5", "1.5", "٣"])
def test_a_retry_after_that_says_nothing_is_passed_over(value):
    reply = httpx.Response(429, headers={"Retry-After": value.encode()})
    waits, _ = outcome([reply] * 2, Retries(attempts=2, first_delay=2))
    assert waits == [2]


def test_no_attempt_starts_after_the_total_time():
    waits, last = outcome([busy("25")] * 9, Retries(attempts=9, total_seconds=60))
    assert waits == [25, 25]
    assert last.status_code == 429


def test_a_retry_after_beyond_the_total_time_ends_it_at_once():
    waits, last = outcome([busy("3600")], Retries())
    assert waits == []
    assert last.headers["Retry-After"] == "3600"


def test_a_connection_that_was_not_made_is_tried_again():
    waits, last = outcome([refused(), httpx.Response(200)], Retries(first_delay=1))
    assert waits == [1]
    assert last.status_code == 200


def test_a_connection_that_is_never_made_is_an_error():
    with pytest.raises(UnreachableError):
        outcome([refused()] * 2, Retries(attempts=2))


def keys(service):
    return [seen.headers.get("idempotency-key") for seen in service.asked]


@pytest.mark.parametrize("status", [409, 429, 503])
def test_all_attempts_of_a_request_have_one_key_and_each_request_its_own(ask, service, status):
    for _ in range(2):
        service.replies.append(problem(status, "x", Retry_After="0"))
        assert ask("predict", GOOD).prediction == "cancer"
    first, again, second, second_again = keys(service)
    assert first == again != second == second_again
    assert len(first) == 32


def test_a_batch_has_one_key(ask, service):
    service.replies.append(problem(503, "unavailable", Retry_After="0"))
    ask("predict_batch", [GOOD, GOOD])
    assert len(set(keys(service))) == 1
    assert None not in keys(service)


def test_a_request_for_a_picture_has_no_key(ask, service):
    ask("detect", b"found", pipeline="object_detection", visualization=True)
    assert keys(service) == [None]


def test_without_retries_there_is_no_key(ask, service):
    ask("predict", GOOD, options={"retries": Retries(attempts=1)})
    assert keys(service) == [None]


@pytest.mark.parametrize("kind", [httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError])
def test_what_was_sent_and_got_no_answer_is_sent_again_with_its_key_alone(kind):
    waits, last = outcome([failed(kind), httpx.Response(200)], Retries(first_delay=1))
    assert waits == [1]
    assert last.status_code == 200
    with pytest.raises(TransportError):
        outcome([failed(kind), httpx.Response(200)], Retries(), asked=PICTURE)


def test_what_was_not_answered_in_time_is_not_sent_again():
    with pytest.raises(AnswerTimeoutError):
        outcome([failed(httpx.ReadTimeout), httpx.Response(200)], Retries())


def test_without_a_key_a_conflict_is_not_waited_for():
    waits, last = outcome([httpx.Response(409)], Retries(), asked=PICTURE)
    assert waits == []
    assert last.status_code == 409


@pytest.mark.parametrize("status", [400, 422, 500, 502, 504])
def test_other_statuses_are_never_repeated(status):
    waits, last = outcome([httpx.Response(status)], Retries())
    assert waits == []
    assert last.status_code == status
