"""What `lab.releases.proof` counts, and which figures it lets pass."""

import pytest

from lab.releases.proof.life import Share
from lab.releases.proof.memory import stayed
from lab.releases.proof.replicas import LifeOnTwo, Phase


def test_a_share_is_within_where_its_exact_interval_holds_what_was_asked_for():
    given = {subject: "new" if subject < 90 else "old" for subject in range(1000)}
    found = Share.of(10, given, "new")
    assert (found.answered, found.subjects) == (90, 1000)
    # Clopper and Pearson's at 99 %, by the beta distribution.
    assert (found.low, found.high) == (
        pytest.approx(0.0683, abs=5e-4),
        pytest.approx(0.1158, abs=5e-4),
    )
    assert found.within
    assert not Share.of(20, given, "new").within


def test_memory_stays_up_to_five_percent():
    before = {"Triton": 30.0, "gateways": 170.0}
    assert stayed(before, {"Triton": 40.0, "gateways": 170.0})
    assert not stayed(before, {"Triton": 40.1, "gateways": 170.0})


def test_one_answer_of_a_release_that_a_phase_does_not_have_fails_the_proof():
    assert LifeOnTwo(phases=[Phase("stage", 10, 0)]).passed
    assert not LifeOnTwo(phases=[Phase("stage", 10, 0), Phase("rollback", 10, 1)]).passed
