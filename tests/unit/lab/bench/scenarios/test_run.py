"""The order of a run, what it takes over from one that was stopped, and its command line."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

import lab.bench.scenarios.__main__ as command
from lab.bench.contender import Contender, Deployment, Launch
from lab.bench.scenarios import run as module
from lab.bench.scenarios.raw import Raw, Scenario
from lab.bench.scenarios.run import Run
from lab.errors import ContenderError, LabError
from tests.unit.lab.bench import measured
from tests.unit.lab.bench.scenarios import made_up
from tests.unit.lab.bench.scenarios.made_up import OURS, PEER
from tests.unit.lab.bench.scenarios.test_measurement import Asked

EMPTY = {"sessions": (), "bounds": (), "singles": (), "offlines": (), "points": (), "found": ()}


LAUNCH = Launch((), {"A": "1", "GATEWAY_RESPOND_WITHIN_MS": "30000"}, 80)


class Running(Asked):
    """A contender that serves 100 requests a second; it fails in the scenarios named."""

    failing = {}  # noqa: RUF012 - set by a test
    started = []  # noqa: RUF012
    launched = []  # noqa: RUF012

    def __init__(self, context, contender, deployment):
        super().__init__()
        self.name = contender.name
        type(self).launched.append(deployment.launch(None).environment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def start(self):
        type(self).started.append(self.name)
        if reason := self.failing.get(len(self.started) - 1):
            raise ContenderError(reason)

    def compare(self, workload):
        if workload != "light":
            raise LabError(f"{workload}: its probabilities differ from the reference")
        return 1e-6


@pytest.fixture
def ran(monkeypatch):
    """Runs what is left of a run; returns it, and what was kept after each contender."""

    @contextmanager
    def prepared(*_, **__):
        limit = SimpleNamespace(beside=lambda *_: measured.LIMITS[0][0])
        yield SimpleNamespace(context=None, limits={"light": limit})

    def starts(*_):
        for name in (OURS, PEER):
            contender = Contender(
                name, name, "http", (), lambda _: ("/", {}), "", peer=name == PEER
            )
            yield contender, Deployment(ran.workloads, lambda _: LAUNCH)

    monkeypatch.setattr(module, "prepared", prepared)
    monkeypatch.setattr(module, "deployments", starts)
    monkeypatch.setattr(module, "described", lambda _: made_up.run().contenders)
    monkeypatch.setattr(module, "RunningContender", Running)
    monkeypatch.setattr(Running, "started", [])
    monkeypatch.setattr(Running, "launched", [])
    monkeypatch.setattr(Running, "failing", {})

    def ran(raw):
        kept = []
        run = Run([], None, raw, on_step=lambda _: None, on_progress=kept.append)
        run.all()
        return run.raw, kept

    ran.workloads = ("light",)
    return ran


def test_all_scenarios_are_measured_with_one_bound_and_the_peers_rates(ran, tmp_path):
    raw, kept = ran(made_up.run(**EMPTY))
    assert len(raw.sessions) == len(kept) == len(Scenario) * 2 * 2
    assert not any(each.failed for each in raw.sessions)
    # 10 ms is everyone's unloaded median.
    assert [each.milliseconds for each in raw.bounds] == [50.0]
    rate = {each.contender: each.rate for each in raw.found if each.round == 0}
    assert rate[OURS] == rate[PEER]
    curve = [each for each in raw.points if each.scenario is Scenario.CURVE]
    assert len(curve) == 6 * 4
    best = module.figures.reference(raw, "light")
    assert best[0] == PEER
    assert {round(each.rate / best[1], 6) for each in curve} == {0.2, 0.4, 0.6, 0.8, 1.0, 1.2}
    overload = [each for each in raw.points if each.scenario is Scenario.OVERLOAD]
    assert len(overload) == 4
    raw.write(tmp_path / "raw.json")
    assert Raw.read(tmp_path / "raw.json") == raw


def test_rounds_begin_with_another_contender_each(ran):
    ran(made_up.run(**EMPTY, setup=made_up.setup(scenarios=(Scenario.SINGLE_STREAM,))))
    assert Running.started == [OURS, PEER, PEER, OURS]


def test_a_run_that_was_stopped_goes_on_where_it_was(ran):
    whole, kept = ran(made_up.run(**EMPTY))
    Running.started.clear()
    again, _ = ran(kept[6])
    assert len(Running.started) == len(whole.sessions) - 7
    assert again == whole


def test_what_failed_is_told_and_tried_again_by_the_next_run(ran):
    setup = made_up.setup(scenarios=(Scenario.SINGLE_STREAM,))
    Running.failing = {1: "no memory"}
    raw, _ = ran(made_up.run(**EMPTY, setup=setup))
    assert [each.failed for each in raw.sessions] == [None, "no memory", None, None]
    assert len(raw.singles) == 3
    Running.failing = {}
    Running.started.clear()
    raw, _ = ran(raw)
    assert Running.started == [PEER]
    assert len(raw.singles) == 4
    assert not any(each.failed for each in raw.sessions)


def test_bound_and_rates_stay_though_who_failed_is_measured_later(ran):
    """The peer's first try failed everywhere; its second one would have changed both."""
    raw, _ = ran(made_up.run(**EMPTY))
    theirs = {"sessions": [], "singles": [], "offlines": [], "points": [], "found": []}
    for name, facts in theirs.items():
        facts.extend(each for each in getattr(raw, name) if each.contender == OURS)
    slower = [each.model_copy(update={"p50_ms": 16.0}) for each in theirs["singles"]]
    halved = [
        each.model_copy(update={"rate": each.rate / 2, "bound_ms": 80.0})
        for each in theirs["points"]
    ]
    bound = raw.bounds[0].model_copy(update={"milliseconds": 80.0, "contender": OURS})
    again, _ = ran(
        raw.model_copy(
            update={name: tuple(facts) for name, facts in theirs.items()}
            | {"singles": tuple(slower), "points": tuple(halved), "bounds": (bound,)}
        )
    )
    assert [each.milliseconds for each in again.bounds] == [80.0]
    assert {each.bound_ms for each in again.points} == {80.0}
    curve = [each for each in again.points if each.scenario is Scenario.CURVE]
    rates = {
        name: sorted({each.rate for each in curve if each.contender == name})
        for name in (OURS, PEER)
    }
    assert rates[OURS] == rates[PEER]
    assert len(rates[PEER]) == 6


