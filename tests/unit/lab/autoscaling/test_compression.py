"""Minutes as seconds."""

from lab.autoscaling import manifests
from tests.unit.lab.autoscaling import shipped


def test_only_times_and_bounds_change():
    whole = manifests.keda(shipped.keda())
    fast = whole.compressed(15, 5)
    assert (whole.minimum, fast.minimum) == (2, 1)
    assert fast.maximum == min(whole.maximum, 5)
    assert fast.behaviour == whole.behaviour.faster(15)
    for before, after in zip(whole.metrics, fast.metrics, strict=True):
        assert (after.kind, after.target) == (before.kind, before.target)
        assert "[1m]" in before.query
        assert after.query == before.query.replace("[1m]", "[4000ms]")


def test_a_maximum_that_there_is_room_for_stays():
    whole = manifests.keda(shipped.keda())
    assert whole.compressed(15, 100).maximum == whole.maximum
