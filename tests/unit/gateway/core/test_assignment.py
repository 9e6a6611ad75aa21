"""Which release answers whom: by a keyed hash of the subject, the same everywhere."""

from itertools import pairwise

import pytest
from scipy.stats import binomtest

from gateway.core.assignment import bucket
from pipelines.release_state import BUCKETS

KEY = bytes(range(32))
SUBJECTS = [f"subject-{number}" for number in range(10_000)]
DRAWN = [bucket(KEY, "oral_cancer", "2-bbbbbbbb", subject) for subject in SUBJECTS]


@pytest.mark.parametrize("percent", [1, 10, 20, 50, 99])
def test_the_share_of_ten_thousand_subjects_is_within_its_exact_binomial_interval(percent):
    chosen = sum(number < percent * 100 for number in DRAWN)
    assert binomtest(chosen, len(SUBJECTS), percent / 100).pvalue > 0.01


def test_a_larger_share_takes_nobody_away_from_the_candidate():
    shares = range(0, BUCKETS + 1, 500)
    chosen = [{n for n, number in enumerate(DRAWN) if number < share} for share in shares]
    assert all(fewer <= more for fewer, more in pairwise(chosen))
    assert chosen[0] == set()
    assert len(chosen[-1]) == len(SUBJECTS)


def test_a_bucket_does_not_change_with_the_process_or_the_version():
    # A change of the hash would move subjects between releases in the middle of a trial.
    known = [bucket(KEY, "oral_cancer", "2-bbbbbbbb", each) for each in ("a", "b", "patient 7")]
    assert known == [3907, 1953, 4623]


@pytest.mark.parametrize(
    "other",
    [
        (bytes(32), "oral_cancer", "2-bbbbbbbb"),
        (KEY, "mhist", "2-bbbbbbbb"),
        (KEY, "oral_cancer", "3-cccccccc"),
    ],
)
def test_key_pipeline_and_candidate_each_divide_the_subjects_anew(other):
    both = sum(
        mine < 1000 and bucket(*other, subject) < 1000
        for mine, subject in zip(DRAWN, SUBJECTS, strict=True)
    )
    # Independent: 1 % of all, and not the 10 % that one and the same division would give.
    assert binomtest(both, len(SUBJECTS), 0.01).pvalue > 0.001
