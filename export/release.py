"""Exports checkpoints into a model repository: convert, gate, then publish."""

import dataclasses
import importlib.metadata
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export import architectures, checkpoint, formats, parity
from export.errors import ParityError, UnknownMemberError
from export.graph import ServedMember
from export.repository import ModelRepository
from pipelines import wire
from pipelines.manifest import CLASS_MAP_FILENAME, FILENAME, Manifest, sha256_of
from pipelines.spec import PipelineSpec

_LIBRARIES = ("torch", "timm", "onnx", "onnxscript", "onnxruntime-gpu", "safetensors")


@dataclasses.dataclass(frozen=True)
class Exported:
    """One published version of a member."""

    member: str
    folder: Path
    bytes: int
    manifest: Manifest


def export(
    spec: PipelineSpec,
    checkpoints: dict[str, Path],
    repository: ModelRepository,
    *,
    version: int | None = None,
    photos: Path | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> list[Exported]:
    """Publishes one version of each member that a checkpoint is given for.

    Nothing is published before all members are converted and have passed the parity gate.

    Raises:
        ExportError: one of its kinds (export/errors.py).
    """
    if unknown := checkpoints.keys() - spec.members.keys():
        raise UnknownMemberError(
            f"{spec.name} has no member {unknown.pop()!r}; its members are: "
            + ", ".join(spec.members)
        )
    models = {name: wire.member_model(spec.name, name) for name in checkpoints}
    number = version or repository.next_version(list(models.values()))
    for model in models.values():
        repository.require_free(model, number)
    shape = spec.preprocessing
    compared = parity.photos(photos, shape.height, shape.width)
    with repository.staging() as staging:
        manifests = {
            name: _convert(
                spec,
                name,
                path,
                version=number,
                folder=staging / name,
                photos=compared,
                on_step=on_step,
            )
            for name, path in checkpoints.items()
        }
        return [
            Exported(
                member=name,
                bytes=(staging / name / manifest.artefact).stat().st_size,
                folder=repository.publish(staging / name, models[name], number),
                manifest=manifest,
            )
            for name, manifest in manifests.items()
        ]


def _convert(
    spec: PipelineSpec,
    name: str,
    path: Path,
    *,
    version: int,
    folder: Path,
    photos: NDArray[np.uint8],
    on_step: Callable[[str], None],
) -> Manifest:
    """Writes one member's artefact, class map and manifest into a staging folder."""
    member = spec.members[name]
    shape = spec.preprocessing
    on_step(f"{name}: reading {path.name}")
    source = checkpoint.read(path)
    model = architectures.build(member.architecture, len(spec.classes))
    source.load_into(model, spec.classes)
    served = ServedMember(model, shape).eval()

    on_step(f"{name}: writing {member.architecture} as {member.format}")
    folder.mkdir()
    artefact = folder / member.format.filename
    opset = formats.write(served, shape.height, shape.width, member.format, artefact)

    on_step(f"{name}: comparing with the checkpoint")
    error = parity.measure(served, formats.open_artefact(artefact, member.format), photos)
    if error > spec.parity.tolerance:
        raise ParityError(
            f"{name}: the {member.format} artefact's logits differ from the checkpoint's by "
            f"{error:.2e}, more than parity.tolerance {spec.parity.tolerance:.0e}: "
            "nothing was written. Try the other format, or find the operation that differs"
        )

    class_map = folder / CLASS_MAP_FILENAME
    class_map.write_text(json.dumps(spec.class_map(), indent=2) + "\n", "utf-8")
    manifest = Manifest(
        pipeline=spec.name,
        member=name,
        version=version,
        artefact=artefact.name,
        artefact_sha256=sha256_of(artefact),
        class_map_sha256=sha256_of(class_map),
        checkpoint_sha256=source.sha256,
        member_hash=spec.member_hash(name),
        weights=source.weights,
        parity_error=error,
        opset=opset,
        libraries={library: importlib.metadata.version(library) for library in _LIBRARIES},
        created=datetime.now(UTC),
    )
    (folder / FILENAME).write_text(manifest.model_dump_json(indent=2) + "\n", "utf-8")
    return manifest
