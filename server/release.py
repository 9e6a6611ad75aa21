"""What one pipeline serves: its spec, the artefacts vouched for, and the configs to load."""

import json
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format
from pydantic import ValidationError
from tritonclient.grpc import model_config_pb2 as pb

from pipelines import wire
from pipelines.manifest import CLASS_MAP_FILENAME, Manifest, ManifestError
from pipelines.spec import PipelineSpec
from pipelines.wire import Delta
from server.delta import with_delta
from server.errors import RefusedPipelineError

CONFIG_FILENAME = "config.pbtxt"


@dataclass(frozen=True)
class Release:
    """A pipeline whose files were all found good; the versions stay as they were found then."""

    spec: PipelineSpec
    repository: Path
    manifests: dict[str, Manifest]
    """By member, in the spec's order."""
    configs: dict[str, pb.ModelConfig]
    """Committed configs by model, in the order of loading: the ensemble last."""

    @property
    def identity(self) -> str:
        """The release id that every answer carries."""
        return self.spec.release_id(
            {member: manifest.artefact_sha256 for member, manifest in self.manifests.items()}
        )

    @property
    def demo(self) -> bool:
        """Whether any member has demo weights."""
        return any(manifest.weights == "demo" for manifest in self.manifests.values())

    def loadable(self, model: str, generation: int) -> pb.ModelConfig:
        """The full config to load a model with: the committed one and the launcher's delta."""
        spec = self.spec
        parameters = {Delta.GENERATION: str(generation)}
        version = None
        for member, manifest in self.manifests.items():
            if model == wire.member_model(spec.name, member):
                parameters[Delta.SHA256] = manifest.artefact_sha256
                version = manifest.version
        if model == wire.decision_model(spec.name):
            parameters[Delta.RELEASE] = self.identity
        if model == spec.name:
            artefacts = {
                member: {
                    "version": str(manifest.version),
                    "sha256": manifest.artefact_sha256,
                    "weights": manifest.weights,
                }
                for member, manifest in self.manifests.items()
            }
            parameters[Delta.ARTEFACTS] = json.dumps(artefacts)
        return with_delta(self.configs[model], parameters, version)

    def verify(self) -> None:
        """Checks the artefacts again, before they are loaded again.

        Raises:
            RefusedPipelineError: a file changed or went away since.
        """
        for member, manifest in self.manifests.items():
            folder = self.repository / wire.member_model(self.spec.name, member)
            try:
                manifest.verify(folder / str(manifest.version))
            except (ManifestError, OSError) as error:
                raise _refused(self.spec, str(error)) from None


def vouch(spec: PipelineSpec, repository: Path) -> Release:
    """Checks all files of a pipeline; of each member the newest version, never an older one.

    Raises:
        RefusedPipelineError: a file is missing, corrupt, or made from other facts.
    """
    return Release(
        spec=spec,
        repository=repository,
        manifests={member: _manifest(spec, member, repository) for member in spec.members},
        configs=_configs(spec, repository),
    )


def _manifest(spec: PipelineSpec, member: str, repository: Path) -> Manifest:
    model = repository / wire.member_model(spec.name, member)
    versions = [int(path.name) for path in model.glob("[0-9]*") if path.name.isdecimal()]
    if not versions:
        raise _refused(
            spec,
            f"{model}: no weights: run `make demo` (python -m export --demo), or "
            f"`python -m export {spec.name} --checkpoint {member}=FILE ...`",
        )
    folder = model / str(max(versions))
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
    members = [wire.member_model(spec.name, member) for member in spec.members]
    models = [wire.decode_model(spec.name), *members, wire.decision_model(spec.name), spec.name]
    configs = {model: _config(spec, repository / model / CONFIG_FILENAME) for model in models}
    travelling = configs[spec.name].parameters[wire.PIPELINE_PARAMETER].string_value
    try:
        same = PipelineSpec.model_validate_json(travelling) == spec
    except ValidationError:
        same = False
    if not same:
        raise _refused(
            spec,
            f"{repository / spec.name / CONFIG_FILENAME}: generated from other facts than "
            f"{spec.name}.yaml now says: run `make configs`",
        )
    return configs


def _config(spec: PipelineSpec, path: Path) -> pb.ModelConfig:
    config = pb.ModelConfig()
    try:
        text_format.Parse(path.read_text("utf-8"), config)
    except FileNotFoundError:
        raise _refused(spec, f"{path}: missing: run `make configs`") from None
    except (OSError, ValueError, text_format.ParseError) as error:
        raise _refused(spec, f"{path}: {error}: run `make configs`") from None
    if config.name != path.parent.name:
        raise _refused(spec, f"{path}: is named {config.name!r}: run `make configs`")
    return config


def _refused(spec: PipelineSpec, problem: str) -> RefusedPipelineError:
    return RefusedPipelineError(f"{spec.name}: {problem}")
