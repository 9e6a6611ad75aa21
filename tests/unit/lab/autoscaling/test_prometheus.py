"""What a scaler makes of Prometheus' answers."""

import pytest

from lab.autoscaling.prometheus import single


def vector(*values):
    return {"resultType": "vector", "result": [{"metric": {}, "value": [0, v]} for v in values]}


def test_one_number_is_a_value():
    assert single(vector("2.5")) == 2.5
    assert single({"resultType": "scalar", "result": [0, "3"]}) == 3


@pytest.mark.parametrize("values", [(), ("1", "2"), ("NaN",), ("+Inf",)])
def test_silence_several_numbers_and_infinity_are_failures(values):
    assert single(vector(*values)) is None
