"""The state's copy in the repository, by which the launcher loads, after a kill at any step."""

import pytest

from pipelines import atomic_write
from pipelines.release import ReleaseError, current_path
from pipelines.release_mirror import first_state, mirror
from pipelines.release_state import ReleaseState, state_path

OLD, NEW = "1-aaaaaaaa", "2-bbbbbbbb"
BEFORE = ReleaseState(
    pipeline="mhist", profile="default", revision=2, current=OLD, candidate=NEW, share=1000
)
AFTER = ReleaseState(pipeline="mhist", profile="default", revision=3, current=NEW, former=OLD)


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "mhist" / "releases").mkdir(parents=True)
    BEFORE.write(tmp_path)
    return tmp_path


def test_the_release_of_the_next_start_is_the_current_one(repository):
    assert mirror([AFTER], repository) == [AFTER]
    assert current_path("mhist", "default", repository).read_text() == f"{NEW}\n"
    assert ReleaseState.read("mhist", "default", repository) == AFTER
    assert mirror([AFTER], repository) == []


@pytest.mark.parametrize("step", [1, 2])
def test_a_kill_between_two_writes_leaves_all_releases_loaded_and_is_mended(
    repository, monkeypatch, step
):
    class Killed(BaseException):
        pass

    writes = []
    write = atomic_write.write_text

    def killed(path, text):
        writes.append(path)
        if len(writes) == step:
            raise Killed
        write(path, text)

    with monkeypatch.context() as patch:
        patch.setattr(atomic_write, "write_text", killed)
        with pytest.raises(Killed):
            mirror([AFTER], repository)
    state = ReleaseState.read("mhist", "default", repository)
    starts_with = current_path("mhist", "default", repository).read_text().strip()
    assert set(state.loaded) == {OLD, NEW}
    assert starts_with in {OLD, NEW}
    mirror([AFTER], repository)
    assert ReleaseState.read("mhist", "default", repository) == AFTER
    assert current_path("mhist", "default", repository).read_text() == f"{NEW}\n"


def test_the_state_of_another_database_replaces_no_newer_one(repository):
    AFTER.write(repository)
    with pytest.raises(ReleaseError, match="another database, or an old copy"):
        mirror([BEFORE], repository)
    assert ReleaseState.read("mhist", "default", repository) == AFTER


def test_a_new_database_begins_with_the_state_in_the_repository(repository):
    assert first_state("mhist", "default", repository) == BEFORE


def test_a_file_that_is_no_state_is_named_with_the_remedy(repository):
    state_path("mhist", "default", repository).write_text('{"pipeline": "mhist"}')
    with pytest.raises(ReleaseError, match=r"default.state: profile: .*python -m releases mirror"):
        ReleaseState.read("mhist", "default", repository)
