import pytest

from gateway.admission import Admission
from gateway.errors import Code, RefusedError
from gateway.metrics import Metrics


def refused_by(metrics, reason):
    labels = {"pipeline": "p", "reason": reason}
    return metrics.registry.get_sample_value("gateway_requests_refused_total", labels)


def in_flight(metrics):
    return metrics.registry.get_sample_value("gateway_requests_in_flight", {"pipeline": "p"})


def nobody():
    return 0


def test_requests_beyond_the_limit_are_refused_until_one_leaves():
    metrics = Metrics()
    admission = Admission(2, 1000, metrics, nobody)
    with admission.admit("p", 1):
        with admission.admit("p", 1):
            assert in_flight(metrics) == 2
            with pytest.raises(RefusedError) as caught, admission.admit("p", 1):
                pass
            assert caught.value.code is Code.BUSY
        with admission.admit("p", 1):
            pass
    assert refused_by(metrics, "requests") == 1
    assert in_flight(metrics) == 0


def test_bytes_beyond_the_limit_are_refused_until_some_are_free():
    metrics = Metrics()
    admission = Admission(10, 1000, metrics, nobody)
    with admission.admit("p", 600):
        with pytest.raises(RefusedError), admission.admit("p", 401):
            pass
        with admission.admit("p", 400):
            pass
    with admission.admit("p", 1000):
        pass
    assert refused_by(metrics, "bytes") == 1


def test_a_place_is_given_back_when_the_work_fails():
    admission = Admission(1, 1, Metrics(), nobody)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), admission.admit("p", 1):
            raise ZeroDivisionError


def test_what_callers_left_behind_takes_places():
    left = 1
    admission = Admission(2, 1000, Metrics(), lambda: left)
    with admission.admit("p", 1):
        with pytest.raises(RefusedError), admission.admit("p", 1):
            pass
        left = 0
        with admission.admit("p", 1):
            pass
