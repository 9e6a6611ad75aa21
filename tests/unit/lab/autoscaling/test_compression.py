"""Minutes as seconds."""

from lab.autoscaling import manifests
from tests.unit.lab.autoscaling import shipped


def test_only_times_change_and_the_maximum_where_there_is_no_room():
    whole = manifests.keda(shipped.keda())
    fast = whole.compressed(15, 5)
    assert (fast.minimum, fast.maximum) == (whole.minimum, min(whole.maximum, 5))
    assert fast.behaviour == whole.behaviour.faster(15)
    for before, after in zip(whole.metrics, fast.metrics, strict=True):
        assert (after.kind, after.target) == (before.kind, before.target)
        assert "[1m]" in before.query
        assert after.query == before.query.replace("[1m]", "[4000ms]")


def test_a_maximum_that_there_is_room_for_stays():
    whole = manifests.keda(shipped.keda())
    assert whole.compressed(15, 100).maximum == whole.maximum
