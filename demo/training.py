"""Trains demo weights for the members of a pipeline."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from demo import fitting
from demo.evaluation import Floats, accuracy, decided, probabilities, weighted_mean
from demo.outcome import DemoReport
from demo.progress import OnProgress, Steps
from demo.recipes import recipe_for
from demo.subject import subject_for
from export import architectures
from export.graph import ServedMember
from pipelines.enums import Task
from pipelines.spec import PipelineSpec

HELD_OUT = 200
# About how many drawings, and how much of a member's check, take the time of one training step.
_DRAWINGS_A_STEP = 20
_STEPS_A_CHECK = 20
# Images on which a finished member is compared with the model it was made from.
_COMPARED = 4


def train(
    spec: PipelineSpec,
    folder: Path,
    seed: int = 0,
    on_progress: OnProgress = lambda _doing, _done, _total: None,
) -> DemoReport:
    """Writes a checkpoint that calls its weights `demo` for each member, whatever the task.

    A member that is made from another one's has none.

    Raises:
        UnsuitablePipelineError: no drawings fit the pipeline.
        WideningError: a widened member does not compute what was trained.
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
) -> DemoReport:
    """`train` for a classification: a state dict and the class order in `<member>.pt`.

    The state dict fits the plain architecture, as `architectures.build` makes it.
    """
    subject, members = subject_for(spec), trained_members(spec)
    recipes = [recipe_for(spec.members[name].architecture) for name in members]
    fits = sum(fitting.steps(subject.drawings, recipe) + _STEPS_A_CHECK for recipe in recipes)
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
    pixels, labels = map(torch.from_numpy, drawn(subject.drawings, training_seed(seed)))
    unseen, truth = drawn(HELD_OUT, held_out_seed(seed))
    files, answers = {}, {}
    for number, name in enumerate(members):
        progress.begin(f"training {name}")
        files[name] = folder / f"{name}.pt"
        # Members start from different weights and see the drawings in different orders.
        trained = _train_member(
            spec,
            name,
            pixels,
            labels,
            file=files[name],
            seed=seed + number,
            on_step=progress.advance,
        )
        progress.begin(f"checking {name}")
        answers[name] = probabilities(trained, unseen)
        progress.advance(_STEPS_A_CHECK)
    return DemoReport(files=files, figures=_accuracies(spec, answers, truth), held_out=HELD_OUT)


def _accuracies(
    spec: PipelineSpec, answers: dict[str, Floats], truth: NDArray[np.int64]
) -> dict[str, float]:
    shares = {
        f"{name} accuracy": accuracy(decided(of, spec.threshold), truth)
        for name, of in answers.items()
    }
    if len(spec.answering_members) > 1:
        mean = weighted_mean(spec, answers)
        shares["ensemble accuracy"] = accuracy(decided(mean, spec.threshold), truth)
    return shares


def _train_member(
    spec: PipelineSpec,
    name: str,
    pixels: torch.Tensor,
    labels: torch.Tensor,
    *,
    file: Path,
    seed: int,
    on_step: Callable[[], None],
) -> ServedMember:
    """Writes a checkpoint; returns the model it was made from, with the same logits."""
    architecture, logits = spec.members[name].architecture, spec.logits(name)
    recipe = recipe_for(architecture)
    generator = torch.Generator().manual_seed(seed)
    # Initial weights and dropout come from torch's own generator: it is left as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trained = ServedMember(recipe.start(logits), spec.preprocessing)
        fitting.fit(trained, pixels, labels, recipe, generator=generator, on_step=on_step)
        plain = ServedMember(architectures.build(architecture, logits), spec.preprocessing)
    recipe.finish(trained, plain, pixels[:_COMPARED], generator)
    checkpoint = {
        "state_dict": plain.model.state_dict(),
        "class_to_idx": {label: index for index, label in enumerate(spec.classes)},
        "weights": "demo",
    }
    torch.save(checkpoint, file)
    return trained
