"""The layers of a multilayer perceptron over all pixels."""

from torch import nn

SIDE = 224
INPUTS = 3 * SIDE * SIDE
HIDDEN = (2352, 2352, 294)


def mlp_150528(logits: int) -> nn.Sequential:
    """Linear layers 150528-2352-2352-294-logits with ReLU between them, 360 M weights.

    Takes FP32 [N, 3, 224, 224], which is flattened channel by channel and row by row; returns
    FP32 [N, logits]. A plain `nn.Sequential` that begins with the flattening: the keys of the
    state dict are `1.weight`, `1.bias`, `3.weight`, ... `7.bias`.
    """
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = INPUTS
    for width in HIDDEN:
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, logits))
