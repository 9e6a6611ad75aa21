"""Whether a release is called worse: exact numbers, each figure, and how often by chance."""

import numpy as np
import pytest
from scipy import stats

from database.live_figures import Figure
from gateway.release_watch import judgement
from gateway.release_watch.judgement import (
    ALARMS,
    BOUNDS,
    FEWEST_BEFORE,
    LOOKS,
    Verdict,
    at_least,
    highest_median,
    highest_share,
    judge,
)

SHARES = {
    Figure.REFUSED: 0.03,
    Figure.UNCERTAIN: 0.2,
    Figure.ATYPICAL: 0.01,
    Figure.CORRECTED: 0.1,
}
"""Of a release as it usually is; the median of its seconds is 0.3."""


def release(rng, answers, *, worse=()):
    """Samples of a release; `worse` says of which figures how much higher it is."""
    worse = dict(worse)
    found = {
        figure: (rng.random(answers) < share + worse.get(figure, 0.0)).astype(float).tolist()
        for figure, share in SHARES.items()
    }
    factor = worse.get(Figure.SECONDS, 1.0)
    found[Figure.SECONDS] = (factor * rng.lognormal(np.log(0.3), 0.5, answers)).tolist()
    return found


def verdicts(former, current):
    return {each.figure: each.verdict for each in judge(former, current)}


@pytest.mark.parametrize("trials", [1, 20, 500, 5000])
@pytest.mark.parametrize("share", [1e-6, 0.003, 0.5, 0.97])
def test_the_tail_is_that_of_scipys_binomial_distribution(trials, share):
    for successes in {0, 1, trials // 3, trials // 2, trials - 1, trials}:
        expected = stats.binom.sf(successes - 1, trials, share)
        assert at_least(successes, trials, share) == pytest.approx(expected, rel=1e-8, abs=1e-300)


@pytest.mark.parametrize(("successes", "trials"), [(0, 100), (3, 100), (50, 100), (100, 100)])
def test_the_highest_share_is_clopper_and_pearsons(successes, trials):
    exact = stats.binomtest(successes, trials).proportion_ci(0.998, method="exact").high
    assert highest_share(successes, trials, 0.001) == pytest.approx(exact, abs=1e-9)


def test_the_interval_of_the_median_holds_it_as_often_as_it_says():
    rng = np.random.default_rng(5)
    missed = sum(highest_median(rng.random(101).tolist(), 0.05) < 0.5 for _ in range(2000))
    assert stats.binomtest(missed, 2000, 0.05, alternative="greater").pvalue > 0.001


@pytest.mark.parametrize(
    ("figure", "much"),
    [
        (Figure.REFUSED, 0.3),
        (Figure.UNCERTAIN, 0.5),
        (Figure.ATYPICAL, 0.3),
        (Figure.CORRECTED, 0.4),
        (Figure.SECONDS, 5.0),
    ],
)
def test_a_release_that_is_worse_in_one_figure_is_called_so_and_soon(figure, much):
    rng = np.random.default_rng(11)
    former = release(rng, 3000)
    found = judge(former, release(rng, 500, worse=[(figure, much)]))
    worse = [each for each in found if each.verdict is Verdict.WORSE]
    assert [each.figure for each in worse] == [figure]
    (only,) = worse
    assert only.current_answers <= 100
    assert only.current > only.limit > only.former
    assert str(figure) in only.sentence()
    assert f"of {only.current_answers} answers" in only.sentence()


def test_a_small_change_for_the_worse_is_found_with_more_answers():
    rng = np.random.default_rng(12)
    former = release(rng, 5000)
    current = release(rng, 2000, worse=[(Figure.REFUSED, 0.06), (Figure.SECONDS, 1.9)])
    found = {each.figure: each for each in judge(former, current)}
    for figure in (Figure.REFUSED, Figure.SECONDS):
        assert found[figure].verdict is Verdict.WORSE
        assert found[figure].current_answers > 50


def test_too_few_answers_say_not_enough_and_nothing_else():
    rng = np.random.default_rng(13)
    terrible = {figure: [100.0 if figure is Figure.SECONDS else 1.0] * 2000 for figure in Figure}
    few = {figure: values[: LOOKS[0] - 1] for figure, values in terrible.items()}
    whole, short = release(rng, 2000), release(rng, FEWEST_BEFORE - 1)
    nothing = {figure: [] for figure in Figure}
    for former, current in ((whole, few), (short, terrible), (nothing, terrible), (whole, nothing)):
        assert set(verdicts(former, current).values()) == {Verdict.NOT_ENOUGH}
    # As soon as they are enough, they are worse.
    enough = {figure: values[: LOOKS[0]] for figure, values in terrible.items()}
    assert set(verdicts(whole, enough).values()) == {Verdict.WORSE}


def test_a_release_cannot_be_worse_than_one_that_answered_nothing():
    rng = np.random.default_rng(14)
    former = release(rng, 500) | {Figure.REFUSED: [1.0] * 500}
    current = release(rng, 500) | {Figure.REFUSED: [1.0] * 500}
    assert verdicts(former, current)[Figure.REFUSED] is Verdict.NOT_WORSE


def test_only_answers_up_to_a_look_are_judged():
    rng = np.random.default_rng(15)
    former, current = release(rng, 2000), release(rng, LOOKS[1] - 1)
    at_first = judge(former, current)
    # What comes between two looks changes nothing, however bad.
    for figure in Figure:
        bad = 100.0 if figure is Figure.SECONDS else 1.0
        first = current[figure][: LOOKS[0]]
        current[figure] = first + [bad] * (LOOKS[1] - 1 - LOOKS[0])
    assert judge(former, current) == at_first


def alarms(promotions, seed, **worse):
    """Promotions of which any figure is called worse, at any look."""
    rng = np.random.default_rng(seed)
    return sum(
        Verdict.WORSE in verdicts(release(rng, 600), release(rng, LOOKS[-1], **worse)).values()
        for _ in range(promotions)
    )


def test_of_equal_releases_no_more_are_called_worse_than_is_said():
    count = alarms(300, 21)
    assert stats.binomtest(count, 300, ALARMS, alternative="greater").pvalue > 0.01


def test_of_releases_at_the_bound_of_every_figure_neither():
    at_the_bound = list(BOUNDS.items())
    count = alarms(300, 22, worse=at_the_bound)
    assert stats.binomtest(count, 300, ALARMS, alternative="greater").pvalue > 0.01
    # The same count would show a rate that is much higher.
    beyond = [(f, 2 * b) for f, b in at_the_bound]
    assert alarms(20, 23, worse=beyond) == 20


def test_the_rate_is_divided_among_figures_and_looks():
    spent = len(Figure) * (judgement._BEFORE + len(LOOKS) * judgement._OF_A_LOOK)
    assert spent == pytest.approx(ALARMS)
