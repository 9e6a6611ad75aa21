"""Files of a pipeline as the export writes them, with words for weights."""

import json
from datetime import UTC, datetime
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from export import releases
from export.repository import ModelRepository
from pipelines import protocol
from pipelines.manifest import Manifest, sha256_of
from pipelines.release import Release
from pipelines.release_files import ReleaseFiles
from pipelines.spec import PipelineSpec
from server.releases.verification import verify_release
from server.releases.verified import VerifiedRelease


def write_version(
    repository: Path, spec: PipelineSpec, of: str, version: int = 1, **changes
) -> Path:
    """A version of a member; `changes` are other facts in its manifest."""
    folder = repository / protocol.member_model(spec.name, of) / str(version)
    folder.mkdir(parents=True)
    artefact = folder / spec.members[of].format.filename
    artefact.write_bytes(f"weights of {of}".encode())
    class_map = folder / "class_map.json"
    class_map.write_text(json.dumps(changes.pop("class_map", spec.class_map())))
    facts = {
        "pipeline": spec.name,
        "member": of,
        "version": version,
        "artefact": artefact.name,
        "artefact_sha256": sha256_of(artefact),
        "class_map_sha256": sha256_of(class_map),
        "checkpoint_sha256": "0" * 64,
        "member_hash": spec.member_hash(of),
        "weights": "demo",
        "parity_error": 0.0,
        "opset": None,
        "libraries": {},
        "created": datetime.now(UTC),
    } | changes
    (folder / "manifest.json").write_text(Manifest(**facts).model_dump_json())
    return folder


def write_release(repository: Path, spec: PipelineSpec) -> Release:
    """The release of what is there now, which is to serve."""
    release = releases.compose(spec, ModelRepository(repository))
    assert release is not None, "a member has no version"
    releases.write(release, ModelRepository(repository))
    return release


def verify(repository: Path, spec: PipelineSpec) -> VerifiedRelease:
    """What the launcher finds when it starts."""
    return verify_release(spec, repository, ReleaseFiles(repository))


def write_config(repository: Path, spec: PipelineSpec, model: str, place="config.pbtxt") -> None:
    """A config with a model's name and, of the ensemble and its steps, with its facts."""
    config = pb.ModelConfig(name=model, max_batch_size=spec.serving.max_batch)
    if model in {spec.name, protocol.decode_model(spec.name), protocol.decision_model(spec.name)}:
        config.parameters["pipeline"].string_value = spec.model_dump_json()
        (repository / model / "1").mkdir(parents=True, exist_ok=True)
    path = repository / model / place
    path.parent.mkdir(parents=True, exist_ok=True)
    # A byte more, as generated files have: two models' configs are never equal.
    path.write_text(f"# {model}\n" + text_format.MessageToString(config))
