"""A made-up run of the scenarios: two rounds, one contender of the project and one peer."""

from lab.bench.raw import Described
from lab.bench.scenarios.raw import (
    Bound,
    Found,
    Offline,
    Point,
    Raw,
    Scenario,
    Session,
    Setup,
    Single,
)
from tests.unit.lab.bench import measured

OURS, PEER = "gateway", "fastapi"


def setup(**changed):
    facts = {
        "rounds": 2,
        "photo_size": (640, 480),
        "workloads": ("light",),
        "contenders": (OURS, PEER),
        "scenarios": tuple(Scenario),
        "requests": {"light": 200},
        "photos": 500,
        "single_seconds": 2.0,
        "limit_seconds": 2.0,
        "bound_ms": None,
        "rates": (),
    }
    return Setup(**(facts | changed))


def single(round_, contender, p50):
    return Single(
        round=round_,
        contender=contender,
        workload="light",
        requests=200,
        wrong=0,
        errors=0,
        error=None,
        seconds=2.0,
        p50_ms=p50,
        p90_ms=p50 + 1,
        p99_ms=p50 + 2,
    )


def offline(round_, contender, photos):
    return Offline(
        round=round_,
        contender=contender,
        workload="light",
        photos=photos,
        wrong=0,
        errors=0,
        error=None,
        callers=32,
        seconds=10.0,
        cpu_seconds=15.0,
        limits=measured.LIMITS[round_],
    )


def point(round_, contender, rate, **changed):
    facts = {
        "scenario": Scenario.CURVE,
        "round": round_,
        "contender": contender,
        "workload": "light",
        "rate": rate,
        "bound_ms": 40.0,
        "seconds": 10.0,
        "arrived": 200,
        "within": 190,
        "answered": 200,
        "wrong": 0,
        "refused": 0,
        "failed": 0,
        "unsent": 0,
        "reason": None,
        "stopped": False,
        "p50_ms": 12.0 + round_,
        "p90_ms": 20.0,
        "p99_ms": 45.0,
        "refusal_p50_ms": None,
        "refusal_p99_ms": None,
        "late_p99_ms": 0.3,
        "late_most_ms": 1.2,
        "lagged": False,
        "cpu_seconds": 3.0,
        "generator_cpu_seconds": 0.1,
    }
    return Point(**(facts | changed))


def overload(round_, contender, within):
    return point(
        round_,
        contender,
        240.0,
        scenario=Scenario.OVERLOAD,
        within=within,
        answered=within,
        arrived=2400,
        refused=2400 - within - 24,
        failed=24,
        refusal_p50_ms=3.0,
        refusal_p99_ms=15.0,
    )


def found(round_, contender, rate):
    return Found(round=round_, contender=contender, workload="light", rate=rate)


def session(scenario, round_, contender, failed=None):
    return Session(
        scenario=scenario,
        round=round_,
        contender=contender,
        workload="light",
        apart=None if failed else 1e-6,
        failed=failed,
    )


def run(**changed):
    each = [(round_, name) for round_ in (0, 1) for name in (OURS, PEER)]
    facts = {
        "command": "python -m lab.bench.scenarios --rounds 2",
        "started": "2026-01-02T03:04:05+00:00",
        "minutes": 3.0,
        "setup": setup(),
        "machine": measured.run().machine,
        "contenders": tuple(
            Described(name=name, title=name.title(), protocol="http", tuning="-", versions={})
            for name in (OURS, PEER)
        ),
        "peers": (PEER,),
        "sessions": tuple(
            session(scenario, round_, name) for scenario in Scenario for round_, name in each
        ),
        "bounds": (Bound(workload="light", milliseconds=40.0, contender=PEER),),
        "singles": (
            single(0, OURS, 9.0),
            single(0, PEER, 7.0),
            single(1, OURS, 10.0),
            single(1, PEER, 9.0),
        ),
        "offlines": (offline(0, OURS, 900), offline(1, OURS, 400), offline(0, PEER, 800)),
        "points": (
            point(0, OURS, 40.0),
            point(1, OURS, 40.0),
            point(0, OURS, 80.0, p99_ms=90.0, answered=180),
            point(0, PEER, 40.0),
            overload(0, OURS, 720),
            overload(1, OURS, 640),
        ),
        "found": (
            found(0, OURS, 80.0),
            found(1, OURS, 90.0),
            found(0, PEER, 70.0),
            found(1, PEER, None),
        ),
    }
    return Raw(**(facts | changed))
