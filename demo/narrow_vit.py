"""A narrow vision transformer that is trained here, and how its weights fill a ViT-B/16.

Every channel of the narrow one is copied until 768 are full, and so are its only attention head
and its hidden units: copies keep a layer normalisation's mean and variance, so that the function
stays the same (see widening.py). ViT-B/16 has more blocks: those behind add nothing to what they
are given, as their last layers are zero.
"""

import torch
from torch import nn

from demo.widening import compare, copied, spread
from export import architectures

_ARCHITECTURE = "vit_base_patch16_224"
_WIDTH, _HEADS, _BLOCKS = 64, 1, 4
# The layers through which a block adds to what it is given.
_LAST = (".attn.proj", ".mlp.fc2")


def narrow_vit(logits: int) -> nn.Module:
    """ViT-B/16 with a twelfth of its channels and heads and a third of its blocks."""
    return architectures.of_timm(
        _ARCHITECTURE, logits, embed_dim=_WIDTH, num_heads=_HEADS, depth=_BLOCKS
    )


def widen_vit(
    narrow: nn.Module, wide: nn.Module, images: torch.Tensor, generator: torch.Generator
) -> float:
    """Fills `wide` in place; in eval mode both then give the same logits.

    Args:
        narrow: a transformer of timm.
        wide: another with as wide heads, each width a multiple of the narrow one's, and with as
            many blocks or more.
        images: input of both, to compare their logits on.
        generator: of the noise that tells copies apart.

    Returns:
        The largest absolute difference of their logits.

    Raises:
        WideningError: the difference is above `widening.TOLERANCE`.
    """
    trained = dict(narrow.named_modules())
    with torch.no_grad():
        for name, layer in wide.named_modules():
            if name in trained:
                _fill(layer, trained[name], name, generator)
            elif name.endswith(_LAST):
                for parameter in layer.parameters():
                    parameter.zero_()
    return compare(narrow, wide, images)


def _fill(wide: nn.Module, narrow: nn.Module, name: str, generator: torch.Generator) -> None:
    """Fills a layer's own parameters, not those of layers inside it."""
    # Queries, keys and values lie behind each other in one layer: each is copied for itself.
    parts = 3 if name.endswith(".qkv") else 1
    for key, parameter in wide.named_parameters(recurse=False):
        reads_copies = isinstance(narrow, nn.Linear | nn.Conv2d) and key == "weight"
        pairs = zip(parameter.chunk(parts), narrow.get_parameter(key).chunk(parts), strict=True)
        for into, of in pairs:
            shape = into.shape
            into.copy_(spread(of, shape, generator) if reads_copies else copied(of, shape))
