"""Trains the demo weights of the detection pipeline: a small YOLOS, from random weights."""

import dataclasses
from pathlib import Path

import torch

from demo import rounding, scenes, yolos_fitting, yolos_judging
from demo.figures import Trained
from demo.subject import UnsuitablePipelineError
from demo.yolos_fitting import Schedule
from demo.yolos_scenes import drawn
from demo.yolos_start import PATCH, start
from export.detectors.yolos import DEMO_MARK, WEIGHTS, ServedYolos
from export.graph import Normalisation
from export.photos import decode_rules
from export.progress import OnProgress, Steps
from pipelines.enums import Resize
from pipelines.spec import PipelineSpec

DRAWINGS = 1500
HELD_OUT = 100
SCHEDULE = Schedule(epochs=8, batch=8, rate=1e-3, matrix_rate=2e-3)
# Fewer scenes to draw and to look at where each has more objects than those that are served.
_OBJECTS = (8, 12)
# Drawings that the starting weights are fitted to.
_START = 32
# About how many drawings, and how many held-out ones, take one step's time.
_DRAWINGS_A_STEP = 15
_JUDGED_A_STEP = 10


def train(
    spec: PipelineSpec,
    folder: Path,
    seed: int = 0,
    on_progress: OnProgress = lambda _doing, _done, _total: None,
    *,
    drawings: int = DRAWINGS,
    held_out: int = HELD_OUT,
    schedule: Schedule = SCHEDULE,
) -> Trained:
    """Writes the folder `<member>` as transformers does, marked as a demo.

    Args:
        spec: a detection of `scenes.SHAPES`, letterboxed, with one member.
        folder: where to write.
        seed: 0 or more; the same seed gives the same weights on the same machine.
        on_progress: told how far it is.
        drawings: how many to train on.
        held_out: how many to judge by.
        schedule: how long to train.

    Raises:
        UnsuitablePipelineError: the pipeline does not fit the drawings.
    """
    _require_suitable(spec)
    (name,) = spec.members
    steps = schedule.steps(drawings) + drawings / _DRAWINGS_A_STEP + held_out / _JUDGED_A_STEP
    progress = Steps(steps, on_progress)
    progress.begin("drawing")
    shape, rules = spec.preprocessing, decode_rules(spec)
    shown = drawn(
        drawings, 2 * seed, rules, lambda: progress.advance(1 / _DRAWINGS_A_STEP), _OBJECTS
    )
    progress.begin(f"training {name}")
    generator = torch.Generator().manual_seed(seed)
    normalise = Normalisation(shape)
    model = start(spec.classes, normalise(shown.pixels[:_START]), generator)
    yolos_fitting.fit(
        model, normalise, shown, schedule, generator=generator, on_step=progress.advance
    )
    setattr(model.config, DEMO_MARK, "demo")
    rounding.round_weights(model)
    model.config.save_pretrained(folder / name)
    rounding.write(model, folder / name / WEIGHTS, spec.classes)
    progress.begin(f"checking {name}")
    figures = yolos_judging.judge(
        ServedYolos(model, shape).eval(),
        drawn(held_out, 2 * seed + 1, rules),
        spec,
        lambda: progress.advance(1 / _JUDGED_A_STEP),
    )
    return Trained(
        {name: folder / name}, figures, held_out, drawings, {name: dataclasses.asdict(schedule)}
    )


def _require_suitable(spec: PipelineSpec) -> None:
    if spec.classes != tuple(scenes.SHAPES):
        raise UnsuitablePipelineError(
            f"{spec.name}: drawings are made of {', '.join(scenes.SHAPES)}, in this order; "
            "give checkpoints of your own"
        )
    size = spec.preprocessing.size
    if (
        spec.preprocessing.resize is not Resize.LETTERBOX
        or not size
        or any(s % PATCH for s in size)
    ):
        raise UnsuitablePipelineError(
            f"{spec.name}: demo weights are made for a letterbox whose sides are multiples of "
            f"{PATCH}; give checkpoints of your own"
        )
