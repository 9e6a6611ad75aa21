"""Measures finished demo weights on held-out drawings."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export import architectures, checkpoint
from export.demo.drawings import cases, dataset, is_hard
from export.demo.evaluation import accuracy, colour_baseline, probabilities, weighted_mean
from export.demo.training import DRAWINGS, decision_threshold, held_out_seed, training_seed
from export.graph import ServedMember
from pipelines.spec import PipelineSpec

HELD_OUT = 500


@dataclass(frozen=True)
class Measured:
    """Shares of `HELD_OUT` drawings, in [0, 1]."""

    members: dict[str, float]
    """Each member's accuracy."""
    ensemble: float
    """Accuracy of the weighted mean."""
    hard: float
    """Accuracy of the weighted mean on the hard cases alone."""
    ordinary: float
    """And on all others."""
    opposed: float
    """Share on which the members do not all decide alike."""
    colour: float
    """Accuracy of six RGB statistics alone."""


def measure(spec: PipelineSpec, files: dict[str, Path], seed: int) -> Measured:
    """Loads checkpoints as an export does, and measures them on drawings that no training saw."""
    threshold = decision_threshold(spec)
    unseen, truth = dataset(HELD_OUT, held_out_seed(seed))
    positive = []
    for name, member in spec.members.items():
        model = architectures.build(member.architecture, len(spec.classes))
        checkpoint.read(files[name]).load_into(model, spec.classes)
        positive.append(probabilities(ServedMember(model, spec.preprocessing).eval(), unseen))
    mean = weighted_mean(positive, spec.weights)
    hard = np.array([is_hard(*case) for case in cases(HELD_OUT, held_out_seed(seed))])
    decisions = np.array(positive) >= threshold
    return Measured(
        members={
            name: accuracy(of, truth, threshold)
            for name, of in zip(spec.members, positive, strict=True)
        },
        ensemble=accuracy(mean, truth, threshold),
        hard=accuracy(mean[hard], truth[hard], threshold),
        ordinary=accuracy(mean[~hard], truth[~hard], threshold),
        opposed=float((decisions != decisions[0]).any(axis=0).mean()),
        colour=colour_baseline(*dataset(DRAWINGS, training_seed(seed)), unseen, truth),
    )
