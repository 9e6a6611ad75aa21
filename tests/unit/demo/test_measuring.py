"""Answers of models, and what is made of them."""

import numpy as np
import pytest
import torch
from torch import nn

from demo.measuring import accuracy, decided, probabilities, weighted_mean
from export.graph import ServedMember
from pipelines.load import load_spec

PIXELS = np.zeros((3, 4, 4, 3), np.uint8)


class Constant(nn.Module):
    """Gives the same logits for every image."""

    def __init__(self, *logits):
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, images):
        return self.logits.repeat(len(images), 1)


def answers(spec, *logits):
    return probabilities(ServedMember(Constant(*logits), spec.preprocessing), PIXELS)


def test_one_logit_is_the_positive_classs():
    spec = load_spec("mhist")
    positive = 1 / (1 + np.exp(-0.7))
    assert answers(spec, 0.7) == pytest.approx(np.array([[1 - positive, positive]] * 3))


def test_several_logits_are_one_of_each_class():
    expected = np.exp([1, 2, 0]) / np.exp([1, 2, 0]).sum()
    assert answers(load_spec("snake_species"), 1.0, 2.0, 0.0) == pytest.approx(
        np.array([expected] * 3)
    )


def test_a_threshold_decides_between_two_classes_and_the_largest_among_many():
    threshold = load_spec("mhist").threshold
    shares = np.array([[0.6, 0.4], [0.61, 0.39], [0.2, 0.8]])
    assert decided(shares, threshold).tolist() == [1, 0, 1]
    assert decided(shares, None).tolist() == [0, 0, 1]
    assert accuracy(decided(shares, None), np.array([0, 1, 1])) == pytest.approx(2 / 3)


def test_the_mean_is_of_the_members_that_are_asked():
    mhist = load_spec("mhist")
    vit, mlp = np.array([[0.2, 0.8]]), np.array([[0.6, 0.4]])
    assert weighted_mean(mhist, {"vit": vit, "mlp": mlp}) == pytest.approx(0.7 * vit + 0.3 * mlp)


def test_a_quantised_member_that_is_asked_stands_for_its_original():
    snakes = load_spec("snake_species")
    weights = {"fp32": 0.0, "int8": 1.0}
    members = {
        name: member.model_copy(update={"weight": weights[name]})
        for name, member in snakes.members.items()
    }
    released = snakes.model_copy(update={"members": members})
    shares = np.array([[0.1] * 10])
    assert weighted_mean(released, {"fp32": shares}) == pytest.approx(shares)
