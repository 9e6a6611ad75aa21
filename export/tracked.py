"""What a tracking server is told of an export: releases, manifests' figures, ONNX artefacts."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.definition import PipelineDefinition
from pipelines.enums import Format
from pipelines.release import Release, release_path
from tracking.server import TrackedRun, figures

if TYPE_CHECKING:
    from export.versions import Exported


def tracked_run(
    whole: PipelineDefinition,
    profile: str,
    exported: "Sequence[Exported]",
    made: Sequence[Release],
    repository: Path,
) -> TrackedRun:
    """The run of one export; no name of a photo, checkpoint file or folder is in it.

    Args:
        whole: The pipeline.
        profile: Whose members were exported.
        exported: What was published.
        made: The releases that were made of it.
        repository: The model repository.
    """
    spec = whole.resolve_or_default(profile)
    parameters = {
        "profile": profile,
        "task": str(spec.task),
        "classes": ", ".join(spec.classes),
        "releases": ", ".join(release.identity for release in made) or "none",
    }
    if spec.threshold is not None:
        parameters["threshold"] = str(spec.threshold.default)
    metrics: dict[str, float] = {}
    files: dict[str, Path] = {}
    for each in exported:
        member, manifest = each.member, each.manifest
        parameters |= {
            f"{member}.version": str(manifest.version),
            f"{member}.weights": manifest.weights,
            f"{member}.artefact": manifest.artefact,
            f"{member}.artefact_sha256": manifest.artefact_sha256,
            f"{member}.checkpoint_sha256": manifest.checkpoint_sha256,
            f"{member}.opset": str(manifest.opset),
            f"{member}.class_order": str(manifest.order_known_from),
        }
        parameters |= {f"library.{name}": text for name, text in manifest.libraries.items()}
        document = manifest.model_dump(
            include={"parity_error", "parity_boxes", "parity_features", "bytes", "cpu_ms"}
        )
        for name in ("gate", "calibration"):
            if (part := getattr(manifest, name)) is not None:
                document[name] = part.model_dump()
        metrics |= figures(member, document)
        # A TorchScript artefact runs what is in it where it is loaded; the release names its
        # SHA-256.
        if manifest.artefact == Format.ONNX.filename:
            files[f"members/{member}/{manifest.artefact}"] = each.folder / manifest.artefact
    for release in made:
        path = release_path(whole.name, release.identity, repository)
        files[f"releases/{path.name}"] = path
    return TrackedRun(
        pipeline=whole.name,
        name=f"export {parameters['releases']}",
        parameters=parameters,
        metrics=metrics,
        tags={"second_opinion.kind": "export", "second_opinion.pipeline": whole.name},
        files=files,
    )
