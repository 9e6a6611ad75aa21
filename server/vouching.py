"""Checks all files of a pipeline before anything of it is served."""

import json
from contextlib import suppress
from pathlib import Path

from google.protobuf import text_format
from pydantic import ValidationError
from tritonclient.grpc import model_config_pb2 as pb

from pipelines import protocol
from pipelines.manifest import CLASS_MAP_FILENAME, Manifest, ManifestError
from pipelines.profile import DEFAULT_PROFILE
from pipelines.spec import PipelineSpec
from server import decoding_gate
from server.errors import RefusedPipelineError
from server.release import Release

_CONFIG = "config.pbtxt"
_CONFIGS = "configs"
"""Folder of a model's configs under profiles that differ from the first that serves it."""


def vouch(spec: PipelineSpec, repository: Path) -> Release:
    """Checks all files of a pipeline; of each member the newest version, never an older one.

    Args:
        spec: as a profile serves it; members of other profiles need no files.
        repository: Triton's.

    Raises:
        RefusedPipelineError: a file is missing, corrupt, or made from other facts, or members
            come from different trainings, or `fast` has not passed its gate.
    """
    manifests = {member: _manifest(spec, member, repository) for member in spec.members}
    _require_one_training(spec, manifests, repository)
    decoding_gate.require(spec, manifests, repository)
    return Release(
        spec=spec,
        repository=repository,
        manifests=manifests,
        configs=_configs(spec, repository),
    )


def _require_one_training(
    spec: PipelineSpec, manifests: dict[str, Manifest], repository: Path
) -> None:
    """Refuses forms of one checkpoint that are of two, or of one that was replaced since."""
    for member, manifest in manifests.items():
        for other, theirs in _same_origin(spec, member, manifests, repository).items():
            if theirs.checkpoint_sha256 == manifest.checkpoint_sha256:
                continue
            if other in manifests or theirs.created > manifest.created:
                raise _refused(
                    spec,
                    f"{member} v{manifest.version} and {other} v{theirs.version} come from "
                    "different checkpoints: export again what is older (python -m export "
                    f"{spec.name} --profile {spec.profile} "
                    f"--checkpoint {spec.origin(member)}=FILE)",
                )


def _same_origin(
    spec: PipelineSpec, member: str, manifests: dict[str, Manifest], repository: Path
) -> dict[str, Manifest]:
    """Manifests of the other served members of a member's checkpoint, and of the one it is of."""
    origin = spec.origin(member)
    others = {
        name: manifest
        for name, manifest in manifests.items()
        if name != member and spec.origin(name) == origin
    }
    if origin not in manifests and (newest := _newest(spec, origin, repository)):
        # What is not served needs no valid files, and then says nothing.
        with suppress(ManifestError):
            others[origin] = Manifest.read(newest)
    return others


def _newest(spec: PipelineSpec, member: str, repository: Path) -> Path | None:
    """The folder of a member's newest version."""
    model = repository / protocol.member_model(spec.name, member)
    versions = [path for path in model.glob("[0-9]*") if path.name.isdecimal()]
    return max(versions, key=lambda path: int(path.name), default=None)


def _manifest(spec: PipelineSpec, member: str, repository: Path) -> Manifest:
    folder = _newest(spec, member, repository)
    if folder is None:
        default = spec.profile == DEFAULT_PROFILE
        profile = "" if default else f" --profile {spec.profile}"
        raise _refused(
            spec,
            f"{repository / protocol.member_model(spec.name, member)}: no weights: run "
            f"`make demo{'' if default else f' PROFILE={spec.profile}'}` "
            f"(python -m export {spec.name} --demo{profile}), or `python -m export {spec.name}"
            f"{profile} --checkpoint {spec.origin(member)}=FILE ...`",
        )
    try:
        manifest = Manifest.read(folder)
        manifest.verify(folder)
        class_map = json.loads((folder / CLASS_MAP_FILENAME).read_bytes())
    except (ManifestError, OSError, ValueError) as error:
        raise _refused(spec, str(error)) from None
    found_and_expected = {
        "pipeline": (manifest.pipeline, spec.name),
        "member": (manifest.member, member),
        "version": (manifest.version, int(folder.name)),
        "artefact": (manifest.artefact, spec.members[member].format.filename),
        "classes": (class_map, spec.class_map()),
    }
    for what, (found, expected) in found_and_expected.items():
        if found != expected:
            raise _refused(
                spec, f"{folder}: made for {what} {found}, not {expected}: export the model again"
            )
    if manifest.member_hash != spec.member_hash(member):
        raise _refused(
            spec,
            f"{folder}: made from another architecture, class order or preprocessing than "
            f"{spec.name}.yaml now says: export the model again",
        )
    return manifest


def _configs(spec: PipelineSpec, repository: Path) -> dict[str, pb.ModelConfig]:
    paths = {model: _config_path(repository / model, spec.profile) for model in spec.models}
    configs = {model: _config(spec, model, path) for model, path in paths.items()}
    travelling = configs[spec.name].parameters[protocol.PIPELINE_PARAMETER].string_value
    try:
        same = PipelineSpec.model_validate_json(travelling) == spec
    except ValidationError:
        same = False
    if not same:
        raise _refused(
            spec,
            f"{paths[spec.name]}: generated from other facts than "
            f"{spec.name}.yaml now says: run `make configs`",
        )
    return configs


def _config_path(model: Path, profile: str) -> Path:
    """The config of a profile where it has its own, by Triton's rule for `--model-config-name`."""
    path = model / _CONFIGS / f"{profile}.pbtxt"
    return path if path.is_file() else model / _CONFIG


def _config(spec: PipelineSpec, model: str, path: Path) -> pb.ModelConfig:
    config = pb.ModelConfig()
    try:
        text_format.Parse(path.read_text("utf-8"), config)
    except FileNotFoundError:
        raise _refused(spec, f"{path}: missing: run `make configs`") from None
    except (OSError, ValueError, text_format.ParseError) as error:
        raise _refused(spec, f"{path}: {error}: run `make configs`") from None
    if config.name != model:
        raise _refused(spec, f"{path}: is named {config.name!r}: run `make configs`")
    return config


def _refused(spec: PipelineSpec, problem: str) -> RefusedPipelineError:
    return RefusedPipelineError(f"{spec.name}: {problem}")
