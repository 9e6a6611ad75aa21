"""Makes releases from published versions, and sets which release serves."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from export import references, release_calibration
from export.repository import ModelRepository
from pipelines import atomic_write, protocol
from pipelines.calibration import CalibrationError
from pipelines.definition import PipelineDefinition
from pipelines.manifest import Manifest, ManifestError
from pipelines.profile import DEFAULT_PROFILE
from pipelines.release import (
    Release,
    ReleasedMember,
    ReleaseError,
    current_path,
    current_versions,
    release_path,
)
from pipelines.release_files import ReleaseFiles, config_path, keep_configs, version_folder
from pipelines.release_state import state_path
from pipelines.spec import PipelineSpec

_NONE: Mapping[str, int] = {}


@dataclass
class Releases:
    """What became of a pipeline's profiles."""

    made: list[Release] = field(default_factory=list)
    """The releases that serve from now on, in place of others or of none."""
    problems: list[str] = field(default_factory=list)
    """Why a profile whose members all have versions got no release; its former one serves."""
    unstaged: list[Release] = field(default_factory=list)
    """New ones of profiles whose releases are changed by `python -m releases` alone."""
    lost_references: list[str] = field(default_factory=list)
    """Which of the releases lack a reference for typicality that their former one had."""


def make(
    whole: PipelineDefinition,
    repository: ModelRepository,
    published: Mapping[str, int] = _NONE,
    new_references: Collection[str] = (),
) -> Releases:
    """Makes the release of each profile whose members are all there, and lets it serve.

    Where `python -m releases` has changed what serves, it alone does so from then on.

    Args:
        whole: the pipeline; its configs must be up to date.
        repository: has configs and versions.
        published: the versions that have just been published, by member. Of other members the
            version that serves is taken, so that a roll back stays one; without one the newest.
        new_references: SHA-256 of references for typicality that have just been published.
    """
    releases = Releases()
    for profile in [DEFAULT_PROFILE, *whole.profiles]:
        spec = whole.resolve(profile)
        before = _current(spec, repository)
        try:
            release = compose(spec, repository, published, new_references)
        except ReleaseError as error:
            still = f" Release {before.identity} still is the current one." if before else ""
            releases.problems.append(
                f"{spec.name}: no release of profile {profile}: {error}{still}"
            )
            continue
        if release is None:
            continue
        if release == before:
            keep_configs(release, repository.root)
        elif is_managed(spec, repository):
            if not release_path(spec.name, release.identity, repository.root).exists():
                releases.unstaged.append(release)
            _write(release, repository)
        else:
            write(release, repository)
            releases.made.append(release)
            if before and before.reference and not release.reference:
                releases.lost_references.append(
                    f"{spec.name}: release {release.identity} of profile {profile} does not judge "
                    "typicality any more, because the reference was made with another checkpoint "
                    f"or preprocessing: run python -m export {spec.name} --reference DIR"
                )
    return releases


def compose(
    spec: PipelineSpec,
    repository: ModelRepository,
    published: Mapping[str, int] = _NONE,
    new_references: Collection[str] = (),
) -> Release | None:
    """The release of a profile as it would be made now; None where a member has no version.

    Raises:
        ReleaseError: a version is broken or made from other facts, a config is missing, or members
            come from different trainings.
    """
    versions = choose(spec, repository, published)
    if len(versions) < len(spec.members):
        return None
    manifests: dict[str, Manifest] = {}
    for member, version in versions.items():
        folder = repository.root / version_folder(spec.name, member, version)
        try:
            manifests[member] = Manifest.read(folder)
            manifests[member].require_made_for(spec, member, folder)
        except (ManifestError, OSError) as error:
            raise ReleaseError(str(error)) from None
    _require_one_training(spec, manifests, repository, published)
    paths = [config_path(repository.root, model, spec.profile) for model in spec.models]
    files = ReleaseFiles(repository.root)
    try:
        configs = {path.as_posix(): files.sha256(path) for path in paths}
    except OSError as error:
        raise ReleaseError(f"{error.filename}: {error.strerror}: run `make configs`") from None
    members = {
        member: ReleasedMember(
            version=each.version,
            weights=each.weights,
            class_order=each.order_known_from,
            files=each.files,
            temperature=None if each.calibration is None else each.calibration.temperature,
        )
        for member, each in manifests.items()
    }
    calibrated = {
        member: repository.root / version_folder(spec.name, member, each.version)
        for member, each in manifests.items()
        if each.calibration is not None
    }
    try:
        calibration = release_calibration.measure(spec, calibrated)
    except CalibrationError as error:
        raise ReleaseError(str(error)) from None
    before = _current(spec, repository)
    reference = references.choose(
        spec,
        manifests,
        repository.root,
        published=new_references,
        serving=None if before is None else before.reference,
    )
    return Release(
        spec=spec,
        members=members,
        configs=configs,
        calibration=calibration,
        reference=reference,
    )


