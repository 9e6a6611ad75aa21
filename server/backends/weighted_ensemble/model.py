"""Triton backend `weighted_ensemble`: asks the members, makes one decision (formulas: decision.py).

Input: UINT8 `wire.PIXELS` [H, W, 3]. Outputs: `wire.Output`. Config parameters: `decision` (JSON:
classes, positive, threshold, members, weights, uncertainty), `models` (JSON: Triton's model of each
member) and, from the launcher, `release`. Request parameters: `wire.Parameter`; each request of a
batch keeps its own, and is refused alone.

The members are called from here, all at once, not as parallel steps of Triton's ensemble: those
crash Triton when a caller cancels (docs/decisions/0006).
"""

import asyncio
import json
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from pipelines import wire
from pipelines.wire import Delta, Output, Refusal
from server.backends.failure import failed
from server.backends.refusal import RefusedError
from server.backends.weighted_ensemble.choice import Choice, Choices, parse
from server.backends.weighted_ensemble.decision import Answer, Facts, decide

# pb_utils.InferenceRequest and InferenceResponse, which exist inside Triton only.
Request: TypeAlias = Any
Response: TypeAlias = Any
Logits: TypeAlias = tuple[NDArray[np.float32], ...]
"""Of each member in order, FP32 [N, K] or [N, 1]."""


class TritonPythonModel:
    """One instance; it holds facts only, no state between requests."""

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the facts from the config's parameters."""
        config = json.loads(args["model_config"])
        parameters = {key: item["string_value"] for key, item in config["parameters"].items()}
        self._facts = Facts.from_json(parameters["decision"])
        bounds = json.loads(parameters["decision"])["threshold"]
        self._choices = Choices(
            classes=len(self._facts.classes),
            members=self._facts.members,
            bounds=bounds and (float(bounds["minimum"]), float(bounds["maximum"])),
        )
        self._release = parameters[Delta.RELEASE].encode()
        models = json.loads(parameters["models"])
        self._models = [models[member] for member in self._facts.members]
        self._batched = config["max_batch_size"] > 0

    async def execute(self, requests: list[Request]) -> list[Response]:
        """Asks each member once about all images, then decides request by request."""
        choices = [self._read(request) for request in requests]
        asked = [
            request
            for request, choice in zip(requests, choices, strict=True)
            if isinstance(choice, Choice)
        ]
        opinions = iter(await self._opinions(asked) if asked else ())
        return [
            self._decide(next(opinions), choice) if isinstance(choice, Choice) else choice
            for choice in choices
        ]

    def _read(self, request: Request) -> Choice | Response:
        try:
            return self._choices.read(parse(request.parameters()))
        except RefusedError as error:
            return _refused(error)

    async def _opinions(self, requests: Sequence[Request]) -> Iterable[Logits | Response]:
        """For each request the members' logits, or the error that they gave."""
        pixels = [
            pb_utils.get_input_tensor_by_name(request, wire.PIXELS).as_numpy()
            for request in requests
        ]
        if not self._batched:
            pixels = [image[None] for image in pixels]
        batch = pixels[0] if len(pixels) == 1 else np.concatenate(pixels)
        try:
            replies = await asyncio.gather(*(_ask(model, batch) for model in self._models))
        except pb_utils.TritonModelException as error:
            # A model that is not loaded; Triton's words for it are the caller's, too.
            return failed(str(error), pb_utils.TritonError.UNAVAILABLE, len(requests))
        for reply in replies:
            if reply.has_error():
                failure = reply.error()
                return failed(failure.message(), failure.code(), len(requests))
        ends = np.cumsum([len(images) for images in pixels])[:-1]
        logits = [
            np.split(pb_utils.get_output_tensor_by_name(reply, wire.MEMBER_OUTPUT).as_numpy(), ends)
            for reply in replies
        ]
        return zip(*logits, strict=True)

    def _decide(self, opinion: Logits | Response, choice: Choice) -> Response:
        if not isinstance(opinion, tuple):
            return opinion
        try:
            answer = decide(opinion, self._facts, choice)
        except RefusedError as error:
            return _refused(error)
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(name, tensor) for name, tensor in self._tensors(answer)]
        )

    def _tensors(self, answer: Answer) -> list[tuple[str, NDArray[Any]]]:
        images = len(answer.prediction)
        tensors: dict[Output, NDArray[Any]] = {
            Output.PROBABILITIES: answer.probabilities,
            Output.MEMBER_PROBABILITIES: answer.member_probabilities,
            Output.MEMBER_PREDICTION: answer.member_prediction,
            Output.PREDICTION: answer.prediction[:, None],
            Output.CONFIDENCE: answer.confidence[:, None],
            Output.DISAGREEMENT: answer.disagreement[:, None],
            Output.ENTROPY: answer.entropy[:, None],
            Output.THRESHOLD: answer.threshold[:, None],
            Output.UNCERTAINTY_LEVEL: answer.uncertainty_level[:, None],
            Output.RELEASE: np.full((images, 1), self._release, dtype=object),
        }
        return [
            (str(name), np.ascontiguousarray(tensor if self._batched else tensor[0]))
            for name, tensor in tensors.items()
        ]


async def _ask(model: str, pixels: NDArray[np.uint8]) -> Response:
    request = pb_utils.InferenceRequest(
        model_name=model,
        requested_output_names=[wire.MEMBER_OUTPUT],
        inputs=[pb_utils.Tensor(wire.MEMBER_INPUT, pixels)],
    )
    return await request.async_exec()


def _refused(error: RefusedError) -> Response:
    codes = pb_utils.TritonError
    code = codes.INTERNAL if error.code is Refusal.MODEL_OUTPUT else codes.INVALID_ARG
    return pb_utils.InferenceResponse(error=codes(str(error), code))
