"""Tables of what was exported, for a person."""

from rich.table import Table

from export.versions import Exported
from pipelines.manifest import Manifest

_COLUMNS = (
    "member",
    "version",
    "artefact",
    "MB",
    "CPU ms",
    "parity",
    "agreement",
    "accuracy",
    "weights",
    "sha256",
)


def of_exported(exported: list[Exported]) -> Table:
    """Size, CPU time and proof of each published version.

    `parity`: from the checkpoint in torch, of logits or scores, and of a detector's boxes in
    pixels. `agreement` and `accuracy`: of a quantised member, with its FP32 original.
    """
    table = Table(*_COLUMNS)
    for item in exported:
        manifest = item.manifest
        table.add_row(
            item.member,
            str(manifest.version),
            manifest.artefact,
            f"{(manifest.bytes or 0) / 1e6:.1f}",
            f"{manifest.cpu_ms:.1f}",
            *_proof(manifest),
            manifest.weights,
            manifest.artefact_sha256[:12],
        )
    return table


def _proof(manifest: Manifest) -> tuple[str, str, str]:
    gate = manifest.gate
    if gate is not None:
        accuracy = f"{gate.accuracy:.1%} (FP32 {gate.accuracy_fp32:.1%}, n = {gate.images})"
        return "", f"{gate.agreement:.1%}", accuracy
    boxes = "" if manifest.parity_boxes is None else f", boxes {manifest.parity_boxes:.1e} px"
    return f"{manifest.parity_error:.1e}{boxes}", "", ""
