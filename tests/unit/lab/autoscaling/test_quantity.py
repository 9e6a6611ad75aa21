"""Kubernetes' quantities."""

import pytest

from lab.autoscaling.metric import thousandths


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("16", 16_000),
        ("500m", 500),
        ("1.5", 1500),
        ("0.0001", 1),
        ("2k", 2_000_000),
        ("1Ki", 1_024_000),
        ("1e3", 1_000_000),
        ("100u", 1),
    ],
)
def test_a_quantity_is_read_in_thousandths_and_rounded_up(text, expected):
    assert thousandths(text) == expected


@pytest.mark.parametrize("text", ["", "16 ", "1x", "m", "1,5", "0x10"])
def test_what_is_no_quantity_is_refused_by_name(text):
    with pytest.raises(ValueError, match="no quantity"):
        thousandths(text)
