"""A member's graph as Triton serves it: pixels in, logits out, normalisation included."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from export.errors import ConversionError
from pipelines.preprocessing import Preprocessing


class Normalisation(nn.Module):
    """UINT8 pixels [N, H, W, 3], RGB, to normalised FP32 [N, 3, H, W].

    `(pixel / 255 - mean) / std`, written as one multiplication and one addition.
    """

    scale: torch.Tensor
    offset: torch.Tensor

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        mean = torch.tensor(preprocessing.mean, dtype=torch.float64).view(1, 3, 1, 1)
        std = torch.tensor(preprocessing.std, dtype=torch.float64).view(1, 3, 1, 1)
        self.register_buffer("scale", (1 / (255 * std)).float())
        self.register_buffer("offset", (-mean / std).float())

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """What a model sees of an image."""
        return pixels.permute(0, 3, 1, 2).float() * self.scale + self.offset


class ClassesInOrder(nn.Module):
    """The classes that a detector found, INT64 of any shape, by their places in a pipeline."""

    places: torch.Tensor

    def __init__(self, places: Sequence[int] = ()) -> None:
        """`places` has the pipeline's index of each of the detector's classes; (): the same."""
        super().__init__()
        self.register_buffer("places", torch.tensor(places, dtype=torch.int64))
        self._same = list(places) == sorted(places)

    def forward(self, classes: torch.Tensor) -> torch.Tensor:
        """The pipeline's indices; no operation where the order is the same."""
        return classes if self._same else self.places[classes]


class ServedMember(nn.Module):
    """Wraps a model of normalised NCHW floats into one of raw pixels.

    Input UINT8 [N, H, W, 3], RGB; output FP32 [N, K] logits.
    """

    def __init__(self, model: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.normalise = Normalisation(preprocessing)
        self.model = model

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits FP32 [N, K] of UINT8 pixels [N, H, W, 3]."""
        logits: torch.Tensor = self.model(self.normalise(pixels))
        return logits

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """`forward` from and to NumPy, without gradients."""
        with torch.inference_mode():
            logits: torch.Tensor = self(torch.from_numpy(pixels))
        return logits.numpy()


class _WithFeatures(nn.Module):
    """UINT8 pixels to logits FP32 [N, K] and features FP32 [N, D], of a body and its head."""

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.head = head

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.body(pixels)
        return self.head(features), features


@contextmanager
def with_features(member: ServedMember, count: int | None) -> Iterator[nn.Module]:
    """Within the block a module that gives a member's features too, FP32 [N, D].

    Features are what enters the last linear layer; no weight and no operation is added.

    Args:
        member: in eval mode; not to be used itself within the block.
        count: D, as the YAML says; None: the member as it is.

    Raises:
        ConversionError: the network has no linear layer, or its last one takes another number.
    """
    if count is None:
        yield member
        return
    name, head = _last_linear(member)
    if head is None:
        raise ConversionError(
            "there is no linear layer to take features from: leave `features` out of the YAML"
        )
    if head.in_features != count:
        raise ConversionError(
            f"`features` is {count} in the YAML, but the last linear layer takes "
            f"{head.in_features}: correct it"
        )
    member.set_submodule(name, nn.Identity())
    try:
        yield _WithFeatures(member, head).eval()
    finally:
        member.set_submodule(name, head)


def features_of(member: ServedMember, pixels: torch.Tensor) -> torch.Tensor:
    """What enters the last linear layer of a member that has one, FP32 [N, D]."""
    _, head = _last_linear(member)
    seen: list[torch.Tensor] = []
    if head is None:
        raise ValueError("the member has no linear layer")
    hook = head.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    try:
        member(pixels)
    finally:
        hook.remove()
    return seen[0]


@contextmanager
def head_as_served(
    model: nn.Module, rows: Sequence[int], temperature: float = 1.0
) -> Iterator[None]:
    """Within the block the last linear layer answers in the pipeline's order, and calibrated.

    Only its weights change, so that every format has both without a further operation.

    Args:
        model: a classifier; its last linear layer gives the logits.
        rows: for each output within the block the one that it is outside. A single logit, which
            tells the second class from the first, is negated where they change places.
        temperature: what the logits are divided by.

    Raises:
        ConversionError: the last linear layer has another number of outputs.
    """
    if list(rows) == sorted(rows) and temperature == 1:
        yield
        return
    _, head = _last_linear(model)
    if head is None or head.out_features not in {1, len(rows)}:
        raise ConversionError(
            "the class order cannot be changed and the logits cannot be calibrated, because the "
            "network does not end in a linear layer of its classes: train it with the classes in "
            "the YAML's order, and leave --calibration-labels out"
        )
    parameters = [each for each in (head.weight, head.bias) if each is not None]
    before = [parameter.detach().clone() for parameter in parameters]
    _change(head, rows, temperature)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, old in zip(parameters, before, strict=True):
                parameter.copy_(old)


def as_served(
    logits: NDArray[np.float32], rows: Sequence[int], temperature: float = 1.0
) -> NDArray[np.float32]:
    """Logits [N, K] or [N, 1] as a head gives them that `head_as_served` has changed."""
    if logits.shape[-1] == 1:
        ordered = logits if list(rows) == sorted(rows) else -logits
    else:
        ordered = logits[:, list(rows)]
    return np.asarray(ordered / np.float32(temperature))


def _last_linear(model: nn.Module) -> tuple[str, nn.Linear | None]:
    """Its name and itself; None where there is none."""
    layers = [each for each in model.named_modules() if isinstance(each[1], nn.Linear)]
    return layers[-1] if layers else ("", None)


def _change(head: nn.Linear, rows: Sequence[int], temperature: float) -> None:
    # Not by `as_served`: the parity gate holds one against the other.
    changes_places = list(rows) != sorted(rows)
    with torch.no_grad():
        for parameter in (head.weight, head.bias):
            if parameter is None:
                continue
            if len(parameter) > 1:
                parameter.copy_(parameter[list(rows)])
            elif changes_places:
                parameter.neg_()
            parameter.div_(temperature)
