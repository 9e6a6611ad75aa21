"""The releases in a model repository: found, checked before one is staged, and the state's copy."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipelines.release import Release, ReleaseError, current_identity, release_path
from pipelines.release_files import ReleaseFiles, keep_configs
from pipelines.release_state import ReleaseState


@dataclass(frozen=True, slots=True)
class FoundRelease:
    """The file of a release."""

    pipeline: str
    identity: str
    release: Release | None
    """None: it cannot be read, or another version of this software wrote it."""
    made_at: float
    """When the file was written, in seconds since 1970."""


def pipelines_of(repository: Path) -> list[str]:
    """The pipelines that have releases, by name."""
    return sorted(path.parent.name for path in repository.glob("*/releases") if path.is_dir())


def found(pipeline: str, repository: Path) -> list[FoundRelease]:
    """The releases of a pipeline, the newest file first."""
    folder = release_path(pipeline, "", repository).parent
    releases = []
    for path in folder.glob("*.json"):
        release = None
        with suppress(ReleaseError):
            release = Release.read(pipeline, path.stem, repository)
        releases.append(FoundRelease(pipeline, path.stem, release, path.stat().st_mtime))
    return sorted(releases, key=lambda each: (-each.made_at, each.identity))


def check(release: Release, current: str | None, repository: Path) -> None:
    """Checks every file of a release that is to be staged, and keeps copies of what it needs.

    Also of the current one, which is to serve on whatever becomes of the YAML's configs.

    Raises:
        ReleaseError: a file differs; the message names it and the remedy.
        OSError: a copy cannot be written.
    """
    name = release.spec.name
    for each in (release, *([Release.read(name, current, repository)] if current else ())):
        keep_configs(each, repository)
        ReleaseFiles(repository).verify_members(each)


def first_state(pipeline: str, profile: str, repository: Path) -> ReleaseState:
    """The state of a pipeline of which the database knows nothing.

    Raises:
        ReleaseError: it has no release.
    """
    if (state := ReleaseState.read(pipeline, profile, repository)) is not None:
        return state
    current = current_identity(pipeline, profile, repository)
    Release.read(pipeline, current, repository)
    return ReleaseState(pipeline=pipeline, profile=profile, revision=1, current=current)


def mirror(states: Iterable[ReleaseState], repository: Path) -> list[ReleaseState]:
    """Writes the states that the repository does not have yet; returns them.

    Raises:
        ReleaseError: the repository has a newer one, so the states are of another database.
        OSError: one cannot be written.
    """
    written = []
    for state in states:
        if not release_path(state.pipeline, "", repository).parent.is_dir():
            continue
        before = current = None
        with suppress(ReleaseError):
            before = ReleaseState.read(state.pipeline, state.profile, repository)
            current = current_identity(state.pipeline, state.profile, repository)
        if before is not None and before.revision > state.revision:
            raise ReleaseError(
                f"{repository}: the state of {state.pipeline} has revision {before.revision}, and "
                f"the database {state.revision}: it is another database, or an old copy of it"
            )
        if (before, current) != (state, state.current):
            state.write(repository)
            written.append(state)
    return written
