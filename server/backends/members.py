"""Asking members: many questions, in as few calls as a model's batch allows.

Called from a decision step, all at once, and not as parallel steps of Triton's ensemble: those
crash Triton when a caller cancels (docs/decisions/0006). Only inside Triton: it needs pb_utils.
"""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from pipelines import protocol
from server.backends.failure import Failure
from server.backends.rows import missing

_THREADS = ThreadPoolExecutor(thread_name_prefix="member")
"""They wait for Triton, without the GIL."""

Outputs: TypeAlias = dict[str, NDArray[Any]]
Reply: TypeAlias = Outputs | Failure
"""A member's outputs by name, one row for each image asked about; or why there are none."""


@dataclass(frozen=True)
class Model:
    """A member as Triton knows it."""

    name: str
    max_batch: int
    """Images in one call at most; 0 for a model that takes one without a batch dimension."""


def models_of(parameter: str, members: Sequence[str]) -> list[Model]:
    """The models of members, in their order, by the config parameter `models`."""
    models = json.loads(parameter)
    return [Model(models[member]["name"], models[member]["max_batch"]) for member in members]


@dataclass(frozen=True)
class Question:
    """Images that one model is asked about."""

    model: Model
    pixels: NDArray[np.uint8]
    """[N, H, W, 3]; N is 1 for a model that takes no batches."""


Call: TypeAlias = tuple[Model, NDArray[np.uint8]]
"""A model, and the images that it is asked about at once, [N, H, W, 3]."""
Answering: TypeAlias = Callable[[Sequence[Call], Sequence[str]], list[Reply]]
"""Answers calls by the outputs of these names; replies in their order."""


def ask(questions: Sequence[Question], outputs: Sequence[str], answer: Answering) -> list[Reply]:
    """Asks all questions, those to one model together; replies in their order."""
    groups: dict[object, list[int]] = {}
    for index, question in enumerate(questions):
        # What takes no batches has images of any size, which do not stack.
        groups.setdefault(question.model if question.model.max_batch else index, []).append(index)
    asked = [_Together([questions[index] for index in group]) for group in groups.values()]
    calls = [call for group in asked for call in group.calls]
    answers = zip(calls, answer(calls, outputs), strict=True)
    parts = iter([_complete(*pair) for pair in answers])
    replies: dict[int, Reply] = {}
    for indices, group in zip(groups.values(), asked, strict=True):
        dealt = group.deal([next(parts) for _ in group.spans])
        replies.update(zip(indices, dealt, strict=True))
    return [replies[index] for index in range(len(questions))]


def through_triton(calls: Sequence[Call], outputs: Sequence[str]) -> list[Reply]:
    """Asks models that Triton has loaded (BLS), side by side.

    The last from here, the others from threads; Triton's `async_exec` starts threads for each call.
    """
    if not calls:
        return []
    started = [_THREADS.submit(_call, *call, outputs) for call in calls[:-1]]
    last = _call(*calls[-1], outputs)
    return [*(call.result() for call in started), last]


class _Together:
    """Questions to one model, in as few calls as its batches allow."""

    def __init__(self, questions: list[Question]) -> None:
        self._sizes = [len(question.pixels) for question in questions]
        pixels = [question.pixels for question in questions]
        together = pixels[0] if len(pixels) == 1 else np.concatenate(pixels)
        model = questions[0].model
        # Calls of even size, so that none of several instances has to wait for another.
        count = -(-len(together) // max(model.max_batch, 1))
        self.spans = list(pairwise(len(together) * call // count for call in range(count + 1)))
        """First image and end of each call."""
        self.calls = [(model, together[start:end]) for start, end in self.spans]

    def deal(self, parts: Sequence[Reply]) -> list[Reply]:
        """The reply to each question out of those to the calls."""
        replies: list[Reply] = []
        end = 0
        for size in self._sizes:
            start, end = end, end + size
            heard = [
                part if isinstance(part, Failure) else _rows(part, start - first, end - first)
                for part, (first, last) in zip(parts, self.spans, strict=True)
                if first < end and start < last
            ]
            replies.append(_joined(heard))
        return replies


def _complete(call: Call, reply: Reply) -> Reply:
    """A reply with a row for each image, or the failure to give them."""
    model, pixels = call
    if isinstance(reply, Failure):
        return reply
    return missing(model.name, len(pixels), reply.values()) or reply


def _rows(part: Outputs, start: int, end: int) -> Outputs:
    return {name: tensor[max(start, 0) : end] for name, tensor in part.items()}


def _joined(parts: list[Reply]) -> Reply:
    whole: list[Outputs] = []
    for part in parts:
        if isinstance(part, Failure):
            return part
        whole.append(part)
    if len(whole) == 1:
        return whole[0]
    return {name: np.concatenate([part[name] for part in whole]) for name in whole[0]}


def _call(model: Model, pixels: NDArray[np.uint8], outputs: Sequence[str]) -> Reply:
    batched = model.max_batch > 0
    request = pb_utils.InferenceRequest(
        model_name=model.name,
        requested_output_names=list(outputs),
        inputs=[pb_utils.Tensor(protocol.MEMBER_INPUT, pixels if batched else pixels[0])],
    )
    try:
        response = request.exec()
    except pb_utils.TritonModelException as error:
        # A model that is not loaded; Triton's words for it are the caller's, too.
        return Failure(str(error), pb_utils.TritonError.UNAVAILABLE)
    if response.has_error():
        return Failure(response.error().message(), response.error().code())
    tensors = {
        name: pb_utils.get_output_tensor_by_name(response, name).as_numpy() for name in outputs
    }
    return tensors if batched else {name: tensor[None] for name, tensor in tensors.items()}
