"""Initial weights of a small YOLOS, with which its training takes minutes.

They say where to look and what a patch tells; the training changes all of them:
- Position embeddings hold sines and cosines of a cell's column and row, and whether the token is
  a patch's or a detection's. There is one detection token for each patch.
- Queries and keys read nothing but those: each head looks at one neighbour, as a convolution does
  (d'Ascoli et al., "ConViT", 2021). Nothing else reads them, so all places are treated alike.
- A patch is seen as its cosine transform, mostly of brightness, of like spread in each frequency.
- The box of each detection token starts at its cell.
"""

import itertools
import math

import torch
from torch import nn
from torch.nn import functional

from export.torchvision_ops import ensure_declared

ensure_declared()

from transformers import YolosConfig, YolosForObjectDetection  # noqa: E402
from transformers.models.yolos.modeling_yolos import YolosLayer, YolosSelfAttention  # noqa: E402

PATCH = 32
"""Pixels of a cell's side; height and width must be multiples."""
_HIDDEN, _HEADS, _LAYERS, _MLP = 192, 12, 4, 384
_HEAD = _HIDDEN // _HEADS
# Cycles of the code's waves over twice the image's long side.
_WAVES = (1, 3, 7)
# Sine and cosine of column and row, and the kind of token: the last of the hidden channels.
_CODE = 4 * len(_WAVES)
_PLACE = _CODE + 1
# So large that the norm of a token, which the layer norm divides by, varies little.
_AMPLITUDE, _KIND = 40.0, 28.0
# What the layer norm makes of it, and of the channels for content.
_PLACE_GAIN, _GAIN = 0.3, 5.0
# How sharply a head looks where it does, and how much a neighbour's patch outdoes its detection.
_SHARPNESS, _TO_PATCHES = 2.0, 5.0
# Other weights of queries and keys; of each layer's outputs, which add up.
_FAINT, _HALF = 0.1, 0.5
_NEIGHBOURS = tuple(itertools.product((-1.0, 0.0, 1.0), repeat=2))
_FARTHER = 1.5
# Shares of brightness, red to blue and green to both; the spread below which it is noise.
_COLOURS = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (1.0, -2.0, 1.0))
_SHARES = (0.8, 0.1, 0.1)
_NOISE = 0.3
# Of the box head: what it reads of the content, the side of all boxes, and the ridge.
_CONTENT_IN_BOXES, _SIDE, _RIDGE = 0.05, 0.18, 1e-2
# Logit of "no object".
_NOTHING = 2.0


def start(
    classes: tuple[str, ...], images: torch.Tensor, generator: torch.Generator
) -> YolosForObjectDetection:
    """A network in training mode, at the size of these normalised FP32 [N, 3, H, W] images."""
    height, width = images.shape[2:]
    rows, columns = height // PATCH, width // PATCH
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())
        model = YolosForObjectDetection(_config(classes, height, width))
    cells = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).flip(1).float()
    waves = math.pi / max(rows, columns) * torch.tensor(_WAVES)
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight, generator=generator)
                nn.init.zeros_(layer.bias)
        _mark_places(model, _code(cells, waves))
        for layer in model.vit.encoder.layer:
            _treat_places_alike(layer)
            _look_around(layer.attention.attention, waves, generator)
        for norm in (part for part in model.modules() if isinstance(part, nn.LayerNorm)):
            norm.weight.fill_(_GAIN)
            norm.weight[-_PLACE:] = _PLACE_GAIN
        _see_patches(model.vit.embeddings.patch_embeddings.projection, images)
        model.class_labels_classifier.layers[0].weight[:, -_PLACE:] = 0
        model.class_labels_classifier.layers[-1].bias[-1] = _NOTHING
        _start_boxes(model, (cells + 0.5) / torch.tensor([columns, rows]), images)
    return model.train()


