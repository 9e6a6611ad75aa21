"""What may become of the releases of a pipeline, without a database or a service."""

import pytest

from pipelines import release_changes as changes
from pipelines.release_changes import ChangeRefusedError
from pipelines.release_state import ReleaseState

OLD, NEW, OTHER = "1-aaaaaaaa", "2-bbbbbbbb", "3-cccccccc"
FIRST = ReleaseState(pipeline="mhist", profile="default", revision=1, current=OLD)


def after(*steps, state=FIRST):
    for step in steps:
        _, state = step(state)
    return state


def test_a_release_goes_from_candidate_to_current_and_back():
    staged = after(changes.stage(NEW))
    assert (staged.current, staged.candidate, staged.share) == (OLD, NEW, 0)
    split = after(changes.split(1000), state=staged)
    assert (split.current, split.candidate, split.share) == (OLD, NEW, 1000)
    promoted = after(changes.promote(), state=split)
    assert (promoted.current, promoted.former, promoted.candidate) == (NEW, OLD, None)
    assert promoted.share == 0
    back = after(changes.rollback(), state=promoted)
    assert (back.current, back.former) == (OLD, NEW)
    retired = after(changes.retire(NEW), state=back)
    assert retired.loaded == (OLD,)
    assert retired.revision == 6


def test_a_rollback_first_takes_the_callers_from_a_candidate():
    promoted = after(changes.stage(NEW), changes.promote(), changes.stage(OTHER))
    about, back = changes.rollback()(after(changes.split(500), state=promoted))
    assert (about, back.current, back.share) == (NEW, NEW, 0)
    assert after(changes.rollback(), state=back).current == OLD


def test_a_candidate_gets_copies_until_it_is_promoted_or_retired():
    shadowed = after(changes.stage(NEW), changes.shadow(2_500))
    assert (shadowed.candidate, shadowed.share, shadowed.shadow) == (NEW, 0, 2_500)
    assert after(changes.split(100), state=shadowed).shadow == 2_500
    assert after(changes.shadow(0), state=shadowed).shadow == 0
    for step in (changes.promote(), changes.retire(NEW)):
        ended = after(step, state=shadowed)
        assert (ended.candidate, ended.shadow) == (None, 0)
    # The next candidate begins with none.
    assert after(changes.retire(NEW), changes.stage(OTHER), state=shadowed).shadow == 0


def test_a_rollback_that_names_a_release_undoes_that_one_alone():
    promoted = after(changes.stage(NEW), changes.promote())
    assert after(changes.rollback(NEW), state=promoted).current == OLD
    divided = after(changes.stage(OTHER), changes.split(500), state=promoted)
    # The candidate's callers are its own matter.
    back = after(changes.rollback(NEW), state=divided)
    assert (back.current, back.former, back.candidate, back.share) == (OLD, NEW, OTHER, 500)
    ended = after(changes.rollback(OTHER), state=divided)
    assert (ended.current, ended.candidate, ended.share) == (NEW, OTHER, 0)
    for release in (OLD, "4-dddddddd"):
        with pytest.raises(ChangeRefusedError, match=f"{release} answers nobody"):
            after(changes.rollback(release), state=divided)
    # A candidate without callers.
    with pytest.raises(ChangeRefusedError, match="answers nobody"):
        after(changes.stage(OTHER), changes.rollback(OTHER), state=promoted)


def test_a_rollback_that_names_a_revision_undoes_nothing_newer():
    promoted = after(changes.stage(NEW), changes.promote())
    assert after(changes.rollback(NEW, promoted.revision), state=promoted).current == OLD
    with pytest.raises(ChangeRefusedError, match="changed meanwhile"):
        after(changes.stage(OTHER), changes.rollback(NEW, promoted.revision), state=promoted)


@pytest.mark.parametrize("percent", [-0.01, 100.01, float("nan"), float("inf")])
def test_a_percentage_that_is_none_is_refused(percent):
    with pytest.raises(ChangeRefusedError, match="from 0 to 100"):
        changes.share_of(percent)


def test_a_percentage_has_two_decimals():
    assert [changes.share_of(each) for each in (0, 0.01, 12.5, 100)] == [0, 1, 1250, 10_000]


@pytest.mark.parametrize(
    ("steps", "refused"),
    [
        ([changes.stage(OLD)], "loaded already, as the current release"),
        ([changes.stage(NEW), changes.stage(OTHER)], f"{NEW} is the candidate"),
        ([changes.split(100)], "there is no candidate"),
        ([changes.stage(NEW), changes.split(10_001)], "from 0 to 100"),
        ([changes.stage(NEW), changes.split(0)], "answers 0 % of callers already"),
        ([changes.shadow(100)], "there is no candidate"),
        ([changes.stage(NEW), changes.shadow(10_001)], "from 0 to 100"),
        ([changes.stage(NEW), changes.shadow(-1)], "from 0 to 100"),
        ([changes.stage(NEW), changes.shadow(0)], "gets copies of 0 % of the images already"),
        ([changes.stage(NEW), changes.shadow(1, OTHER)], f"the candidate is {NEW}"),
        ([changes.stage(NEW), changes.retire(NEW), changes.shadow(1, NEW)], "no candidate"),
        ([changes.promote()], "there is no candidate"),
        ([changes.stage(NEW), changes.promote(OTHER)], f"the candidate is {NEW}"),
        ([changes.rollback()], "no former release is loaded"),
        ([changes.retire(OLD)], "is the current release"),
        ([changes.retire(OTHER)], "is not loaded"),
    ],
)
def test_a_change_that_may_not_be_made_is_refused_with_its_reason(steps, refused):
    with pytest.raises(ChangeRefusedError, match=refused):
        after(*steps)


@pytest.mark.parametrize(
    "facts", [{"candidate": OLD}, {"share": 1}, {"shadow": 1}, {"former": NEW, "candidate": NEW}]
)
def test_a_state_that_contradicts_itself_is_none(facts):
    with pytest.raises(ValueError, match=r"two roles|no candidate"):
        ReleaseState(**FIRST.model_dump() | facts)
