"""Removes releases that nothing needs any more, with the files that no other release names.

A release goes whole: its files are renamed into a folder beside it, first of all the one that
makes it a release, and are then deleted. What an interrupted run left in such a folder the next one
finishes.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from pipelines.fact import Name
from pipelines.release import NoReleaseError, ReleaseError, current_identity, release_path
from pipelines.release_changes import role
from pipelines.release_files import version_folder
from pipelines.release_state import ReleaseState
from pipelines.typicality import Sha256, reference_path
from releases.drift.figures import reference_at

_TRIED, _DECIDED = ".removing-", ".removed-"
"""Before a release's id: the folder beside it that its files go to. Under the first name only the
release's own file is there, and it goes back; under the second the release is gone."""


class _Member(BaseModel):
    version: Annotated[int, Field(ge=1)]


class _Reference(BaseModel):
    sha256: Sha256


class _Spec(BaseModel):
    name: Name
    profile: Name


class _Content(BaseModel):
    """What of a release's file must be known; other keys may be those of another version."""

    spec: _Spec
    members: dict[Name, _Member]
    reference: _Reference | None = None


@dataclass(frozen=True)
class StoredRelease:
    """A release in the repository, as far as its files are concerned.

    Attributes:
        shared: Folders of versions and the typicality's reference, relative to the repository:
            other releases may name them too.
        made_at: When its file was written, in seconds since 1970.
    """

    identity: str
    profile: str
    shared: frozenset[Path]
    made_at: float


@dataclass(frozen=True)
class Removal:
    """A release that goes, or went.

    Attributes:
        paths: Its files and folders, relative to the repository.
        size: Of all of them, in bytes.
    """

    identity: str
    profile: str
    paths: tuple[Path, ...]
    size: int


@dataclass(frozen=True)
class Plan:
    """What becomes of the releases of one pipeline."""

    pipeline: str
    kept: dict[str, tuple[str, ...]]
    """Why each one that stays does, by its id."""
    removals: tuple[Removal, ...]


def stored(pipeline: str, repository: Path) -> list[StoredRelease]:
    """The releases of a pipeline, the newest file first.

    Raises:
        ReleaseError: the file of one cannot be read. Nobody knows then which artefacts it names.
    """
    folder = release_path(pipeline, "", repository).parent
    found = [_read(pipeline, path) for path in folder.glob("*.json")]
    return sorted(found, key=lambda each: (-each.made_at, each.identity))


def plan(
    pipeline: str,
    repository: Path,
    named: Mapping[str, str],
    states: list[ReleaseState],
    keep: int,
) -> Plan:
    """Says which releases go and why the others stay; changes nothing.

    Args:
        pipeline: its name.
        repository: the model repository.
        named: Why a release may not go, by its id: who else needs it.
        states: those of the pipeline in the database, one a profile.
        keep: how many of the newest releases of each profile stay.

    Raises:
        ReleaseError: a file cannot be read, or the repository's state is newer than the
            database's, which is another one then.
    """
    releases = stored(pipeline, repository)
    reasons: dict[str, list[str]] = {each.identity: [] for each in releases}
    for profile in sorted({each.profile for each in releases}):
        own = [each.identity for each in releases if each.profile == profile]
        for identity in own[:keep]:
            reasons[identity].append(f"one of the newest {keep}")
        state = next((each for each in states if each.profile == profile), None)
        copy = ReleaseState.read(pipeline, profile, repository)
        if copy is not None and (state is None or copy.revision > state.revision):
            raise ReleaseError(
                f"{repository}: the state of {pipeline} has revision {copy.revision}, and the "
                f"database {0 if state is None else state.revision}: it is another database, or "
                "an old copy of it: set GATEWAY_DATABASE_URL to the service's"
            )
        for identity in own:
            # The copy follows the database within a second: a server may still go by it.
            roles = {role(each, identity) for each in (state, copy) if each is not None}
            reasons[identity].extend(sorted(found for found in roles if found))
        with suppress(NoReleaseError):
            current = current_identity(pipeline, profile, repository)
            if current in own and "current" not in reasons[current]:
                reasons[current].append("current")
    for identity, reason in named.items():
        if identity in reasons:
            reasons[identity].append(reason)
    # The oldest first: what two of them share goes with the later one.
    leaving = [each for each in reversed(releases) if not reasons[each.identity]]
    there = list(releases)
    removals = []
    for each in leaving:
        there.remove(each)
        removals.append(_removal(each, there, pipeline, repository))
    kept = {identity: tuple(found) for identity, found in reasons.items() if found}
    return Plan(pipeline, kept, tuple(removals))