def choose(
    spec: PipelineSpec, repository: ModelRepository, published: Mapping[str, int] = _NONE
) -> dict[str, int]:
    """The version of each member that a release made now takes; without those that have none."""
    serving = current_versions(spec.name, spec.profile, repository.root)
    chosen: dict[str, int] = {}
    for member in spec.members:
        if member in published:
            chosen[member] = published[member]
        elif _is_made_for(spec, member, serving.get(member), repository):
            chosen[member] = serving[member]
        elif there := repository.versions(protocol.member_model(spec.name, member)):
            chosen[member] = there[-1]
    return chosen


def write(release: Release, repository: ModelRepository) -> None:
    """Writes a release, and then that it is the one to serve."""
    _write(release, repository)
    _point(release, repository.root)


def is_managed(spec: PipelineSpec, repository: ModelRepository) -> bool:
    """Whether `python -m releases` alone changes which release serves: it has done so once."""
    return state_path(spec.name, spec.profile, repository.root).exists()


def _write(release: Release, repository: ModelRepository) -> None:
    """Writes a release with a copy of its configs, which are those in the repository."""
    spec, root = release.spec, repository.root
    atomic_write.write_text(release_path(spec.name, release.identity, root), release.text)
    keep_configs(release, root)


def use(whole: PipelineDefinition, identity: str, repository: ModelRepository) -> Release:
    """Lets a release serve that was made before, after the checks of the launcher.

    Raises:
        ReleaseError: there is no such release, or it cannot be served: a file is missing or
            another one, or the YAML now says other facts.
    """
    folder = current_path(whole.name, DEFAULT_PROFILE, repository.root).parent
    there = sorted(path.stem for path in folder.glob("*.json"))
    if identity not in there:
        ids = ", ".join(there) or "none"
        raise ReleaseError(f"no release {identity!r} of {whole.name}; there are: {ids}")
    release = Release.read(whole.name, identity, repository.root)
    profile = release.spec.profile
    if is_managed(release.spec, repository):
        raise ReleaseError(
            f"{whole.name}: its releases are changed by `python -m releases`: run python -m "
            f"releases stage {whole.name} {identity}, and promote it"
        )
    known = profile == DEFAULT_PROFILE or profile in whole.profiles
    if not known or whole.resolve(profile) != release.spec:
        raise ReleaseError(
            f"{whole.name}: release {identity} was made from other facts than {whole.name}.yaml "
            "now says: put the former YAML back and run `make configs` first"
        )
    ReleaseFiles(repository.root).verify(release)
    _point(release, repository.root)
    return release


def _point(release: Release, root: Path) -> None:
    path = current_path(release.spec.name, release.spec.profile, root)
    atomic_write.write_text(path, f"{release.identity}\n")


def _current(spec: PipelineSpec, repository: ModelRepository) -> Release | None:
    with suppress(ReleaseError):
        return Release.current(spec.name, spec.profile, repository.root)
    return None


def _is_made_for(
    spec: PipelineSpec, member: str, version: int | None, repository: ModelRepository
) -> bool:
    if version is None:
        return False
    folder = repository.root / version_folder(spec.name, member, version)
    try:
        Manifest.read(folder).require_made_for(spec, member, folder)
    except (ManifestError, OSError):
        return False
    return True


def _require_one_training(
    spec: PipelineSpec,
    manifests: dict[str, Manifest],
    repository: ModelRepository,
    published: Mapping[str, int],
) -> None:
    """Refuses forms of one checkpoint that are of two, or of one that was replaced since."""
    for member, manifest in manifests.items():
        origin = spec.origin(member)
        others = {
            name: other
            for name, other in manifests.items()
            if name != member and spec.origin(name) == origin
        }
        if origin not in manifests:
            others |= _unserved_origin(spec, origin, repository, published)
        for other, theirs in others.items():
            if theirs.checkpoint_sha256 == manifest.checkpoint_sha256:
                continue
            if other in manifests or theirs.created > manifest.created:
                raise ReleaseError(
                    f"{member} v{manifest.version} and {other} v{theirs.version} come from "
                    "different checkpoints: export again what is older (python -m export "
                    f"{spec.name} --profile {spec.profile} --checkpoint {origin}=FILE)"
                )


def _unserved_origin(
    spec: PipelineSpec, origin: str, repository: ModelRepository, published: Mapping[str, int]
) -> dict[str, Manifest]:
    """The manifest of the member whose checkpoint others were made from, where it can be read.

    Its version is the one that the default profile serves, or the newest.
    """
    there = repository.versions(protocol.member_model(spec.name, origin))
    serving = current_versions(spec.name, DEFAULT_PROFILE, repository.root)
    for versions in (serving, published):
        there = [versions[origin]] if origin in versions else there
    with suppress(ManifestError, OSError):
        if there:
            folder = repository.root / version_folder(spec.name, origin, there[-1])
            return {origin: Manifest.read(folder)}
    return {}
