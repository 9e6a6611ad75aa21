"""Measures finished demo weights of a classification on held-out drawings."""

from pathlib import Path

import numpy as np

from demo.evaluation import (
    accuracy,
    colour_baseline,
    decided,
    probabilities,
    weighted_mean,
)
from demo.subject import subject_for
from demo.training import held_out_seed, trained_members, training_seed
from export import architectures, checkpoint
from export.graph import ServedMember
from pipelines.spec import PipelineSpec

HELD_OUT = 500


def measure(spec: PipelineSpec, files: dict[str, Path], seed: int) -> dict[str, float]:
    """Loads checkpoints as an export does, and measures them on drawings that no training saw.

    Returns:
        Shares of `HELD_OUT` drawings, in [0, 1], by what was measured: accuracies of the members,
        of all of them together (of the hard cases, of the others), of colour statistics alone, and
        how often the members do not all decide alike.
    """
    subject, unseen_seed = subject_for(spec), held_out_seed(seed)
    height, width = spec.preprocessing.size or (0, 0)
    unseen, truth = subject.dataset(HELD_OUT, unseen_seed, width, height)
    answers = {}
    for name in trained_members(spec):
        model = architectures.build(spec.members[name].architecture, spec.logits(name))
        checkpoint.read(files[name]).load_into(model, spec.classes)
        answers[name] = probabilities(ServedMember(model, spec.preprocessing).eval(), unseen)
    decisions = {name: decided(of, spec.threshold) for name, of in answers.items()}
    shares = {f"`{name}`": accuracy(of, truth) for name, of in decisions.items()}
    together = decided(weighted_mean(spec, answers), spec.threshold)
    title = "ensemble" if len(spec.answering_members) > 1 else "release"
    hard = np.array([subject.is_hard(*case) for case in subject.cases(HELD_OUT, unseen_seed)])
    shares[title] = accuracy(together, truth)
    shares[f"{title}, hard cases alone"] = accuracy(together[hard], truth[hard])
    shares[f"{title}, all others"] = accuracy(together[~hard], truth[~hard])
    seen = subject.dataset(subject.drawings, training_seed(seed), width, height)
    shares["six RGB statistics alone"] = colour_baseline(*seen, unseen, truth)
    if len(decisions) > 1:
        opposed = np.stack(list(decisions.values()))
        shares["members opposed"] = float((opposed != opposed[0]).any(axis=0).mean())
    return shares
