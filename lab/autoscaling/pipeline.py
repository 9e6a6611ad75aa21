"""The simulated pipeline: real configs and steps, with a member that waits instead of computing."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from export import releases
from export.repository import ModelRepository
from export.triton_config import as_text
from lab.errors import LabError
from lab.service.scratch import Scratch
from pipelines import protocol
from pipelines.load import load_spec
from pipelines.manifest import CLASS_MAP_FILENAME, FILENAME, Manifest, sha256_of
from pipelines.spec import PipelineSpec

PIPELINE = "snake_species"
MEMBER = "fp32"
BATCH = 16
"""Images that the member takes at a time."""
_MODEL = Path(__file__).parent / "delay" / "model.py"
_SIDE = 32
"""Of the decoded image, in pixels: decoding must not be what takes time."""


def make(place: Scratch, delay_ms: int) -> None:
    """Writes YAML, configs and the one member into an empty scratch folder.

    Args:
        place: the folder.
        delay_ms: what each batch takes.

    Raises:
        LabError: the repository of this version has no such pipeline.
    """
    place.facts(PIPELINE, _small)
    place.configs(PIPELINE)
    spec = load_spec(PIPELINE, place.specs)
    folder = place.repository / protocol.member_model(PIPELINE, MEMBER)
    _let_it_wait(folder / "config.pbtxt", delay_ms)
    _write_version(spec, folder / "1")
    _release(spec, ModelRepository(place.repository), folder / "1")


def _small(facts: dict[str, Any]) -> None:
    if MEMBER not in facts["members"]:
        raise LabError(f"{PIPELINE}.yaml has no member {MEMBER}: name another one here")
    facts.pop("profiles", None)
    facts["members"] = {MEMBER: facts["members"][MEMBER]}
    facts.pop("typicality", None)
    facts["preprocessing"] |= {"height": _SIDE, "width": _SIDE}
    # What gathers images for the next batch has to gather all of them.
    facts["serving"] |= {"max_batch": BATCH, "decision": {"instances": 1}}


def _let_it_wait(path: Path, delay_ms: int) -> None:
    config = pb.ModelConfig()
    text_format.Parse(path.read_text("utf-8"), config)
    config.backend = "python"
    config.default_model_filename = _MODEL.name
    config.parameters["delay_ms"].string_value = str(delay_ms)
    path.write_text(as_text(config, f"specs/{PIPELINE}.yaml"), "utf-8")


def _release(spec: PipelineSpec, repository: ModelRepository, folder: Path) -> None:
    """Puts the module that waits beside the artefact, and names it in the release."""
    release = releases.compose(spec, repository)
    if release is None:
        raise LabError(f"{folder}: has no version")
    shutil.copy(_MODEL, folder)
    member = release.members[MEMBER]
    files = member.files | {_MODEL.name: sha256_of(_MODEL)}
    members = {MEMBER: member.model_copy(update={"files": files})}
    releases.write(release.model_copy(update={"members": members}), repository)


def _write_version(spec: PipelineSpec, folder: Path) -> None:
    """The launcher serves nothing without a manifest; the artefact of this one says what it is."""
    folder.mkdir(parents=True)
    artefact = folder / spec.members[MEMBER].format.filename
    artefact.write_text("No network: the member of a simulation waits (model.py).\n", "utf-8")
    class_map = folder / CLASS_MAP_FILENAME
    class_map.write_text(json.dumps(spec.class_map()), "utf-8")
    manifest = Manifest(
        pipeline=spec.name,
        member=MEMBER,
        version=1,
        artefact=artefact.name,
        artefact_sha256=sha256_of(artefact),
        class_map_sha256=sha256_of(class_map),
        checkpoint_sha256="0" * 64,
        member_hash=spec.member_hash(MEMBER),
        weights="demo",
        parity_error=0.0,
        opset=None,
        libraries={},
        created=datetime.now(UTC),
    )
    (folder / FILENAME).write_text(manifest.model_dump_json(), "utf-8")
