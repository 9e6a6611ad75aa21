"""Telling death from load: Triton's messages, and queues before models that do nothing."""

import pytest

from server.health.probe import Health, judge
from server.health.stall import BUSY_SECONDS, IDLE_SECONDS, ModelSample, Stall


@pytest.mark.parametrize(
    ("status", "message", "health"),
    [
        (
            "StatusCode.INTERNAL",
            "in ensemble 'e', Stub process 'e_vgg16_0_0' is not healthy.",
            Health.PROCESS_DEAD,
        ),
        ("StatusCode.UNAVAILABLE", "in ensemble 'e', Request timeout expired", Health.SILENT),
        ("StatusCode.DEADLINE_EXCEEDED", "Deadline Exceeded", Health.SILENT),
        ("StatusCode.UNAVAILABLE", "Exceeds maximum queue size", Health.BUSY),
        (
            "StatusCode.UNAVAILABLE",
            "failed to connect to all addresses; last error: Connection refused",
            Health.UNREACHABLE,
        ),
        ("StatusCode.UNAVAILABLE", "Stream removed (Socket closed)", Health.UNREACHABLE),
        ("StatusCode.NOT_FOUND", "Request for unknown model: 'e' is not found", Health.NOT_LOADED),
        (
            "StatusCode.NOT_FOUND",
            "Request for unknown model: 'e' has no available versions",
            Health.NOT_LOADED,
        ),
        ("StatusCode.INTERNAL", "in ensemble 'e', [model_output] vgg16 gave ...", Health.FAILED),
    ],
)
def test_tritons_words_are_told_apart(status, message, health):
    assert judge(status, message).health is health


def test_a_dead_process_is_blamed_by_its_instance():
    result = judge("", "Stub process 'oral_cancer_vgg16_0_1' is not healthy.")
    assert result.instance == "oral_cancer_vgg16_0_1"


def observed(seconds, *, waiting=3, moving=False, working=False):
    """What a stall of some length, looked at every second, says of a model in the end."""
    stall = Stall()
    hanging = []
    for at in range(seconds + 1):
        cpu = at * (0.5 if working else 0.002)
        model = ModelSample(waiting=waiting, inferences=at if moving else 7, cpu=cpu)
        hanging = stall.hanging(float(at), {"model": model})
    return hanging


LONG = int(IDLE_SECONDS) + 2


def test_nothing_hangs_at_once():
    assert observed(4) == []


def test_a_model_that_does_nothing_while_requests_wait_for_it_hangs():
    assert observed(LONG) == ["model"]


def test_a_model_at_rest_for_which_nothing_waits_does_not_hang():
    assert observed(600, waiting=0) == []


def test_a_long_batch_that_uses_the_cpu_does_not_hang():
    assert observed(60, working=True) == []


def test_even_a_busy_process_hangs_in_the_end():
    assert observed(int(BUSY_SECONDS) + 2, working=True) == ["model"]


def test_slow_progress_is_load_for_ever():
    assert observed(600, moving=True) == []
