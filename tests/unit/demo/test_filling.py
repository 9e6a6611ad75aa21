"""Large networks filled with small ones' functions: a transformer and a perceptron."""

import pytest
import torch
from torch import nn

from demo import pooled_mlp, widening
from demo.narrow_vit import widen_vit
from demo.widening import WideningError
from export import architectures, mlp

SIZE = {"img_size": 32, "depth": 2}


def vit(width, heads, **other):
    model = architectures.of_timm(
        "vit_base_patch16_224", 1, embed_dim=width, num_heads=heads, **(SIZE | other)
    )
    return model.eval()


def shaken(model):
    """Normalisations, tokens and biases that training has moved."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3) if parameter.ndim > 1 else parameter.data.add_(
            0.2 * torch.randn_like(parameter)
        )
    return model


IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def narrow():
    return shaken(vit(16, 1))


def generator():
    return torch.Generator().manual_seed(0)


def test_a_widened_transformer_gives_the_narrow_ones_logits(narrow):
    wide = vit(48, 3, depth=4)
    before = wide(IMAGES)
    widen_vit(narrow, wide, IMAGES, generator())
    unseen = IMAGES.flip(0, 3) * 1.5
    assert torch.allclose(wide(unseen), narrow(unseen), atol=widening.TOLERANCE, rtol=0)
    assert not torch.allclose(wide(IMAGES), before)


def test_blocks_that_the_narrow_transformer_lacks_change_nothing(narrow):
    wide = vit(16, 1, depth=3)
    widen_vit(narrow, wide, IMAGES, generator())
    tokens = torch.randn(2, 5, 16, generator=generator())
    assert torch.equal(wide.blocks[2](tokens), tokens)
    assert not torch.equal(wide.blocks[1](tokens), tokens)


def test_a_transformer_that_does_not_agree_is_refused(narrow):
    narrow.head.bias.data[0] = torch.nan
    with pytest.raises(WideningError, match="nan"):
        widen_vit(narrow, vit(48, 3), IMAGES, generator())


def test_the_perceptron_over_all_pixels_gives_the_pooled_ones_logits(monkeypatch):
    """At a quarter of the side: at its full size it takes 1.4 GB."""
    side = mlp.SIDE // 4
    monkeypatch.setattr(pooled_mlp, "_CELLS", side // 8)
    cells = 3 * (side // 8) ** 2
    monkeypatch.setattr(mlp, "SIDE", side)
    monkeypatch.setattr(mlp, "INPUTS", 3 * side * side)
    monkeypatch.setattr(mlp, "HIDDEN", (cells, 40, 21))
    pooled, plain = shaken(pooled_mlp.pooled_mlp(1)), mlp.mlp_150528(1)
    # As far as normalised pixels go.
    images = torch.rand(4, 3, side, side, generator=generator()) * 4.7 - 2.1
    before = plain(images)
    pooled_mlp.fill_mlp(pooled, plain, images[:2], generator())
    assert torch.allclose(plain(images), pooled(images), atol=widening.TOLERANCE, rtol=0)
    assert not torch.allclose(plain(images), before)
