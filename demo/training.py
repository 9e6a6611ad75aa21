"""Trains the demo weights of a pipeline: the small checkpoints that `demo/checkpoints/` holds."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from demo import fitting, rounding
from demo.figures import Trained
from demo.measuring import colour_baseline, measure, probabilities
from demo.recipes import recipe_for
from demo.subject import subject_for
from export.graph import ServedMember
from export.progress import OnProgress, Steps
from pipelines.enums import Task
from pipelines.spec import PipelineSpec

HELD_OUT = 500
# About how many drawings, and how much of a member's check, take the time of one training step.
_DRAWINGS_A_STEP = 20
_STEPS_A_CHECK = 20


def train(
    spec: PipelineSpec,
    folder: Path,
    seed: int = 0,
    on_progress: OnProgress = lambda _doing, _done, _total: None,
) -> Trained:
    """Writes a small checkpoint for each member that has one of its own, whatever the task.

    Raises:
        UnsuitablePipelineError: no drawings fit the pipeline.
    """
    if spec.task is Task.DETECTION:
        from demo import yolos_training  # noqa: PLC0415 - loads what only it needs

        return yolos_training.train(spec, folder, seed, on_progress)
    if spec.task is Task.SEGMENTATION:
        from demo import mask_rcnn_training  # noqa: PLC0415 - loads what only it needs

        return mask_rcnn_training.train(spec, folder, seed, on_progress)
    return train_classifiers(spec, folder, seed, on_progress)


def training_seed(seed: int) -> int:
    """Seed of the drawings to train on; no `held_out_seed` is one."""
    return 2 * seed


def held_out_seed(seed: int) -> int:
    """Seed of the drawings to judge by."""
    return 2 * seed + 1


def trained_members(spec: PipelineSpec) -> list[str]:
    """The members with a checkpoint of their own."""
    return [name for name in spec.members if spec.origin(name) == name]


def train_classifiers(
    spec: PipelineSpec, folder: Path, seed: int, on_progress: OnProgress
) -> Trained:
    """`train` for a classification: `<member>.safetensors` of what its recipe trains."""
    subject, members = subject_for(spec), trained_members(spec)
    recipes = {name: recipe_for(spec.members[name].architecture) for name in members}
    fits = sum(fitting.steps(subject.drawings, each) + _STEPS_A_CHECK for each in recipes.values())
    progress = Steps((subject.drawings + HELD_OUT) / _DRAWINGS_A_STEP + fits, on_progress)

    def drawn(count: int, drawings_seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        height, width = spec.preprocessing.size or (0, 0)
        return subject.dataset(
            count,
            drawings_seed,
            width,
            height,
            on_image=lambda: progress.advance(1 / _DRAWINGS_A_STEP),
        )

    progress.begin("drawing")
    pixels, labels = drawn(subject.drawings, training_seed(seed))
    unseen, truth = drawn(HELD_OUT, held_out_seed(seed))
    files, answers = {}, {}
    for number, name in enumerate(members):
        progress.begin(f"training {name}")
        # Members start from different weights and see the drawings in different orders.
        member = _fitted(spec, name, (pixels, labels), seed=seed + number, on_step=progress.advance)
        rounding.round_weights(member.model)
        files[name] = folder / f"{name}.safetensors"
        rounding.write(member.model, files[name], spec.classes)
        progress.begin(f"checking {name}")
        answers[name] = probabilities(member, unseen)
        progress.advance(_STEPS_A_CHECK)
    hard = np.array(
        [subject.is_hard(*case) for case in subject.cases(HELD_OUT, held_out_seed(seed))]
    )
    figures = measure(spec, answers, truth, hard)
    figures["six RGB statistics alone"] = colour_baseline(pixels, labels, unseen, truth)
    settings = {name: recipe.settings() for name, recipe in recipes.items()}
    return Trained(files, figures, HELD_OUT, subject.drawings, settings)


def _fitted(
    spec: PipelineSpec,
    name: str,
    drawings: tuple[NDArray[np.uint8], NDArray[np.int64]],
    *,
    seed: int,
    on_step: Callable[[], None],
) -> ServedMember:
    recipe = recipe_for(spec.members[name].architecture)
    pixels, labels = map(torch.from_numpy, drawings)
    # Initial weights and dropout come from torch's own generator: it is left as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        member = ServedMember(recipe.start(spec.logits(name)), spec.preprocessing)
        generator = torch.Generator().manual_seed(seed)
        fitting.fit(member, pixels, labels, recipe, generator=generator, on_step=on_step)
    return member
