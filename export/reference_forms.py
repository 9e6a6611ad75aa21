"""The published members that a pipeline's references for typicality are made of."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from export import releases
from export.errors import ExportError
from export.repository import ModelRepository
from pipelines.definition import PipelineDefinition
from pipelines.manifest import Manifest, ManifestError
from pipelines.profile import DEFAULT_PROFILE
from pipelines.release_files import version_folder


class ReferencePhotosError(ExportError):
    """Photos that no reference can be made of, or a pipeline that there is none for."""


@dataclass(frozen=True)
class Form:
    """A published member that features are taken from."""

    name: str
    artefact: Path
    manifest: Manifest


def forms(whole: PipelineDefinition, repository: ModelRepository) -> list[Form]:
    """The member that `typicality` names, as the profiles serve it: one of each precision.

    Raises:
        ReferencePhotosError: a version is broken, or made from other facts.
    """
    found: dict[tuple[str, str], Form] = {}
    for profile in (DEFAULT_PROFILE, *whole.profiles):
        spec = whole.resolve(profile)
        name = spec.typicality.member if spec.typicality else None
        version = releases.choose(spec, repository).get(name) if name else None
        if name is None or version is None:
            continue
        folder = repository.root / version_folder(spec.name, name, version)
        try:
            manifest = Manifest.read(folder)
            manifest.require_made_for(spec, name, folder)
        except (ManifestError, OSError) as error:
            raise ReferencePhotosError(str(error)) from None
        key = manifest.checkpoint_sha256, spec.members[name].precision
        found.setdefault(key, Form(name, folder / manifest.artefact, manifest))
    return list(found.values())


def require_source(
    whole: PipelineDefinition, repository: ModelRepository, coming: Collection[str] = ()
) -> None:
    """Checks that there is what a reference is made of, or will be.

    Args:
        whole: the pipeline.
        repository: has its versions.
        coming: the members that get a version before the reference is made.

    Raises:
        ReferencePhotosError: the YAML says no `typicality`, or its member has no version, or one
            that is broken or made from other facts.
    """
    if whole.typicality is None:
        raise ReferencePhotosError(
            f"{whole.name}.yaml says no `typicality`: add it (docs/export.md), then --reference"
        )
    member = whole.typicality.member
    if member is None or _forms_of(whole) & set(coming) or forms(whole, repository):
        return
    raise ReferencePhotosError(
        f"{whole.name}: {member} has no version to take features from: give "
        f"--checkpoint {whole.origin(member)}=FILE too"
    )


def _forms_of(whole: PipelineDefinition) -> set[str]:
    """The member that `typicality` names, under the names that the profiles serve it by."""
    specs = [whole.resolve(profile) for profile in (DEFAULT_PROFILE, *whole.profiles)]
    return {each.typicality.member for each in specs if each.typicality and each.typicality.member}
