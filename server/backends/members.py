"""Asking members through Triton (BLS): many questions, one batched call for each model.

Called from a decision step, all at once, and not as parallel steps of Triton's ensemble: those
crash Triton when a caller cancels (docs/decisions/0006). Only inside Triton: it needs pb_utils.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from pipelines import wire
from server.backends.failure import Failure

Reply: TypeAlias = dict[str, NDArray[Any]] | Failure
"""A member's outputs by name, one row for each image asked about; or why there are none."""


@dataclass(frozen=True)
class Question:
    """Images that one model is asked about."""

    model: str
    pixels: NDArray[np.uint8]
    """[N, H, W, 3]; N is 1 for a model that takes no batches."""


async def ask(
    questions: Sequence[Question], outputs: Sequence[str], *, batched: bool
) -> list[Reply]:
    """Asks all questions side by side; replies in their order.

    Args:
        questions: any number of each model.
        outputs: of the models, by name.
        batched: whether a model answers all its questions in one call, or takes one image
            [H, W, 3] a call.
    """
    together: dict[object, list[int]] = {}
    for index, question in enumerate(questions):
        together.setdefault(question.model if batched else index, []).append(index)
    groups = list(together.values())
    calls = [_call([questions[index] for index in group], outputs, batched) for group in groups]
    replies: dict[int, Reply] = {}
    for group, dealt in zip(groups, await asyncio.gather(*calls), strict=True):
        replies.update(zip(group, dealt, strict=True))
    return [replies[index] for index in range(len(questions))]


async def _call(questions: list[Question], outputs: Sequence[str], batched: bool) -> list[Reply]:
    pixels = [question.pixels for question in questions]
    sent = pixels[0] if len(pixels) == 1 else np.concatenate(pixels)
    request = pb_utils.InferenceRequest(
        model_name=questions[0].model,
        requested_output_names=list(outputs),
        inputs=[pb_utils.Tensor(wire.MEMBER_INPUT, sent if batched else sent[0])],
    )
    try:
        response = await request.async_exec()
    except pb_utils.TritonModelException as error:
        # A model that is not loaded; Triton's words for it are the caller's, too.
        failure = Failure(str(error), pb_utils.TritonError.UNAVAILABLE)
        return [failure for _ in questions]
    if response.has_error():
        failure = Failure(response.error().message(), response.error().code())
        return [failure for _ in questions]
    tensors = {
        name: pb_utils.get_output_tensor_by_name(response, name).as_numpy() for name in outputs
    }
    if not batched:
        return [{name: tensor[None] for name, tensor in tensors.items()}]
    ends = np.cumsum([len(images) for images in pixels])[:-1]
    parts = {name: np.split(tensor, ends) for name, tensor in tensors.items()}
    return [{name: parts[name][place] for name in outputs} for place in range(len(questions))]
