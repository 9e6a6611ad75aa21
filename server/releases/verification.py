"""Verifies all files of a pipeline's current release before anything of it is served."""

from dataclasses import replace
from pathlib import Path

from google.protobuf import text_format
from pydantic import ValidationError
from tritonclient.grpc import model_config_pb2 as pb

from pipelines import protocol
from pipelines.enums import Decoding
from pipelines.fast_decoding import FastDecoding, facts_hash
from pipelines.profile import DEFAULT_PROFILE
from pipelines.release import NoReleaseError, Release, ReleaseError
from pipelines.release_files import ReleaseFiles, config_path, kept_configs
from pipelines.spec import PipelineSpec
from server.errors import RefusedPipelineError
from server.releases.verified import VerifiedRelease


def verify_release(spec: PipelineSpec, repository: Path, files: ReleaseFiles) -> VerifiedRelease:
    """Checks the current release of a profile; versions that it does not name are left alone.

    Args:
        spec: as the YAML says it for the profile.
        repository: Triton's.
        files: of the repository, with what was hashed before.

    Raises:
        RefusedPipelineError: there is no release, a file of it is missing, another one or one too
            many, the YAML now says other facts, or `fast` has not passed its gate.
    """
    try:
        release = Release.current(spec.name, spec.profile, repository)
        files.verify(release)
    except NoReleaseError as error:
        raise _refused(spec, _no_weights(spec, repository) or str(error)) from None
    except ReleaseError as error:
        raise _refused(spec, str(error)) from None
    if release.spec != spec:
        raise _refused(
            spec,
            f"release {release.identity} was made from other facts than {spec.name}.yaml now says: "
            + _remedy(spec, release.spec),
        )
    _require_gate(release, repository)
    configs = {model: _config(spec, model, repository) for model in spec.models}
    _require_steps(spec, configs, repository)
    return VerifiedRelease(release, configs, files)


def verify_kept(
    pipeline: str, identity: str, repository: Path, files: ReleaseFiles
) -> VerifiedRelease:
    """Checks a release by itself, whatever the YAML and the repository's configs say now.

    Its models have names of its own: it may be loaded beside others of the pipeline.

    Args:
        pipeline: its name.
        identity: the release's id.
        repository: Triton's.
        files: of the repository, with what was hashed before.

    Raises:
        RefusedPipelineError: a file of it, or the copy of its configs, is missing, another one or
            one too many, or `fast` has not passed its gate.
    """
    try:
        release = Release.read(pipeline, identity, repository)
        files.verify_members(release)
        texts = kept_configs(release, repository)
    except ReleaseError as error:
        raise RefusedPipelineError(f"{pipeline}: {error}") from None
    spec = release.spec
    _require_gate(release, repository)
    by_model = {Path(name).parts[0]: name for name in texts}
    if set(by_model) != set(spec.models):
        raise _refused(spec, f"release {identity} names configs of other models than it serves")
    configs = {
        model: _parsed(spec, model, texts[by_model[model]], repository / by_model[model])
        for model in spec.models
    }
    _require_steps(spec, configs, repository)
    found = VerifiedRelease(release, configs, files, staged=True)
    return replace(found, configs=_renamed(found))


def _renamed(found: VerifiedRelease) -> dict[str, pb.ModelConfig]:
    """The configs of a release by names of its own, its ensemble's steps likewise."""
    renamed = {}
    for model, config in found.configs.items():
        config.name = found.model(model)
        for step in config.ensemble_scheduling.step:
            step.model_name = found.model(step.model_name)
        renamed[config.name] = config
    return renamed


def _require_steps(
    spec: PipelineSpec, configs: dict[str, pb.ModelConfig], repository: Path
) -> None:
    steps = {spec.name, protocol.decode_model(spec.name), protocol.decision_model(spec.name)}
    for model in spec.models:
        if model in steps:
            _require_same_facts(spec, configs[model], repository)


def _no_weights(spec: PipelineSpec, repository: Path) -> str | None:
    """How to get weights, where a member has none."""
    for member in spec.members:
        model = repository / protocol.member_model(spec.name, member)
        if not any(model.glob("[0-9]*")):
            default = spec.profile == DEFAULT_PROFILE
            profile = "" if default else f" --profile {spec.profile}"
            return (
                f"{model}: no weights: run "
                f"`make demo{'' if default else f' PROFILE={spec.profile}'}` "
                f"(python -m demo {spec.name}{profile}), or `python -m export {spec.name}"
                f"{profile} --checkpoint {spec.origin(member)}=FILE ...`"
            )
    return None


def _remedy(spec: PipelineSpec, released: PipelineSpec) -> str:
    """The command that makes a release of the YAML's facts: an export only where it is needed."""
    for member in spec.members:
        if member not in released.members:
            continue
        if spec.member_hash(member) != released.member_hash(member):
            return f"export {member} again (python -m export {spec.name} --profile {spec.profile})"
    return "run `make configs`"


def _require_same_facts(spec: PipelineSpec, config: pb.ModelConfig, repository: Path) -> None:
    """Refuses a step that would serve other facts than the YAML says, and so than other steps."""
    text = config.parameters[protocol.PIPELINE_PARAMETER].string_value
    try:
        same = PipelineSpec.model_validate_json(text) == spec
    except ValidationError:
        same = False
    if not same:
        path = repository / config_path(repository, config.name, spec.profile)
        raise _refused(
            spec,
            f"{path}: generated from other facts than {spec.name}.yaml now says: run `make "
            "configs`",
        )


def _config(spec: PipelineSpec, model: str, repository: Path) -> pb.ModelConfig:
    path = repository / config_path(repository, model, spec.profile)
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise _refused(spec, f"{path}: {error}: run `make configs`") from None
    return _parsed(spec, model, text, path)


def _parsed(spec: PipelineSpec, model: str, text: str, path: Path) -> pb.ModelConfig:
    config = pb.ModelConfig()
    try:
        text_format.Parse(text, config)
    except (ValueError, text_format.ParseError) as error:
        raise _refused(spec, f"{path}: {error}: run `make configs`") from None
    if config.name != model:
        raise _refused(spec, f"{path}: is named {config.name!r}: run `make configs`")
    return config


def _require_gate(release: Release, repository: Path) -> None:
    """Refuses a profile that decodes by `fast` unless its gate was passed with what is served."""
    spec = release.spec
    if spec.preprocessing.decoding is not Decoding.FAST:
        return
    path = FastDecoding.path(spec, repository)
    try:
        record = FastDecoding.read(spec, repository)
    except FileNotFoundError:
        raise _gate_refused(spec, f"{path}: missing: its gate was never passed") from None
    except (OSError, ValueError):
        raise _gate_refused(spec, f"{path}: cannot be read") from None
    served = {member: release.artefact_sha256(member) for member in release.members}
    if record.artefacts != served or record.facts != facts_hash(spec):
        raise _gate_refused(spec, f"{path}: of other artefacts or facts than are served now")
    if not record.passed:
        lost = "; ".join(text for text, kept in record.verdicts().items() if not kept)
        raise _gate_refused(spec, f"{path}: not passed: {lost}")


def _gate_refused(spec: PipelineSpec, problem: str) -> RefusedPipelineError:
    return _refused(
        spec,
        f"profile {spec.profile} decodes by `fast`: {problem}: run python -m "
        f"export.fast_decoding {spec.name} --profile {spec.profile} --photos DIR, or serve "
        "another profile",
    )


def _refused(spec: PipelineSpec, problem: str) -> RefusedPipelineError:
    return RefusedPipelineError(f"{spec.name}: {problem}")
