"""Widening: more channels, the same logits, no scaled copies."""

import pytest
import torch
from torch import nn

from demo import widening
from demo.widening import WideningError, widen
from export.vgg import vgg16_small_head

IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def narrow():
    """A narrow VGG16 whose batch normalisations have seen something."""
    torch.manual_seed(0)
    model = vgg16_small_head(2, divisor=32, batch_norm=True)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.2)
    for _ in range(3):
        model(IMAGES + 0.3)
    return model.eval()


@pytest.fixture
def wide():
    return vgg16_small_head(2, divisor=16).eval()


def generator():
    return torch.Generator().manual_seed(0)


def test_a_widened_network_gives_the_narrow_ones_logits(narrow, wide):
    before = wide(IMAGES)
    widen(narrow, wide, IMAGES, generator())
    unseen = IMAGES.flip(0, 3) * 1.5
    assert torch.allclose(wide(unseen), narrow(unseen), atol=widening.TOLERANCE, rtol=0)
    assert not torch.allclose(wide(IMAGES), before)


def test_no_channel_is_a_scaled_copy_of_another(narrow, wide):
    widen(narrow, wide, IMAGES, generator())
    # The first layer reads the image itself, which has no copies to spread weights over.
    for layer in [layer for layer in wide.modules() if isinstance(layer, nn.Conv2d)][1:]:
        directions = nn.functional.normalize(layer.weight.flatten(1), dim=1)
        likeness = (directions @ directions.T).fill_diagonal_(0)
        assert likeness.max() < 0.999


def test_widening_by_one_folds_the_normalisations_alone(narrow):
    plain = vgg16_small_head(2, divisor=32).eval()
    assert widen(narrow, plain, IMAGES, generator()) <= widening.TOLERANCE


def test_a_network_that_does_not_agree_is_refused(narrow, wide, monkeypatch):
    monkeypatch.setattr(widening, "TOLERANCE", 0.0)
    with pytest.raises(WideningError, match="differ"):
        widen(narrow, wide, IMAGES, generator())


def test_weights_that_are_not_finite_are_refused(narrow, wide):
    narrow.classifier[0].bias.data[0] = torch.nan
    with pytest.raises(WideningError, match="nan"):
        widen(narrow, wide, IMAGES, generator())
