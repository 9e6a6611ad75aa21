"""Makes versions of members from checkpoints: convert, quantise, gate, then publish."""

import importlib.metadata
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from export import class_order, conversion, formats, gate, parity, timing
from export.calibration import Calibrations
from export.calibration_labels import LabelledHalf
from export.conversion import Converted, OnStep
from export.labelled_photos import Evidence, EvidenceError, require_evidence
from export.native_fit import require_native_fit
from export.plan import plan
from export.quantisation import quantise
from export.read_options import AS_THE_FILE_SAYS, ReadOptions
from export.repository import ModelRepository
from pipelines import calibration, protocol
from pipelines.enums import Format, Method
from pipelines.manifest import CLASS_MAP_FILENAME, FILENAME, GateFigures, Manifest, sha256_of
from pipelines.spec import PipelineSpec

_LIBRARIES = (
    "torch",
    "torchvision",
    "timm",
    "transformers",
    "onnx",
    "onnxscript",
    "onnxruntime-gpu",
    "safetensors",
)


@dataclass(frozen=True)
class Exported:
    """One published version of a member."""

    member: str
    folder: Path
    manifest: Manifest


@dataclass(frozen=True)
class _Made:
    """A member's artefact in staging, and what was found out about it."""

    converted: Converted
    gate: GateFigures | None = None


def export(
    spec: PipelineSpec,
    checkpoints: dict[str, Path],
    repository: ModelRepository,
    *,
    members: Iterable[str] | None = None,
    version: int | None = None,
    photos: Path | None = None,
    evidence: Evidence | None = None,
    calibrations: Calibrations | None = None,
    options: ReadOptions = AS_THE_FILE_SAYS,
    on_step: OnStep = lambda _: None,
) -> list[Exported]:
    """Publishes one version of each member that the checkpoints make.

    Nothing is published before all are made and have passed their gates.

    Args:
        spec: facts that have the members, and the originals of those in INT8.
        checkpoints: file or folder by the member that it is given for.
        repository: where to publish.
        members: those to publish, of which the checkpoints make at least one; None: all.
        version: its number; the next free one if left out.
        photos: a folder of photos to compare artefact and checkpoint on; else drawings.
        evidence: what quantised members are made and judged with.
        calibrations: where the temperatures of classifiers come from; None: there are none.
        options: how the checkpoints are read.
        on_step: told what is being done.

    Raises:
        ExportError: one of its kinds (export/errors.py).
    """
    planned = plan(spec, checkpoints, members)
    if planned.quantised:
        require_evidence(spec, planned.quantised, evidence)
    models = {name: protocol.member_model(spec.name, name) for name in planned.published}
    number = version or repository.next_version(list(models.values()))
    for model in models.values():
        repository.require_free(model, number)
    compared = parity.photos_to_compare(photos, spec)
    with repository.staging() as staging:
        made: dict[str, _Made] = {}
        for name in [*planned.converted, *planned.quantised]:
            (staging / name).mkdir()
        for name, path in planned.converted.items():
            converted = conversion.convert(
                spec,
                name,
                path,
                folder=staging / name,
                compared=compared,
                options=options,
                on_step=on_step,
                calibrations=calibrations,
            )
            made[name] = _Made(converted)
            require_native_fit(spec, name, converted.artefact)
        for name in planned.quantised:
            made[name] = _quantised(
                spec,
                name,
                made,
                folder=staging / name,
                evidence=evidence,
                calibrations=calibrations,
                on_step=on_step,
            )
            require_native_fit(spec, name, made[name].converted.artefact)
        on_step(f"{spec.name}: measuring CPU time")
        cpu_ms = timing.cpu_ms(
            {
                name: (each.converted.artefact, spec.members[name].format)
                for name, each in made.items()
            },
            compared[0],
            batched=spec.preprocessing.size is not None,
        )
        manifests = {
            name: _write_manifest(spec, name, number, made[name], cpu_ms[name])
            for name in planned.published
        }
        return [
            Exported(name, repository.publish(staging / name, models[name], number), manifest)
            for name, manifest in manifests.items()
        ]


def _quantised(
    spec: PipelineSpec,
    name: str,
    made: dict[str, _Made],
    *,
    folder: Path,
    evidence: Evidence | None,
    calibrations: Calibrations | None,
    on_step: OnStep,
) -> _Made:
    quantisation = spec.members[name].quantisation
    if quantisation is None or evidence is None:
        raise EvidenceError(f"{name}: nothing to quantise it from")
    original = made[quantisation.of].converted
    on_step(f"{name}: quantising {quantisation.of}")
    artefact = folder / Format.ONNX.filename
    static = quantisation.method is Method.STATIC
    if not static:
        evidence = replace(evidence, calibration=evidence.calibration[:0])
    quantise(original.artefact, artefact, quantisation.method, evidence.calibration)

    on_step(f"{name}: judging it on {len(evidence.labels)} labelled images")
    figures, error = gate.measure(
        formats.open_artefact(original.artefact, Format.ONNX),
        formats.open_artefact(artefact, Format.ONNX),
        evidence,
        spec,
    )
    gate.require(figures, name, spec)
    if spec.members[name].features is not None:
        gate.require_features(formats.open_features(artefact, Format.ONNX), name, evidence)
    calibrated = None
    if calibrations is not None:
        run = formats.open_artefact(artefact, Format.ONNX)
        calibrated = calibrations.of_quantised(
            spec, name, original.calibration, run, LabelledHalf(evidence.pixels, evidence.labels)
        )
    made_of = replace(
        original, artefact=artefact, error=error, error_features=None, calibration=calibrated
    )
    return _Made(made_of, figures)


def _write_manifest(
    spec: PipelineSpec, name: str, version: int, made: _Made, cpu_ms: float
) -> Manifest:
    """Writes class map, calibration and manifest of a member beside its artefact."""
    converted = made.converted
    folder = converted.artefact.parent
    class_map = folder / CLASS_MAP_FILENAME
    class_map.write_text(json.dumps(spec.class_map(), indent=2) + "\n", "utf-8")
    calibrated = converted.calibration
    if calibrated is not None:
        (folder / calibration.FILENAME).write_text(calibrated.text, "utf-8")
    note = class_order.note(converted.order, spec, name)
    manifest = Manifest(
        pipeline=spec.name,
        member=name,
        version=version,
        artefact=converted.artefact.name,
        artefact_sha256=sha256_of(converted.artefact),
        class_map_sha256=sha256_of(class_map),
        checkpoint_sha256=converted.checkpoint_sha256,
        member_hash=spec.member_hash(name),
        weights=converted.weights,
        checkpoint_weights=converted.loaded.weights.value,
        checkpoint_key=converted.loaded.place,
        class_order=converted.order,
        notes=(*converted.loaded.notes, *([note] if note else [])),
        parity_error=converted.error,
        parity_boxes=converted.error_boxes,
        parity_features=converted.error_features,
        gate=made.gate,
        calibration=None if calibrated is None else calibrated.figures,
        calibration_sha256=(
            None if calibrated is None else sha256_of(folder / calibration.FILENAME)
        ),
        bytes=converted.artefact.stat().st_size,
        cpu_ms=cpu_ms,
        opset=converted.opset,
        libraries={library: importlib.metadata.version(library) for library in _LIBRARIES},
        created=datetime.now(UTC),
    )
    (folder / FILENAME).write_text(manifest.model_dump_json(indent=2) + "\n", "utf-8")
    return manifest
