"""Runs `python -m releases` within the test's process, and makes releases for it."""

import sys

import pytest

from pipelines.load import load_spec
from pipelines.release import Release, ReleasedMember, current_path, release_path
from releases.__main__ import app


def run(capsys, *arguments):
    """Gives exit status, output and errors."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        app([str(argument) for argument in arguments], prog_name="python -m releases")
    sys.stdout.flush()
    output, errors = capsys.readouterr()
    return ended.value.code, output, errors


def make(repository, name, number=0):
    """A release of a pipeline, which serves; its members' files are not looked at here."""
    spec = load_spec(name)
    members = {
        member: ReleasedMember(
            version=1 + number, weights="demo", files={facts.format.filename: "a" * 64}
        )
        for member, facts in spec.members.items()
    }
    release = Release(spec=spec, members=members, configs={f"{name}/config.pbtxt": "b" * 64})
    path = release_path(name, release.identity, repository)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(release.text)
    current_path(name, "default", repository).write_text(release.identity)
    return release
