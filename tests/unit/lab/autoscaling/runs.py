"""Runs as they would be recorded, for tests that change one thing of them."""

from dataclasses import replace

from lab.autoscaling.record import Drained, Look, Moment, Record, Step

STEPS = [
    Step("quiet", 2, 10, 1),
    Step("overload", 120, 10, 5),
    Step("quiet again", 2, 10, 1),
]
REPLICAS = [*[1] * 10, 1, 1, 1, 3, 3, 4, 4, *[5] * 3, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1]


def look(second, current, **facts):
    known = {
        "demand": 16.0 * current,
        "queue": 0.5,
        "in_flight": min(40.0, 16.0 * current),
        "wanted": current,
        "replicas": current,
        "by_hpa": current,
        "ready": current,
    }
    return Look(second=second, current=current, **known | facts)


def moment(second, refused=0, failed=0):
    return Moment(second, 2 + refused + failed, 2, refused, failed, 0.9, 1.2)


def good():
    """A run that shows all it must."""
    return Record(
        started="2026-01-01T00:00:00+00:00",
        machine="a machine",
        factor=15,
        delay_ms=800,
        target=16,
        cap=40,
        maximum=5,
        shipped_maximum=8,
        steps=STEPS,
        looks=[look(float(second), current) for second, current in enumerate(REPLICAS)],
        moments=[moment(second, refused=80 if 10 <= second < 20 else 0) for second in range(30)],
        drains=[Drained(22.0, 0.8, 3), Drained(26.0, 0.1, 0)],
        starts=[3.0, 4.0, 4.5, 5.0, 3.5],
    )


def with_look(record, second, **facts):
    """The same run with one look changed."""
    looks = [replace(each, **facts) if each.second == second else each for each in record.looks]
    return replace(record, looks=looks)


def with_moment(record, second, **facts):
    """The same run with one second changed."""
    moments = [replace(m, **facts) if m.second == second else m for m in record.moments]
    return replace(record, moments=moments)
