"""`python -m lab.bench.fast_weights FOLDER`: makes demo weights that pass the gate of `fast`.

The demo's own miss the gate, as they are very certain of what they tell by the finest texture,
which scaled decoding touches. So their logits are divided by a temperature (Guo et al., "On
Calibration of Modern Neural Networks", 2017): each member decides as before, in the same time,
less certain.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from safetensors.torch import save_file
from torch import nn

from demo.expansion import exportable
from demo.photos import draw_photos
from export import architectures, checkpoint
from lab.bench.workload import PIPELINE, WORKLOADS
from lab.paths import CACHE, ROOT
from pipelines.definition import PipelineDefinition
from pipelines.enums import Decoding
from pipelines.fast_decoding import PHOTOS_AT_LEAST, FastDecoding
from pipelines.load import load_definition
from pipelines.spec import PipelineSpec

screen = Console(stderr=True)
_TEMPERATURE = 6.0
_CHECKPOINTS = CACHE / "checkpoints"
_PHOTOS = CACHE / "photos-gate"


def main(
    folder: Annotated[Path, typer.Argument(help="The model repository to make.")],
) -> None:
    """Exports demo weights that pass the gate of `fast`; where they are there, only configs.

    Takes some minutes. Exit code 1 where they do not pass.
    """
    profile = WORKLOADS["light"].profiles[Decoding.FAST]
    whole = load_definition(PIPELINE)
    spec = whole.resolve(profile)
    record = FastDecoding.path(spec, folder)
    if _passed(record):
        # The YAML may say other batches or processes since.
        raise typer.Exit(_run("export", "--configs", "--repository", str(folder.absolute())))
    if len(list(_PHOTOS.glob("*.jpg"))) < PHOTOS_AT_LEAST:
        screen.print(f"drawing {PHOTOS_AT_LEAST} photos for the gate (a minute or two)")
        part = _PHOTOS.with_name(f"{_PHOTOS.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        draw_photos(spec, part, PHOTOS_AT_LEAST)
        part.rename(_PHOTOS)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    place = ("--profile", profile, "--repository", str(folder.absolute()))
    files = [f"--checkpoint={name}={path}" for name, path in checkpoints(whole, spec).items()]
    if failed := _run("export", PIPELINE, *place, *files):
        raise typer.Exit(failed)
    # It ends with 1 where a bound is not kept.
    raise typer.Exit(_run("export.fast_decoding", PIPELINE, *place, "--photos", str(_PHOTOS)))


def checkpoints(whole: PipelineDefinition, spec: PipelineSpec) -> dict[str, Path]:
    """Demo checkpoints, less certain, by member.

    Args:
        whole: the facts of the pipeline.
        spec: under the profile that the weights are for.
    """
    _CHECKPOINTS.mkdir(parents=True, exist_ok=True)
    origins = dict.fromkeys(map(spec.origin, spec.members))
    files = exportable(whole, origins, _CHECKPOINTS)
    return {
        name: soften(whole, name, path, _CHECKPOINTS / f"{name}-softened.safetensors")
        for name, path in files.items()
    }


def soften(spec: PipelineSpec, name: str, path: Path, target: Path) -> Path:
    """Writes a member's demo checkpoint with its logits divided by the temperature."""
    model = architectures.build(spec.members[name].architecture, spec.logits(name))
    checkpoint.read(path).load_into(model, spec.classes)
    state = {key: value.contiguous() for key, value in model.state_dict().items()}
    last = [key for key, layer in model.named_modules() if isinstance(layer, nn.Linear)][-1]
    for key in (f"{last}.weight", f"{last}.bias"):
        state[key] = state[key] / _TEMPERATURE
    save_file(state, target, metadata={"weights": "demo", "classes": json.dumps(spec.classes)})
    return target


def _passed(record: Path) -> bool:
    return record.is_file() and FastDecoding.model_validate_json(record.read_bytes()).passed


def _run(*words: str) -> int:
    return subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    typer.run(main)
