"""The figures of the scenarios' tables: medians over the rounds."""

import pytest

from lab.bench.scenarios import figures
from lab.bench.scenarios.figures import Figure
from tests.unit.lab.bench.scenarios import made_up
from tests.unit.lab.bench.scenarios.made_up import OURS, PEER


def test_the_bound_is_of_the_best_contender_so_that_a_slow_one_gets_no_longer_one():
    bound = figures.bound(made_up.run().singles, "light")
    # Medians over the rounds: 9.5 and 8.
    assert (bound.milliseconds, bound.contender) == (40.0, PEER)
    assert figures.bound(made_up.run().singles, "heavy") is None


def test_a_round_without_a_rate_counts_as_none():
    raw = made_up.run()
    assert figures.server_rate(raw, "light", PEER) == Figure(35.0, 2.0)
    assert figures.server_rate(raw, "light", OURS) == Figure(85.0, pytest.approx(10 / 85))
    assert figures.server_rate(raw, "heavy", OURS) is None


def test_the_curves_rates_are_of_the_best_peer_not_of_this_project():
    raw = made_up.run()
    assert figures.reference(raw, "light") == (PEER, 35.0)
    alone = made_up.run(found=(made_up.found(0, OURS, 80.0),))
    assert figures.reference(alone, "light") == (OURS, 80.0)
    assert figures.reference(made_up.run(found=()), "light") is None


def test_figures_are_medians_over_the_rounds_with_their_spread():
    ours, peer = figures.rows(made_up.run(), "light")
    assert ours.single_p50_ms == Figure(9.5, pytest.approx(1 / 9.5))
    assert ours.offline == Figure(65.0, pytest.approx(50 / 65))
    # Of the limit just before and after, 100 and 50 a second in the two rounds.
    assert ours.offline_ratio.median == pytest.approx(0.85)
    assert [(each.rate, each.p50_ms, each.p99_ms) for each in ours.curve] == [
        (40.0, 12.5, 45.0),
        (80.0, 12.0, 90.0),
    ]
    assert [each.unanswered for each in ours.curve] == pytest.approx([0, 0.1])
    assert peer.overload is None
    assert ours.overload.goodput.median == pytest.approx(68.0)
    assert ours.overload.refusal_p99_ms == 15.0
    assert ours.overload.failed == pytest.approx(0.01)


def test_a_point_whose_generator_lagged_is_in_no_figure():
    points = (made_up.point(0, OURS, 40.0), made_up.point(0, OURS, 40.0, p50_ms=900, lagged=True))
    ours, _ = figures.rows(made_up.run(points=points), "light")
    assert [each.p50_ms for each in ours.curve] == [12.0]
