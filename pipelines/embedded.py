"""Which profile of a pipeline the embedded Triton serves where nobody asks for one."""

from pathlib import Path

from pipelines import protocol
from pipelines.definition import PipelineDefinition
from pipelines.manifest import Manifest, ManifestError
from pipelines.profile import DEFAULT_PROFILE
from pipelines.release import current_versions
from pipelines.release_state import state_path
from pipelines.spec import PipelineSpec


def embedded_spec(whole: PipelineDefinition, repository: Path) -> tuple[PipelineSpec, str]:
    """The facts as the embedded Triton serves them, and why under this profile.

    That is the profile which says `embedded` in the YAML, where its release stands for the same
    checkpoints as the default's; else the default. So nobody who exported trained weights, or
    promoted a release, under the default is served something else.

    Args:
        whole: the pipeline.
        repository: Triton's model repository.
    """
    default = whole.resolve(DEFAULT_PROFILE)
    if whole.embedded == DEFAULT_PROFILE:
        return default, "its YAML names no other"
    chosen = whole.resolve(whole.embedded)
    versions = current_versions(whole.name, chosen.profile, repository)
    export = f"python -m export {whole.name} --profile {chosen.profile}"
    if not versions:
        return default, f"there is no release of {chosen.profile}, which is faster: {export}"
    if _promoted(default, repository) and not _promoted(chosen, repository):
        return default, f"releases of it were promoted, and none of {chosen.profile}"
    usual = current_versions(whole.name, DEFAULT_PROFILE, repository)
    found = _checkpoints(chosen, versions, repository)
    if usual and (None in found.values() or found != _checkpoints(default, usual, repository)):
        return default, f"{chosen.profile}, which is faster, has other checkpoints: {export}"
    gain = whole.profiles[chosen.profile].embedded
    return chosen, f"{gain}; PROFILE={DEFAULT_PROFILE} serves each model by itself"


def _promoted(spec: PipelineSpec, repository: Path) -> bool:
    return state_path(spec.name, spec.profile, repository).exists()


def _checkpoints(
    spec: PipelineSpec, versions: dict[str, int], repository: Path
) -> dict[str, str | None]:
    """SHA-256 of the checkpoint of each member that answers, by its origin; None: unknown."""
    found: dict[str, str | None] = {}
    for member in spec.answering_members:
        folder = repository / protocol.member_model(spec.name, member) / str(versions.get(member))
        try:
            found[spec.origin(member)] = Manifest.read(folder).checkpoint_sha256
        except (ManifestError, OSError):
            found[spec.origin(member)] = None
    return found
