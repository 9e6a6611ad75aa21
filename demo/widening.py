"""Fills a wide plain network with a narrow network's weights: more channels, the same function.

Training at a quarter of the width takes about a sixteenth of the arithmetic. The narrow network's
batch normalisations are folded into its convolutions, its units are copied until they fill the
wide network, and whatever reads a unit spreads its weight over the copies: Net2WiderNet of Chen,
Goodfellow and Shlens, "Net2Net" (2016). The copies' shares differ by noise that sums to zero over
them, so that units of the next layer, which copy each other too, differ in their weights.
"""

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from export.errors import ExportError

TOLERANCE = 1e-4
# Of the noise, relative to the spread of a layer's weights; more of it would cost INT8 precision.
_NOISE = 0.25


class WideningError(ExportError):
    """A widened network that does not compute what the narrow one does."""


def widen(
    narrow: nn.Module, wide: nn.Module, images: torch.Tensor, generator: torch.Generator
) -> float:
    """Fills `wide` in place; in eval mode both then give the same logits.

    Args:
        narrow: a chain of convolutions, batch normalisations, linear layers and layers without
            weights, with a global pool before the first linear layer.
        wide: the same chain without the batch normalisations, each width a multiple of the
            narrow one's.
        images: input of both, to compare their logits on.
        generator: of the noise.

    Returns:
        The largest absolute difference of their logits.

    Raises:
        WideningError: the difference is above `TOLERANCE`.
    """
    narrow.eval()
    with torch.no_grad():
        for source, target in zip(_folded(narrow), _folded(wide), strict=True):
            target.weight.copy_(spread(source.weight, target.weight.shape, generator))
            if source.bias is not None and target.bias is not None:
                target.bias.copy_(copied(source.bias, target.bias.shape))
    return compare(narrow, wide, images)


def compare(narrow: nn.Module, wide: nn.Module, images: torch.Tensor) -> float:
    """The largest absolute difference of two networks' logits, both in eval mode from then on.

    Raises:
        WideningError: the difference is above `TOLERANCE`.
    """
    narrow.eval()
    wide.eval()
    with torch.no_grad():
        error = float((narrow(images) - wide(images)).abs().max())
    # Asked this way round, NaN does not pass.
    if not error <= TOLERANCE:
        raise WideningError(
            f"the widened network's logits differ from the narrow one's by {error:.1e}, more than "
            f"{TOLERANCE:.0e}: train with another seed"
        )
    return error


def spread(weight: torch.Tensor, shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """Weights [O, I, ...] of copied units from weights [o, i, ...]; unit j copies unit j mod o."""
    copies = shape[1] // weight.shape[1]
    tail = weight.shape[1:]
    outgoing = copied(weight, torch.Size([shape[0], *tail]))
    noise = torch.randn(shape[0], copies, *tail, generator=generator)
    noise *= _NOISE * weight.std() / copies
    shares = outgoing.unsqueeze(1) / copies + noise - noise.mean(dim=1, keepdim=True)
    return shares.reshape(shape)


def copied(values: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Values of copied units, in order, again and again until they fill the shape."""
    return values.repeat([wide // narrow for wide, narrow in zip(shape, values.shape, strict=True)])


def _folded(chain: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    """The layers with weights in their order, batch normalisations folded into them."""
    layers: list[nn.Conv2d | nn.Linear] = []
    for layer in chain.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layers.append(layer)
        elif isinstance(layer, nn.BatchNorm2d) and isinstance(layers[-1], nn.Conv2d):
            layers[-1] = fuse_conv_bn_eval(layers[-1], layer)
    return layers
