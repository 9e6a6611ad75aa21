"""The names in an expression are told from functions, labels, durations and words."""

import pytest

from k8s.monitoring.expressions import labels, metrics


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("up", {"up"}),
        (
            'sum by (job, le) (rate(a_bucket{le="0.5", x=~"b|c"}[5m] offset 1h)) > bool 2e6',
            {"a_bucket"},
        ),
        ("a:b:c / on (x) group_left () (d > 0) unless e and vector(1)", {"a:b:c", "d", "e"}),
        ('label_replace(a, "to", "$1", "from", "(f{2})") or absent(b{c="}"})', {"a", "b"}),
        ("histogram_quantile(0.5, sum without (pod) (rate(a[5m]))) + inf", {"a"}),
        ("a @ end() - -b", {"a", "b"}),
    ],
)
def test_the_metrics_of_an_expression(expression, names):
    assert metrics(expression) == names


def test_the_labels_that_metrics_are_selected_by():
    found = labels('rate(a{b="x",c!~"y,z=\\"w"}[5m]) / sum by (d) (e{f=""})')
    assert found == {("a", "b"), ("a", "c"), ("e", "f")}
