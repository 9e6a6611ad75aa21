"""`python -m lab.bench.fast_weights FOLDER`: demo weights that may decode by `fast`, once.

The demo's own miss the gate, as they are very certain of what they tell by the finest texture,
which scaled decoding touches. So their logits are divided by a temperature (Guo et al., "On
Calibration of Modern Neural Networks", 2017): each member decides as before, in the same time,
less certain. Where a decision still differs, the next seed is tried, on the same drawings.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from demo import kept
from demo.photos import draw_photos
from demo.progress import shown_on
from demo.training import train
from export.fast_decoding import short_side
from lab.bench.workload import PIPELINE, WORKLOADS
from lab.paths import CACHE, ROOT
from pipelines.definition import PipelineDefinition
from pipelines.enums import Decoding
from pipelines.fast_decoding import PHOTOS_AT_LEAST, FastDecoding
from pipelines.load import load_definition
from pipelines.spec import PipelineSpec

screen = Console(stderr=True)
_SEEDS = range(5)
_TEMPERATURE = 6.0
_CHECKPOINTS = CACHE / "checkpoints"
_PHOTOS = CACHE / "photos-gate"


def main(
    folder: Annotated[Path, typer.Argument(help="The model repository to make.")],
) -> None:
    """Makes demo weights until some pass the gate of `fast`; where there are some, only configs.

    A few minutes for each seed. Exit code 1 where none passes.
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
        draw_photos(spec, part, PHOTOS_AT_LEAST, short_side(spec))
        part.rename(_PHOTOS)
    for seed in _SEEDS:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        place = ("--profile", profile, "--repository", str(folder.absolute()))
        found = checkpoints(whole, spec, seed)
        files = [f"--checkpoint={name}={path}" for name, path in found.items()]
        if failed := _run("export", PIPELINE, *place, *files):
            raise typer.Exit(failed)
        # It ends with 1 where a bound is not kept.
        _run("export.fast_decoding", PIPELINE, *place, "--photos", str(_PHOTOS))
        if _passed(record):
            return
    screen.print(f"[red]none of {len(_SEEDS)} seeds passes the gate of `fast` here[/]")
    raise typer.Exit(1)


def checkpoints(whole: PipelineDefinition, spec: PipelineSpec, seed: int) -> dict[str, Path]:
    """Demo checkpoints of a seed, less certain, by member; trained where none are kept.

    Args:
        whole: the facts of the pipeline.
        spec: under the profile that the weights are for.
        seed: of the training.
    """
    origins = list(dict.fromkeys(map(spec.origin, spec.members)))
    place = kept.place(whole, origins, seed)
    files = kept.find(place, origins)
    if not files:
        _CHECKPOINTS.mkdir(parents=True, exist_ok=True)
        with shown_on(screen) as on_progress:
            trained = train(whole, _CHECKPOINTS, seed, on_progress).files
        files = kept.keep({name: trained[name] for name in origins}, place)
    return {name: soften(path, _CHECKPOINTS / path.name) for name, path in files.items()}


def soften(path: Path, target: Path) -> Path:
    """Writes a demo checkpoint with its logits divided by the temperature; returns `target`.

    Args:
        path: its `state_dict` ends with the weight and the bias of the layer of the logits.
        target: all else in it stays, the word that it is a demo too.
    """
    checkpoint = torch.load(path, weights_only=True)
    state = checkpoint["state_dict"]
    for key in list(state)[-2:]:
        state[key] = state[key] / _TEMPERATURE
    target.parent.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, target)
    return target


def _passed(record: Path) -> bool:
    return record.is_file() and FastDecoding.model_validate_json(record.read_bytes()).passed


def _run(*words: str) -> int:
    return subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    typer.run(main)
