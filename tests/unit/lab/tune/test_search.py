"""The search keeps what wins and leaves the rest, whatever the machine says."""

from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from lab.tune import search
from lab.tune.paired_comparison import Level
from lab.tune.search import Plan, Search
from lab.tune.setting import MemberSetting, Setting, Shape
from pipelines.load import load_spec
from tests.unit.lab.bench import measured_pairs

_FACTS = load_spec("oral_cancer")
# Whatever the YAML says now: the imagined machine is faster with others.
SPEC = _FACTS.model_copy(
    update={
        "members": {
            name: member.model_copy(update={"instances": 1, "threads": 2, "max_batch": None})
            for name, member in _FACTS.members.items()
        }
    }
)


@dataclass(frozen=True)
class Imagined:
    """A service of a setting, on a machine whose speed is known."""

    setting: Setting

    def cpu_seconds(self):
        return {"vgg16": 8.0, "regnet": 1.0}


@pytest.fixture
def searching(monkeypatch):
    """Makes a search on an imagined machine: `speed` of a setting in images a second."""

    def make(speed, seconds=600.0):
        @contextmanager
        def service(_self, setting, _name):
            yield Imagined(setting)

        def compare(before, after, _requests, *, callers, rounds, **_):
            gain = speed(after.setting) / speed(before.setting)
            return [Level(at, measured_pairs.pairs(at, [gain] * rounds)) for at in callers]

        monkeypatch.setattr(Search, "_service", service)
        monkeypatch.setattr(search, "compare", compare)
        monkeypatch.setattr(search, "CORES", 4)
        plan = Plan(SPEC, None, [], seconds=seconds, cell=0.1, rounds=2, final_rounds=6)
        return Search(plan, lambda _: None)

    return make


def test_it_finds_the_best_of_independent_knobs(searching):
    def speed(setting):
        faster = 1.2 if setting.members["vgg16"].shape == Shape(4, 1) else 1.0
        faster *= 1.1 if setting.members["regnet"].max_batch == 4 else 1.0
        return faster * (1.05 if setting.calls == 8 else 1.0)

    found = searching(speed)
    levels = found.run()
    assert found.best.members["vgg16"].shape == Shape(4, 1)
    assert found.best.members["regnet"].max_batch == 4
    assert found.best.calls == 8
    assert found.best.decode == found.start.decode
    assert [level.callers for level in levels] == [1, 8, 32]
    assert {level.verdict for level in levels} == {"gain"}
    assert levels[0].gain == pytest.approx(1.2 * 1.1 * 1.05)


def test_a_machine_that_knows_no_difference_keeps_its_setting(searching):
    found = searching(lambda _: 1.0)
    assert found.run() == []
    assert found.best == found.start
    assert not any(kept for _, _, kept in found.tried)


def test_a_small_gain_is_not_worth_another_setting(searching):
    found = searching(lambda setting: 1.02 if setting.delay_us == 0 else 1.0)
    assert found.run() == []


def test_what_there_is_no_time_for_is_named(searching):
    found = searching(lambda _: 1.0, seconds=0.0)
    assert found.run() == []
    assert found.tried == []
    assert found.left[0].startswith("vgg16"), "the heaviest comes first"
    assert "decision in 4 processes" in found.left


def test_the_heaviest_member_is_turned_first(searching):
    found = searching(lambda _: 1.0)
    found.run()
    names = [what.split()[0] for what, _, _ in found.tried]
    assert names.index("vgg16") < names.index("regnet") < names.index("decode")


def test_settings_know_what_they_are():
    start = Setting.of(SPEC)
    assert start.members["regnet"] == MemberSetting(Shape(1, 2), SPEC.serving.max_batch)
    assert replace(start, calls=8).environment == {"GATEWAY_TRITON_CALLS": "8"}
