import pytest

from lab.bench.raw_limit import joined


def test_a_core_that_rests_until_the_last_process_stops_does_not_lower_the_limit():
    images, seconds = joined([(20, 2.0), (24, 2.4)])
    assert images == 44
    assert images / seconds == pytest.approx(20)


def test_one_process_takes_its_own_time():
    assert joined([(30, 2.5)]) == pytest.approx((30, 2.5))