def _config(classes: tuple[str, ...], height: int, width: int) -> YolosConfig:
    return YolosConfig(
        hidden_size=_HIDDEN,
        num_hidden_layers=_LAYERS,
        num_attention_heads=_HEADS,
        intermediate_size=_MLP,
        image_size=[height, width],
        patch_size=PATCH,
        num_detection_tokens=(height // PATCH) * (width // PATCH),
        use_mid_position_embeddings=False,
        id2label=dict(enumerate(classes)),
        label2id={name: index for index, name in enumerate(classes)},
    )


def _code(places: torch.Tensor, waves: torch.Tensor) -> torch.Tensor:
    """FP32 [n, _CODE] of columns and rows [n, 2]."""
    angles = (places[:, :, None] * waves).flatten(1)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _mark_places(model: YolosForObjectDetection, code: torch.Tensor) -> None:
    embeddings = model.vit.embeddings
    positions = embeddings.position_embeddings.zero_()[0]
    positions[1:, -_PLACE:-1] = _AMPLITUDE * code.repeat(2, 1)
    positions[1 : 1 + len(code), -1] = _KIND
    positions[1 + len(code) :, -1] = -_KIND
    embeddings.detection_tokens.zero_()


def _treat_places_alike(layer: YolosLayer) -> None:
    """Values and hidden units do not read the place, and no output changes it."""
    outputs = (layer.attention.output.dense, layer.output.dense)
    for reader in (layer.attention.attention.value, layer.intermediate.dense):
        reader.weight[:, -_PLACE:] = 0
    for output in outputs:
        output.weight *= _HALF
        output.weight[-_PLACE:] = 0


def _look_around(
    attention: YolosSelfAttention, waves: torch.Tensor, generator: torch.Generator
) -> None:
    """Heads look at the cell's patch and its eight neighbours', the rest a little farther."""
    query, key = attention.query, attention.key
    for projection in (query, key):
        projection.weight *= _FAINT
        projection.weight[:, -_PLACE:] = 0
    for head in range(_HEADS):
        farther = _FARTHER * torch.randn(2, generator=generator)
        offset = torch.tensor(_NEIGHBOURS[head]) if head < len(_NEIGHBOURS) else farther
        first = head * _HEAD
        code, kind = slice(first, first + _CODE), first + _CODE
        query.weight[code, -_PLACE:-1] += _SHARPNESS * _shift(offset, waves)
        key.weight[code, -_PLACE:-1] += _SHARPNESS * torch.eye(_CODE)
        query.bias[kind] = _TO_PATCHES if head < len(_NEIGHBOURS) else 0
        key.weight[kind, -1] = 1


def _shift(offset: torch.Tensor, waves: torch.Tensor) -> torch.Tensor:
    """[_CODE, _CODE]: from the code of any place to that of the place so far from it."""
    angles = (offset[:, None] * waves).flatten()
    sine, cosine = angles.sin().diag(), angles.cos().diag()
    return torch.cat([torch.cat([cosine, sine], dim=1), torch.cat([-sine, cosine], dim=1)])


def _see_patches(projection: nn.Conv2d, images: torch.Tensor) -> None:
    """The lowest frequencies of a patch, centred, each divided by its spread over these images."""
    pixel, frequency = torch.arange(PATCH) + 0.5, torch.arange(PATCH)
    waves = torch.cos(math.pi / PATCH * frequency[:, None] * pixel)
    pairs = sorted(itertools.product(range(PATCH), repeat=2), key=lambda p: p[0] ** 2 + p[1] ** 2)
    filters = [
        torch.einsum(
            "c,y,x->cyx", functional.normalize(torch.tensor(colour), dim=0), *waves[list(pair)]
        )
        for colour, share in zip(_COLOURS, _SHARES, strict=True)
        for pair in pairs[: round(share * (_HIDDEN - _PLACE))]
    ]
    nn.init.zeros_(projection.weight)
    bias = nn.init.zeros_(projection.get_parameter("bias"))
    shown = slice(len(filters))
    # Cosines have half the energy of a constant; a patch's transform keeps the image's scale.
    projection.weight[shown] = torch.stack(filters) * (4 / PATCH**1.5)
    spread, mean = torch.std_mean(projection(images)[:, shown], dim=(0, 2, 3))
    scale = (spread.square() + _NOISE**2).rsqrt()
    projection.weight[shown] *= scale[:, None, None, None]
    bias[shown] = -mean * scale


def _start_boxes(
    model: YolosForObjectDetection, centres: torch.Tensor, images: torch.Tensor
) -> None:
    """Fits the last layer of the box head, whose others are random, by ridge regression."""
    head = model.bbox_predictor
    head.layers[0].weight[:, :-_PLACE] *= _CONTENT_IN_BOXES
    tokens = model.vit(images).last_hidden_state[:, -len(centres) :].flatten(0, 1)
    for layer in head.layers[:-1]:
        tokens = functional.relu(layer(tokens))
    seen = functional.pad(tokens, (0, 1), value=1).double()
    boxes = torch.cat([centres, torch.full_like(centres, _SIDE)], dim=1).double()
    ridge = _RIDGE * len(seen) * torch.eye(seen.shape[1], dtype=seen.dtype)
    wanted = seen.T @ boxes.logit().repeat(len(images), 1)
    fitted = torch.linalg.solve(seen.T @ seen + ridge, wanted)
    head.layers[-1].weight.copy_(fitted[:-1].T)
    head.layers[-1].bias.copy_(fitted[-1])