def remove(
    chosen: Plan, repository: Path, still_needed: Callable[[str], str | None]
) -> tuple[list[Removal], dict[str, str]]:
    """Removes what a plan says.

    Args:
        chosen: the plan.
        repository: the model repository.
        still_needed: looks at the database again, once a release cannot be chosen any more; its
            reason brings the release back.

    Returns:
        Those that went, and of those that came back the reason by id.

    Raises:
        OSError: a file cannot be moved or deleted.
        ReleaseError: another process removes releases of the pipeline.
    """
    gone: list[Removal] = []
    back: dict[str, str] = {}
    with _alone(chosen.pipeline, repository):
        for removal in chosen.removals:
            own = release_path(chosen.pipeline, removal.identity, repository)
            tried = own.with_name(f"{_TRIED}{removal.identity}")
            tried.mkdir()
            own.rename(tried / own.name)
            try:
                reason = still_needed(removal.identity)
            except BaseException:
                _put_back(tried)
                raise
            if reason is not None:
                _put_back(tried)
                back[removal.identity] = reason
                continue
            decided = own.with_name(f"{_DECIDED}{removal.identity}")
            tried.rename(decided)
            _finish(decided, chosen.pipeline, repository)
            gone.append(removal)
    return gone, back


def finish_interrupted(pipeline: str, repository: Path) -> list[str]:
    """Ends what interrupted runs have begun; returns the ids of the releases that go so.

    Raises:
        OSError: a file cannot be moved or deleted.
        ReleaseError: another process removes releases of the pipeline.
    """
    gone = []
    folder = release_path(pipeline, "", repository).parent
    with _alone(pipeline, repository):
        for tried in folder.glob(f"{_TRIED}*"):
            _put_back(tried)
        for decided in folder.glob(f"{_DECIDED}*"):
            gone.append(decided.name.removeprefix(_DECIDED))
            _finish(decided, pipeline, repository)
    return gone


def interrupted(pipeline: str, repository: Path) -> list[str]:
    """The ids of releases that an interrupted run has not removed to the end."""
    folder = release_path(pipeline, "", repository).parent
    return sorted(path.name.removeprefix(_DECIDED) for path in folder.glob(f"{_DECIDED}*"))


def _put_back(tried: Path) -> None:
    name = f"{tried.name.removeprefix(_TRIED)}.json"
    if (tried / name).exists():
        (tried / name).rename(tried.with_name(name))
    tried.rmdir()


def _finish(decided: Path, pipeline: str, repository: Path) -> None:
    """Moves what is left of a release whose own file is aside already, and deletes it all."""
    own = decided / f"{decided.name.removeprefix(_DECIDED)}.json"
    if own.exists():
        others = stored(pipeline, repository)
        for path in _removal(_read(pipeline, own), others, pipeline, repository).paths:
            (repository / path).rename(decided / "_".join(path.parts))
    shutil.rmtree(decided)


def _removal(
    release: StoredRelease, others: list[StoredRelease], pipeline: str, repository: Path
) -> Removal:
    elsewhere = frozenset[Path]().union(*(each.shared for each in others))
    own = release_path(pipeline, release.identity, Path())
    paths = [
        own,
        own.with_name(f"{release.identity}.configs"),
        reference_at(Path(), pipeline, release.identity),
        *sorted(release.shared - elsewhere),
    ]
    there = tuple(path for path in paths if (repository / path).exists())
    size = sum(_size(repository / path) for path in there)
    return Removal(release.identity, release.profile, there, size)


def _read(pipeline: str, path: Path) -> StoredRelease:
    """Also of a release that another version of this software wrote."""
    identity = path.stem
    try:
        text, made_at = path.read_bytes(), path.stat().st_mtime
        content = _Content.model_validate_json(text)
    except OSError as error:
        raise ReleaseError(f"{path}: cannot be read: {error.strerror}: {_UNKNOWN}") from None
    except ValidationError:
        raise ReleaseError(f"{path}: is no release: {_UNKNOWN}") from None
    if content.spec.name != pipeline or not identity.endswith(
        f"-{hashlib.sha256(text).hexdigest()[:8]}"
    ):
        raise ReleaseError(f"{path}: its content is not that of its id: {_UNKNOWN}")
    shared = {
        version_folder(pipeline, member, facts.version) for member, facts in content.members.items()
    }
    if content.reference is not None:
        shared.add(reference_path(pipeline, content.reference.sha256))
    return StoredRelease(identity, content.spec.profile, frozenset(shared), made_at)


_UNKNOWN = (
    "so nobody knows which artefacts it needs, and nothing is removed: copy the file again, or "
    "move it out of the repository"
)


def _size(path: Path) -> int:
    if path.is_dir():
        return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
    return path.stat().st_size


@contextmanager
def _alone(pipeline: str, repository: Path) -> Iterator[None]:
    """Holds a lock on the pipeline's releases, which ends with the process.

    Raises:
        ReleaseError: another process holds it.
    """
    folder = release_path(pipeline, "", repository).parent
    opened = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ReleaseError(
                f"{folder}: another process removes releases of {pipeline}: wait until it ends"
            ) from None
        yield
    finally:
        os.close(opened)
