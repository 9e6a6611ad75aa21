"""VGG16 with a small head: the layers, in any width."""

from collections import OrderedDict

from torch import nn

# Channels of each stage's convolutions; a 2 x 2 max pool ends every stage. Configuration D of
# Simonyan and Zisserman, "Very Deep Convolutional Networks" (2015).
STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
HIDDEN = 256
_DROPOUT = 0.2


def vgg16_small_head(logits: int, *, divisor: int = 1, batch_norm: bool = False) -> nn.Sequential:
    """VGG16's convolutions, a global average pool, then 512-256-logits.

    Takes FP32 [N, 3, H, W], each side 32 or more; returns FP32 [N, logits]. The keys of
    the state dict are those of torchvision's and timm's VGG16 for `features`.

    Args:
        logits: how many numbers it gives for an image.
        divisor: divides every width, the head's as well.
        batch_norm: puts a batch normalisation behind each convolution, as for training from
            nothing; the keys of `features` are then those of VGG16-BN.
    """
    layers: list[nn.Module] = []
    channels = 3
    for stage in STAGES:
        for width in stage:
            layers.append(nn.Conv2d(channels, width // divisor, 3, padding=1))
            channels = width // divisor
            if batch_norm:
                layers.append(nn.BatchNorm2d(channels))
            layers.append(nn.ReLU(inplace=True))
        layers.append(nn.MaxPool2d(2))
    hidden = HIDDEN // divisor
    model = nn.Sequential(
        OrderedDict(
            features=nn.Sequential(*layers),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            classifier=nn.Sequential(
                nn.Linear(channels, hidden),
                nn.ReLU(inplace=True),
                nn.Dropout(_DROPOUT),
                nn.Linear(hidden, logits),
            ),
        )
    )
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            # Without it the signal fades over 13 convolutions (He et al. 2015).
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return model
