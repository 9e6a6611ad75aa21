"""Runs members on the images of many requests, in as few calls as their batch limits allow.

A decision step calls all members at once itself: as parallel steps of Triton's ensemble they would
crash Triton when a caller cancels (docs/decisions/0006). Only inside Triton: it needs pb_utils.
"""

import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from inference.rules import Spec
from pipelines import protocol
from pipelines.derived import max_batch
from pipelines.enums import Resize, Task
from pipelines.protocol import DetectorOutput
from server.backends.compute import spent
from server.backends.failure import Failure
from server.backends.rows import missing_rows

_THREADS = ThreadPoolExecutor(thread_name_prefix="member")
"""They wait for Triton, without the GIL."""

Outputs: TypeAlias = dict[str, NDArray[Any]]
MemberResult: TypeAlias = Outputs | Failure
"""A member's outputs by name, one row for each image; or why there are none."""


@dataclass(frozen=True)
class Model:
    """A member as Triton knows it."""

    name: str
    max_batch: int
    """Images in one call at most; 0 for a model that takes one without a batch dimension."""
    outputs: tuple[str, ...]
    """Names of the outputs that are read."""
    measured: bool = False
    """Whether it answers what its pass spent."""


def models_of(
    spec: Spec,
    featured: str | None,
    measured: Collection[str] = (),
    staged: str | None = None,
) -> list[Model]:
    """The models of a spec's members, in their order.

    Args:
        spec: what is served.
        featured: the member whose features are read; None: of no member.
        measured: the members that answer what their passes spent.
        staged: the release by which the models are named; None: they have their own names.
    """
    task = Task(spec["task"])
    classifies = task is Task.CLASSIFICATION
    answers: list[str] = (
        [protocol.MEMBER_OUTPUT]
        if classifies
        else [*DetectorOutput.of_candidates(masks=task is Task.SEGMENTATION)]
    )
    features = protocol.MEMBER_FEATURES if classifies else DetectorOutput.FEATURES
    one_size = Resize(spec["preprocessing"]["resize"]) is not Resize.NONE
    limit = spec["serving"]["max_batch"]
    return [
        Model(
            protocol.named_for(protocol.member_model(spec["name"], name), staged),
            max_batch(one_size=one_size, member=facts["max_batch"], pipeline=limit),
            (*answers, *([features] if name == featured else [])),
            name in measured,
        )
        for name, facts in spec["members"].items()
    ]


@dataclass(frozen=True)
class MemberRequest:
    """Images of one request for one model."""

    model: Model
    pixels: NDArray[np.uint8]
    """[N, H, W, 3]; N is 1 for a model that takes no batches."""


Call: TypeAlias = tuple[Model, NDArray[np.uint8]]
"""A model and the images of one forward pass, [N, H, W, 3]."""
CallRunner: TypeAlias = Callable[[Sequence[Call]], list[MemberResult]]
"""Runs calls; results in their order."""


def run_members(requests: Sequence[MemberRequest], run: CallRunner) -> list[MemberResult]:
    """Runs all requests, those to one model in shared calls; results in their order."""
    groups: dict[object, list[int]] = {}
    for index, request in enumerate(requests):
        # A model without batches takes images of any size, which do not stack.
        groups.setdefault(request.model if request.model.max_batch else index, []).append(index)
    shared = [_SharedCalls([requests[index] for index in group]) for group in groups.values()]
    calls = [call for group in shared for call in group.calls]
    ran = zip(calls, run(calls), strict=True)
    parts = iter([_checked(*pair) for pair in ran])
    results: dict[int, MemberResult] = {}
    for indices, group in zip(groups.values(), shared, strict=True):
        split = group.split([next(parts) for _ in group.spans])
        results.update(zip(indices, split, strict=True))
    return [results[index] for index in range(len(requests))]


def run_in_triton(calls: Sequence[Call]) -> list[MemberResult]:
    """Calls models that Triton has loaded (BLS), side by side; each answers `protocol.SPENT` too.

    Where a model does not measure it, it is the time that its call took, divided by its images.

    The last from here, the others from threads; Triton's `async_exec` starts threads for each call.
    """
    if not calls:
        return []
    started = [_THREADS.submit(_call, *call) for call in calls[:-1]]
    last = _call(*calls[-1])
    return [*(call.result() for call in started), last]


class _SharedCalls:
    """Requests to one model, in as few calls as its batches allow."""

    def __init__(self, requests: list[MemberRequest]) -> None:
        self._sizes = [len(request.pixels) for request in requests]
        pixels = [request.pixels for request in requests]
        together = pixels[0] if len(pixels) == 1 else np.concatenate(pixels)
        model = requests[0].model
        # Calls of even size, so that none of several instances has to wait for another.
        count = -(-len(together) // max(model.max_batch, 1))
        self.spans = list(pairwise(len(together) * call // count for call in range(count + 1)))
        """First image and end of each call."""
        self.calls = [(model, together[start:end]) for start, end in self.spans]

    def split(self, parts: Sequence[MemberResult]) -> list[MemberResult]:
        """The result of each request out of those of the calls."""
        results: list[MemberResult] = []
        end = 0
        for size in self._sizes:
            start, end = end, end + size
            own = [
                part if isinstance(part, Failure) else _rows(part, start - first, end - first)
                for part, (first, last) in zip(parts, self.spans, strict=True)
                if first < end and start < last
            ]
            results.append(_joined(own))
        return results


def _checked(call: Call, result: MemberResult) -> MemberResult:
    """A result with a row for each image, or the failure to give them."""
    model, pixels = call
    if isinstance(result, Failure):
        return result
    return missing_rows(model.name, len(pixels), result.values()) or result


def _rows(part: Outputs, start: int, end: int) -> Outputs:
    return {name: tensor[max(start, 0) : end] for name, tensor in part.items()}


def _joined(parts: list[MemberResult]) -> MemberResult:
    whole: list[Outputs] = []
    for part in parts:
        if isinstance(part, Failure):
            return part
        whole.append(part)
    if len(whole) == 1:
        return whole[0]
    return {name: np.concatenate([part[name] for part in whole]) for name in whole[0]}


def _call(model: Model, pixels: NDArray[np.uint8]) -> MemberResult:
    batched, began = model.max_batch > 0, time.monotonic()
    outputs = [*model.outputs, *([protocol.SPENT] if model.measured else [])]
    request = pb_utils.InferenceRequest(
        model_name=model.name,
        requested_output_names=outputs,
        inputs=[pb_utils.Tensor(protocol.MEMBER_INPUT, pixels if batched else pixels[0])],
        # Else a member on a GPU leaves its outputs there, and NumPy cannot read them.
        preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0),
    )
    try:
        response = request.exec()
    except pb_utils.TritonModelException as error:
        # The model is not loaded; the caller gets Triton's message.
        return Failure(str(error), pb_utils.TritonError.UNAVAILABLE)
    if response.has_error():
        return Failure(response.error().message(), response.error().code())
    tensors = {
        name: pb_utils.get_output_tensor_by_name(response, name).as_numpy() for name in outputs
    }
    if not batched:
        tensors = {name: tensor[None] for name, tensor in tensors.items()}
    if not model.measured:
        ended = time.monotonic()
        seconds = (ended - began) / len(pixels)
        tensors[protocol.SPENT] = spent(seconds, began, ended, len(pixels))
    return tensors