def test_what_fails_in_one_workload_keeps_the_service_s_others(ran, monkeypatch):
    scenarios = (Scenario.SINGLE_STREAM,)
    setup = made_up.setup(scenarios=scenarios, workloads=("heavy", "light"), rounds=1)
    setup = setup.model_copy(update={"requests": {"heavy": 200, "light": 200}})
    monkeypatch.setattr(ran, "workloads", ("heavy", "light"))
    raw, _ = ran(made_up.run(**EMPTY, setup=setup))
    # The stand-in serves nothing but `light`.
    assert [(each.workload, each.failed is None) for each in raw.sessions] == [
        ("heavy", False),
        ("light", True),
    ] * 2
    assert {each.workload for each in raw.singles} == {"light"}


def test_a_given_bound_and_given_rates_are_taken_as_they_are(ran):
    scenarios = (Scenario.CURVE,)
    setup = made_up.setup(scenarios=scenarios, bound_ms=25.0, rates=(10.0, 30.0))
    raw, _ = ran(made_up.run(**EMPTY, setup=setup))
    assert {(each.rate, each.bound_ms) for each in raw.points} == {(10.0, 25.0), (30.0, 25.0)}
    assert [each.contender for each in raw.bounds] == [None]


@pytest.mark.parametrize(
    ("asked", "given", "needed"),
    [
        (["single"], {}, ["single"]),
        (["server"], {}, ["single", "server"]),
        (["server"], {"bound": 30.0}, ["server"]),
        (["curve"], {}, ["single", "server", "curve"]),
        (["curve"], {"bound": 30.0, "rates": "40"}, ["curve"]),
        (["overload"], {"bound": 30.0, "rates": "40"}, ["server", "overload"]),
        (["offline", "single"], {}, ["single", "offline"]),
    ],
)
def test_a_scenario_brings_those_from_which_its_bound_and_rates_follow(asked, given, needed):
    assert command.with_needed(asked, **({"bound": None, "rates": ""} | given)) == tuple(needed)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--scenario", "multistream"], "no 'multistream'; there are: single, offline, server"),
        (["--contenders", "tensorflow"], "no 'tensorflow'; there are: triton"),
        (["--workloads", "heavier"], "no 'heavier'; there are: heavy, light"),
        (["--rates", "40,many"], "'40,many' is not numbers with commas"),
        (["--rates", "0"], "numbers above 0"),
        (["--resume"], "there is no"),
    ],
)
def test_a_wrong_option_is_told_with_what_there_is(arguments, told, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_KEPT", tmp_path / "kept.json")
    done = invoked(tmp_path, *arguments)
    assert done.exit_code == 1
    assert told in done.output
    assert not (tmp_path / "out.md").exists()


def test_a_run_of_other_options_is_not_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_KEPT", tmp_path / "kept.json")
    made_up.run().write(tmp_path / "kept.json")
    done = invoked(tmp_path, "--resume", "--rounds", "2")
    assert done.exit_code == 1
    assert "measured with other options" in done.output


def invoked(tmp_path, *arguments):
    app = command.typer.Typer()
    app.command()(command.main)
    return CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "out.md")])


@pytest.mark.parametrize("scenario", list(Scenario))
def test_every_scenario_meets_the_promise_as_it_is_shipped(ran, scenario):
    """Photos at hand ask for time themselves, by a header, as a batch does."""
    ran(
        made_up.run(
            **EMPTY | {"found": made_up.run().found, "bounds": made_up.run().bounds},
            setup=made_up.setup(scenarios=(scenario,), rounds=1),
        )
    )
    assert Running.launched == [{"A": "1", "GATEWAY_RESPOND_WITHIN_MS": ""}] * 2
