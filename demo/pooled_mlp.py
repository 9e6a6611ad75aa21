"""A perceptron over averaged pixels, and how its weights fill the one over all pixels.

The 2352 units of the large one's first layer are as many as 28 x 28 averages in three colours, so
that this layer can be the averaging itself, and only the small rest has to be trained. Of its two
hidden layers a quarter and a third of the units are: copies fill the others (see widening.py).
"""

from collections import OrderedDict

import torch
from torch import nn

from demo.widening import compare, copied, spread
from export import mlp

_POOL = 8
_CELLS = mlp.SIDE // _POOL
_COLOURS = 3
# Of the two hidden layers that are trained.
_DIVISORS = (4, 3)
# Above the darkest normalised pixel, so that the first ReLU lets every average pass.
_LIFT = 2.5


def pooled_mlp(logits: int) -> nn.Module:
    """Averages of 8 x 8 pixels, then 2352-588-98-logits: FP32 [N, 3, 224, 224] to [N, logits]."""
    second, third = (
        width // divisor for width, divisor in zip(mlp.HIDDEN[1:], _DIVISORS, strict=True)
    )
    return nn.Sequential(
        OrderedDict(
            pool=nn.AvgPool2d(_POOL),
            flatten=nn.Flatten(),
            rest=nn.Sequential(
                nn.Linear(_COLOURS * _CELLS**2, second),
                nn.ReLU(),
                nn.Linear(second, third),
                nn.ReLU(),
                nn.Linear(third, logits),
            ),
        )
    )


def fill_mlp(
    pooled: nn.Module, plain: nn.Module, images: torch.Tensor, generator: torch.Generator
) -> float:
    """Fills `mlp.mlp_150528` in place; in eval mode both then give the same logits.

    Returns:
        The largest absolute difference of their logits on the images.

    Raises:
        WideningError: the difference is above `widening.TOLERANCE`.
    """
    first, *rest = [layer for layer in plain.modules() if isinstance(layer, nn.Linear)]
    trained = [layer for layer in pooled.modules() if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        first.weight.zero_()
        first.bias.fill_(_LIFT)
        averages = first.weight.view(
            _COLOURS, _CELLS, _CELLS, _COLOURS, _CELLS, _POOL, _CELLS, _POOL
        )
        colour, row, column = torch.meshgrid(
            torch.arange(_COLOURS), torch.arange(_CELLS), torch.arange(_CELLS), indexing="ij"
        )
        averages[colour, row, column, colour, row, :, column, :] = 1 / _POOL**2
        for target, source in zip(rest, trained, strict=True):
            target.weight.copy_(spread(source.weight, target.weight.shape, generator))
            target.bias.copy_(copied(source.bias, target.bias.shape))
        rest[0].bias.sub_(_LIFT * rest[0].weight.sum(dim=1))
    return compare(pooled, plain, images)
