"""Trains demo weights for the members of a pipeline."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from export import architectures
from export.demo import fitting
from export.demo.drawings import dataset
from export.demo.evaluation import accuracy, probabilities, weighted_mean
from export.demo.progress import OnProgress, Steps
from export.demo.recipes import recipe_for
from export.errors import ExportError
from export.graph import ServedMember
from pipelines.spec import PipelineSpec

DRAWINGS = 800
HELD_OUT = 200
# About how many drawings, and how much of a member's check, take the time of one training step.
_DRAWINGS_A_STEP = 20
_STEPS_A_CHECK = 20
# Images on which a finished member is compared with the model it was made from.
_COMPARED = 4


class UnsuitablePipelineError(ExportError):
    """A pipeline that the drawings do not fit."""


@dataclass(frozen=True)
class DemoReport:
    """What was made, and how often it is right on drawings not seen in training."""

    files: dict[str, Path]
    """Each member's checkpoint."""
    accuracies: dict[str, float]
    ensemble: float
    """Accuracy of the members' weighted mean."""
    held_out: int
    """Drawings that the accuracies were measured on."""

    def summary(self) -> str:
        """One line for a person."""
        members = ", ".join(f"{name} {value:.3f}" for name, value in self.accuracies.items())
        return (
            f"right on {self.held_out} held-out drawings: {members}, ensemble {self.ensemble:.3f}"
        )


def training_seed(seed: int) -> int:
    """Seed of the drawings to train on; no `held_out_seed` is one."""
    return 2 * seed


def held_out_seed(seed: int) -> int:
    """Seed of the drawings to judge by."""
    return 2 * seed + 1


def decision_threshold(spec: PipelineSpec) -> float:
    """The default threshold of a pipeline that demo weights can be made for.

    Raises:
        UnsuitablePipelineError: the pipeline does not tell a positive class from another.
    """
    if spec.threshold is None:
        raise UnsuitablePipelineError(
            f"{spec.name}: demo weights are made for two classes of which one is `positive`; "
            "give checkpoints of your own"
        )
    return spec.threshold.default


def train(
    spec: PipelineSpec,
    folder: Path,
    seed: int = 0,
    on_progress: OnProgress = lambda _doing, _done, _total: None,
) -> DemoReport:
    """Writes `<member>.pt` for each member: state dict, class order, and `"weights": "demo"`.

    The state dict fits the plain architecture, as `architectures.build` makes it.

    Raises:
        UnsuitablePipelineError: the pipeline does not tell a positive class from another.
        WideningError: a widened member does not compute what was trained.
    """
    threshold = decision_threshold(spec)
    recipes = [recipe_for(member.architecture) for member in spec.members.values()]
    fits = sum(fitting.steps(DRAWINGS, recipe) + _STEPS_A_CHECK for recipe in recipes)
    progress = Steps((DRAWINGS + HELD_OUT) / _DRAWINGS_A_STEP + fits, on_progress)

    def drawn(count: int, drawings_seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        size = spec.preprocessing.width, spec.preprocessing.height
        return dataset(
            count, drawings_seed, *size, on_image=lambda: progress.advance(1 / _DRAWINGS_A_STEP)
        )

    progress.begin("drawing")
    pixels, labels = map(torch.from_numpy, drawn(DRAWINGS, training_seed(seed)))
    unseen, truth = drawn(HELD_OUT, held_out_seed(seed))
    files, positive = {}, {}
    for number, name in enumerate(spec.members):
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
        positive[name] = probabilities(trained, unseen)
        progress.advance(_STEPS_A_CHECK)
    mean = weighted_mean(list(positive.values()), spec.weights)
    return DemoReport(
        files=files,
        accuracies={name: accuracy(of, truth, threshold) for name, of in positive.items()},
        ensemble=accuracy(mean, truth, threshold),
        held_out=HELD_OUT,
    )


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
    architecture, classes = spec.members[name].architecture, len(spec.classes)
    recipe = recipe_for(architecture)
    generator = torch.Generator().manual_seed(seed)
    # Initial weights and dropout come from torch's own generator: it is left as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trained = ServedMember(recipe.start(classes), spec.preprocessing)
        fitting.fit(trained, pixels, labels, recipe, generator=generator, on_step=on_step)
        plain = ServedMember(architectures.build(architecture, classes), spec.preprocessing)
    recipe.finish(trained, plain, pixels[:_COMPARED], generator)
    checkpoint = {
        "state_dict": plain.model.state_dict(),
        "class_to_idx": {label: index for index, label in enumerate(spec.classes)},
        "weights": "demo",
    }
    torch.save(checkpoint, file)
    return trained
