"""Measures one network on a device: its memory, and its speed at each batch size."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from export import architectures
from lab.gpu.roofline import Roofline, best_seconds

_LIMITED = (nn.Conv2d, nn.Linear)


@dataclass(frozen=True)
class Work:
    """What one image takes."""

    flops: float
    """Of its convolutions and matrix products; a multiplication and an addition are two."""
    activation_bytes: float
    """Inputs and outputs of its convolutions and linear layers, each once: all that lies between
    can be fused into those."""
    weight_bytes: float
    """Read once for a whole batch."""

    def bytes_of(self, batch: int) -> float:
        """Of a batch."""
        return batch * self.activation_bytes + self.weight_bytes


@dataclass(frozen=True)
class Speed:
    """A network at one batch."""

    batch: int
    images_per_second: float
    limit: float
    """Images a second that the roofline allows."""
    bound: str
    """What limits: `arithmetic` or `memory`."""

    @property
    def share(self) -> float:
        """Of the limit."""
        return self.images_per_second / self.limit


def build(architecture: str, logits: int, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """A network with random weights as it would be served on a device: channels last."""
    torch.manual_seed(0)
    model = architectures.build(architecture, logits).eval().to(device, dtype)
    placed: nn.Module = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed


def work(model: nn.Module, image: torch.Tensor) -> Work:
    """Counts what a network does with one image [1, 3, H, W]."""
    moved = 0

    def note(_layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal moved
        moved += sum(each.numel() * each.element_size() for each in (*inputs, output))

    hooks = [
        layer.register_forward_hook(note)
        for layer in model.modules()
        if isinstance(layer, _LIMITED)
    ]
    try:
        with torch.inference_mode(), FlopCounterMode(display=False) as counter:
            model(image)
    finally:
        for hook in hooks:
            hook.remove()
    weights = sum(each.numel() * each.element_size() for each in model.parameters())
    return Work(counter.get_total_flops(), moved, weights)


def speeds(
    model: nn.Module,
    needs: Work,
    image: torch.Tensor,
    batches: Sequence[int],
    roofline: Roofline,
    *,
    graphs: bool,
) -> Iterator[Speed]:
    """A network at each batch that fits the device's memory.

    Args:
        model: as `build` makes it.
        needs: of one image.
        image: [1, 3, H, W], on the model's device and in its precision.
        batches: in ascending order; after the first that does not fit none is tried.
        roofline: of the device, in the model's precision.
        graphs: whether to replay a CUDA graph, which spares the launch of each kernel.
    """
    for batch in batches:
        try:
            images = image.repeat(batch, 1, 1, 1).contiguous(memory_format=torch.channels_last)
            with torch.inference_mode(), _running(model, images, graphs=graphs) as run:
                seconds = best_seconds(run, image.device)
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            return
        flops, size = batch * needs.flops, needs.bytes_of(batch)
        yield Speed(
            batch=batch,
            images_per_second=batch / seconds,
            limit=batch / roofline.seconds(flops, size),
            bound=roofline.bound(flops, size),
        )


@contextmanager
def _running(
    model: nn.Module, images: torch.Tensor, *, graphs: bool
) -> Iterator[Callable[[], object]]:
    """A forward pass to call again and again."""
    if not graphs:
        yield lambda: model(images)
        return
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    # Libraries choose their algorithms in the first passes, which no graph may hold.
    with torch.cuda.stream(stream):
        for _ in range(3):
            model(images)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        model(images)
    yield graph.replay
