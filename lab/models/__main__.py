"""`python -m lab.models`: measures all served artefacts and writes docs/models.md."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import onnxruntime
import torch
import typer
from rich.console import Console
from rich.markdown import Markdown

from export import parity, timing
from export.progress import shown_on
from export.repository import ModelRepository
from lab.models import held_out
from lab.paths import ROOT
from pipelines import atomic_write, protocol
from pipelines.calibration import CalibrationFigures
from pipelines.enums import Method
from pipelines.load import FOLDER, available, load_definition
from pipelines.manifest import Manifest
from pipelines.spec import PipelineSpec

COMMAND = "python -m lab.models"
_CPUINFO = Path("/proc/cpuinfo")
_NONE = ""
screen = Console(stderr=True)

_TEXT = """\
# Models: size, speed, accuracy

<!-- Written by `{command}`: run that again instead of editing. -->

`make models-report` measures every artefact of `model_repository/` and writes this page.

{table}

- **MB**: 10^6 bytes of the artefact. **CPU ms**: median CPU time of one image at a time with one \
thread, from pixels to the model's numbers; without decoding. The members of a pipeline were \
measured in turns on the same image, so they compare with each other; between pipelines and \
machines the times do not.
- **accuracy**: of one member alone by the pipeline's own rule, on {images} drawings that \
neither training, calibration nor the INT8 gate saw. **mAP@0.5** and **mask IoU**: on {scenes} \
drawings; the IoU is the mean over detections from the default threshold on that meet an object.
- **calibration error**: expected calibration error of one member's confidence on labelled \
drawings that its temperature was not fitted to, before and after calibration, with 95 % \
intervals, as the export measured it ([demo.md](demo.md) has those of the answers).
- Members in FP16 are for GPUs, and are not measured here.
- Weights that the demo makes mean nothing clinically: their accuracy says only that the same \
network works in this format.

Measured with ONNX Runtime {runtime} and torch {torch} on {machine}, which other work may have \
shared.
"""

_HEAD = (
    "pipeline",
    "member",
    "architecture",
    "format",
    "MB FP32",
    "MB INT8",
    "CPU ms FP32",
    "CPU ms INT8",
    "on the demo set, FP32",
    "INT8",
    "calibration error, FP32",
    "INT8",
)


@dataclass(frozen=True)
class _Figures:
    """Of one artefact, as text."""

    megabytes: str = _NONE
    cpu_ms: str = _NONE
    quality: str = _NONE
    calibration: str = _NONE


def main(
    output: Annotated[Path, typer.Option(help="The file to write.")] = ROOT / "docs" / "models.md",
    repository: Annotated[Path, typer.Option(help="The model repository.")] = ROOT
    / "model_repository",
    specs: Annotated[Path, typer.Option(help="Folder of the pipelines' YAML files.")] = FOLDER,
) -> None:
    """Measures the newest artefact of each member, on drawings made for this, and writes a page.

    Takes a minute or more for each pipeline.
    """
    rows, names = [], available(specs)
    with shown_on(screen) as on_progress:
        for done, name in enumerate(names):
            on_progress(f"measuring {name}", done, len(names))
            spec = load_definition(name, specs)
            rows += _rows(spec, _measure(spec, ModelRepository(repository)))
    lines = [_HEAD, ("---",) * len(_HEAD), *rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    atomic_write.write_text(
        output,
        _TEXT.format(
            command=COMMAND,
            table=table,
            images=held_out.IMAGES,
            scenes=held_out.SCENES,
            runtime=onnxruntime.__version__,
            torch=torch.__version__,
            machine=_machine(),
        ),
    )
    screen.print(Markdown(table))
    screen.print(f"wrote {output}", highlight=False, soft_wrap=True)


def _measure(spec: PipelineSpec, repository: ModelRepository) -> dict[str, _Figures]:
    """Figures of the members that have an artefact."""
    manifests, artefacts = {}, {}
    for name, member in spec.members.items():
        model = protocol.member_model(spec.name, name)
        if versions := repository.versions(model):
            folder = repository.root / model / str(versions[-1])
            manifests[name] = Manifest.read(folder)
            manifests[name].verify(folder)
            artefacts[name] = folder / manifests[name].artefact, member.format
    if not artefacts:
        return {}
    demo = [name for name in artefacts if manifests[name].weights == "demo"]
    quality = held_out.quality(spec, {name: artefacts[name] for name in demo})
    image = parity.photos_to_compare(None, spec)[0]
    times = timing.cpu_ms(artefacts, image, batched=spec.preprocessing.size is not None)
    return {
        name: _Figures(
            megabytes=f"{path.stat().st_size / 1e6:.1f}",
            cpu_ms=f"{times[name]:.1f}",
            quality=quality.get(name, "not demo weights"),
            calibration=_calibration(manifests[name].calibration),
        )
        for name, (path, _) in artefacts.items()
    }


def _calibration(figures: CalibrationFigures | None) -> str:
    if figures is None:
        return _NONE
    before, after = (
        f"{each.value:.3f} ({each.low:.3f} to {each.high:.3f})"
        for each in (figures.error_before, figures.error_after)
    )
    return f"{before}, then {after}"


def _rows(spec: PipelineSpec, figures: dict[str, _Figures]) -> list[tuple[str, ...]]:
    """A row for each FP32 member, its INT8 one beside it."""
    quantised = {
        member.quantisation.of: name
        for name, member in spec.members.items()
        if member.quantisation is not None and member.quantisation.method is not Method.FP16
    }
    rows: list[tuple[str, ...]] = []
    for name, member in spec.members.items():
        if member.quantisation is not None:
            continue
        int8_name = quantised.get(name, _NONE)
        int8 = figures.get(int8_name, _Figures())
        fp32 = figures.get(name, _Figures(quality="not exported"))
        rows.append(
            (
                f"`{spec.name}`",
                " / ".join(f"`{each}`" for each in (name, int8_name) if each),
                member.architecture,
                member.format.value,
                fp32.megabytes,
                int8.megabytes,
                fp32.cpu_ms,
                int8.cpu_ms,
                fp32.quality,
                int8.quality,
                fp32.calibration,
                int8.calibration,
            )
        )
    return rows


def _machine() -> str:
    names = [
        line.partition(":")[2].strip()
        for line in (_CPUINFO.read_text("utf-8").splitlines() if _CPUINFO.is_file() else [])
        if line.startswith("model name")
    ]
    model = names[0] if names else platform.machine()
    return f"{os.cpu_count()} cores of {model}, {platform.system()} {platform.machine()}"


if __name__ == "__main__":
    typer.run(main)
