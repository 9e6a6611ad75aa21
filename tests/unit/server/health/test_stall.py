"""A model that is slow is left alone; one that hangs is found, and no other is blamed for it."""

import pytest

from server.health.stall import BUSY_SECONDS, IDLE_SECONDS, ModelSample, Stall

CALLED = ("vit", "mlp")


class Pipeline:
    """A pipeline's models, and one look at them each second."""

    def __init__(self, **models):
        self.stall, self.now = Stall(), 0.0
        self.models = {"decision": {"waits_for": CALLED}, "vit": {}, "mlp": {}} | models

    def look(self, seconds, *, every=1.0, **changes):
        """The first models said to hang within so many seconds, and after how many.

        A change is a second's worth of a model's figures: `vit=dict(waiting=3, cpu=0.9)`.
        """
        for second in range(int(seconds / every)):
            self.now += every
            for model, change in changes.items():
                figures = self.models[model]
                for key, amount in change.items():
                    before = figures.get(key, 0) if key in {"cpu", "inferences"} else 0
                    figures[key] = before + amount
            samples = {
                model: ModelSample(**({"waiting": 0, "inferences": 0, "cpu": 0.0} | figures))
                for model, figures in self.models.items()
            }
            if found := self.stall.hanging(self.now, samples):
                return found, (second + 1) * every
        return [], seconds


WAITS = {"waiting": 5}


def test_a_decision_that_waits_for_a_slow_member_is_healthy():
    pipeline = Pipeline()
    for _ in range(10):
        assert pipeline.look(20, decision=WAITS, vit={"waiting": 0, "cpu": 0.9})[0] == []
        assert pipeline.look(1, decision=WAITS, vit={"inferences": 16})[0] == []


def test_a_member_on_a_starved_machine_works():
    assert Pipeline().look(280, decision=WAITS, vit={"waiting": 2, "cpu": 0.07})[0] == []


def test_batches_of_twenty_seconds_that_use_no_cpu_are_no_hang():
    pipeline = Pipeline()
    for _ in range(10):
        assert pipeline.look(20, decision=WAITS, vit=WAITS)[0] == []
        assert pipeline.look(1, decision=WAITS, vit={"waiting": 4, "inferences": 1})[0] == []


def test_a_member_that_waits_for_a_disk_is_slow_until_the_long_limit():
    pipeline = Pipeline()
    assert pipeline.look(280, decision=WAITS, vit={"waiting": 2, "on_disk": True})[0] == []
    assert pipeline.look(60, decision=WAITS, vit={"waiting": 2, "on_disk": True})[0] == ["vit"]


def test_a_member_that_hangs_is_found_and_not_the_decision_that_waits_for_it():
    found, seconds = Pipeline().look(60, decision=WAITS, vit={"waiting": 1})
    assert found == ["vit"]
    assert seconds == pytest.approx(IDLE_SECONDS, abs=2)


def test_a_decision_that_hangs_itself_is_found():
    assert Pipeline().look(60, decision=WAITS)[0] == ["decision"]


def test_a_member_in_an_endless_loop_is_found_after_the_long_limit():
    found, seconds = Pipeline().look(400, decision=WAITS, vit={"waiting": 1, "cpu": 1.0})
    assert found == ["vit"]
    assert seconds == pytest.approx(BUSY_SECONDS, abs=2)


def test_rest_before_requests_came_is_no_fault():
    pipeline = Pipeline()
    assert pipeline.look(1000)[0] == []
    assert pipeline.look(IDLE_SECONDS - 2, vit=WAITS)[0] == []


def test_a_native_member_is_judged_by_all_of_triton_and_by_the_long_limit():
    native = Pipeline(vit={"native": True}, mlp={"native": True})
    assert native.look(280, decision=WAITS, vit=WAITS)[0] == []
    assert native.look(60, decision=WAITS, vit=WAITS)[0] == ["vit"]


def test_a_native_member_that_works_is_left_alone_and_so_is_its_decision():
    native = Pipeline(vit={"native": True}, mlp={"native": True})
    for _ in range(5):
        assert native.look(240, decision=WAITS, vit={"waiting": 3, "cpu": 0.5})[0] == []
        assert native.look(1, decision=WAITS, vit={"waiting": 3, "inferences": 16})[0] == []


@pytest.mark.parametrize("pause", [12, 20, 600])
def test_a_machine_that_stood_still_says_nothing(pause):
    pipeline = Pipeline()
    assert pipeline.look(5, decision=WAITS, vit=WAITS)[0] == []
    assert pipeline.look(pause, every=pause, decision=WAITS, vit=WAITS)[0] == []
    assert pipeline.look(IDLE_SECONDS - 12, decision=WAITS, vit=WAITS)[0] == []


def test_a_process_that_was_replaced_has_time_again():
    pipeline = Pipeline(vit={"cpu": 100.0})
    assert pipeline.look(IDLE_SECONDS - 2, decision=WAITS, vit=WAITS)[0] == []
    pipeline.models["vit"]["cpu"] = 0.1
    assert pipeline.look(IDLE_SECONDS - 2, decision=WAITS, vit=WAITS)[0] == []
    assert pipeline.look(5, decision=WAITS, vit=WAITS)[0] == ["vit"]
