"""A command killed at any of its writes leaves a state by which the old or new release serves."""

import os
import shutil
import signal
import sys
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import RootTransaction

from database import releases as history
from database.engine import open_engine
from pipelines import release_changes as changes
from pipelines.release import Release
from pipelines.release_mirror import first_state, mirror
from pipelines.release_state import ReleaseState
from releases.__main__ import app
from releases.life import loading
from tests.unit.releases import test_life_commands as life

NAME, PROFILE = "oral_cancer", "default"
repository, ids = life.repository, life.ids
EARLIER = {
    "stage": (changes.Action.STAGE, changes.stage),
    "split": (changes.Action.SPLIT, lambda _: changes.split(1000)),
    "promote": (changes.Action.PROMOTE, lambda _: changes.promote()),
}
STEPS = {
    "stage": ([], ["{new}"]),
    "shadow": (["stage"], ["100"]),
    "split": (["stage"], ["10"]),
    "promote": (["stage", "split"], ["--without-gate", "a test"]),
    "rollback": (["stage", "promote"], []),
    "retire": (["stage", "promote"], ["{old}"]),
}


class World:
    """A model repository with its database, and a copy of both for each kill."""

    def __init__(self, repository, database):
        self.repository, self.database = repository, database

    def copy(self, folder):
        made = World(folder / "repository", folder / "gateway.db")
        shutil.copytree(self.repository, made.repository)
        shutil.copy(self.database, made.database)
        return made

    def engine(self):
        return open_engine(f"sqlite:///{self.database}")

    def entries(self):
        engine = self.engine()
        with engine.connect() as connection:
            found = history.entries(connection, NAME, PROFILE)
        engine.dispose()
        return found

    def change(self, action, step):
        engine = self.engine()
        with engine.begin() as connection:
            state = history.apply(
                connection,
                action,
                step,
                first=lambda: first_state(NAME, PROFILE, self.repository),
                pipeline=NAME,
                profile=PROFILE,
                author=history.Author("test"),
            )
        engine.dispose()
        mirror([state], self.repository)

    def command(self, words, kill):
        """Runs `python -m releases` in a child of this process; gives its exit status."""
        child = os.fork()
        if child == 0:
            try:
                os.environ["GATEWAY_DATABASE_URL"] = f"sqlite:///{self.database}"
                loading._page = nobody
                kill.patch()
                sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115
                app([*words, "--repository", str(self.repository)], standalone_mode=False)
                os._exit(0)
            finally:
                os._exit(1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def nobody():
    raise OSError


class Kill:
    """Kills this process before or after its nth write: a commit, or a file put in its place."""

    def __init__(self, at, *, before):
        self.left, self.before = at, before

    def around(self, write):
        def writes(*words, **more):
            self.left -= 1
            if self.left == 0 and self.before:
                os.kill(os.getpid(), signal.SIGKILL)
            found = write(*words, **more)
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        return writes

    def patch(self):
        RootTransaction.commit = self.around(RootTransaction.commit)
        Path.replace = self.around(Path.replace)


@pytest.fixture
def world(repository, sqlite_url):
    return World(repository, Path(sqlite_url.removeprefix("sqlite:///")))


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_command_killed_at_any_write_leaves_what_serves(
    world, ids, tmp_path_factory, step, before
):
    old, new = ids
    earlier, words = STEPS[step]
    for each in earlier:
        action, change = EARLIER[each]
        world.change(action, change(new))
    known = len(world.entries())
    words = [step, NAME, *(word.format(old=old, new=new) for word in words)]
    changed = set()
    for at in count(1):
        copy = world.copy(tmp_path_factory.mktemp(f"{step}{at}"))
        ended = copy.command(words, Kill(at, before=before))
        entries = copy.entries()
        current = entries[0].state.current if entries else old
        copied = ReleaseState.read(NAME, PROFILE, copy.repository)
        started = Release.current(NAME, PROFILE, copy.repository).identity
        # What the history calls the current release is loaded, and so is what a start serves.
        assert {current, started} <= {*(copied.loaded if copied else [old])}
        # A change is there as a whole, or not at all.
        assert len(entries) in {known, known + 1 + (known == 0)}
        changed.add(len(entries) > known)
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
        # What was interrupted is completed, as the server's gateway does within a second.
        mirror([entry.state for entry in entries[:1]], copy.repository)
        if len(entries) == known:
            assert copy.command(words, Kill(0, before=True)) == 0
        state = copy.entries()[0].state
        assert ReleaseState.read(NAME, PROFILE, copy.repository) == state
        assert Release.current(NAME, PROFILE, copy.repository).identity == state.current
    # A commit and the file of the state, at least; and a kill on either side of the commit.
    assert at > 2
    assert changed == ({True, False} if before else {True})
