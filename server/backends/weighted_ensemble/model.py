"""Triton backend `weighted_ensemble`: asks the members, makes one decision (formulas: decision.py).

Input: UINT8 `wire.PIXELS` [H, W, 3]. Outputs: `wire.Output`. Config parameters: `decision` (JSON:
classes, positive, threshold, members, weights, uncertainty), `models` (JSON: name and largest batch
of each member's model) and, from the launcher, `release`. Request parameters: `wire.Parameter`;
each request of a batch keeps its own, and is refused alone. Only members that some request hears
are asked (docs/decisions/0008).
"""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from pipelines import wire
from pipelines.wire import Delta, Output
from server.backends.choice import Choice, Choices
from server.backends.failure import Failure, Response, refused
from server.backends.members import Question, Reply, ask, models_of
from server.backends.refusal import RefusedError
from server.backends.request import Request, chosen, tensor
from server.backends.weighted_ensemble.decision import Answer, Facts, decide


class TritonPythonModel:
    """One instance; it holds facts only, no state between requests."""

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the facts from the config's parameters."""
        config = json.loads(args["model_config"])
        parameters = {key: item["string_value"] for key, item in config["parameters"].items()}
        self._facts = Facts.from_json(parameters["decision"])
        bounds = json.loads(parameters["decision"])["threshold"]
        self._choices = Choices(
            members=self._facts.members,
            bounds=bounds and (float(bounds["minimum"]), float(bounds["maximum"])),
            top_k=None if bounds else len(self._facts.classes),
        )
        self._release = parameters[Delta.RELEASE].encode()
        self._models = models_of(parameters["models"], self._facts.members)
        self._batched = config["max_batch_size"] > 0

    def execute(self, requests: list[Request]) -> list[Response]:
        """Asks each member once, about all images that it is heard on; decides one by one."""
        choices = [chosen(request, self._choices) for request in requests]
        questions = [
            question
            for request, choice in zip(requests, choices, strict=True)
            if isinstance(choice, Choice)
            for question in self._questions(request, choice)
        ]
        replies = iter(ask(questions, [wire.MEMBER_OUTPUT]))
        return [
            self._decide(replies, choice) if isinstance(choice, Choice) else choice
            for choice in choices
        ]

    def _questions(self, request: Request, choice: Choice) -> Iterator[Question]:
        pixels = tensor(request, wire.PIXELS)
        for member in self._facts.heard(choice.member):
            yield Question(self._models[member], pixels if self._batched else pixels[None])

    def _decide(self, replies: Iterator[Reply], choice: Choice) -> Response:
        logits: dict[int, NDArray[np.float32]] = {}
        failures: list[Failure] = []
        for member in self._facts.heard(choice.member):
            reply = next(replies)
            if isinstance(reply, Failure):
                failures.append(reply)
            else:
                logits[member] = reply[wire.MEMBER_OUTPUT]
        if failures:
            return failures[0].response()
        try:
            answer = decide(logits, self._facts, choice.threshold)
        except RefusedError as error:
            return refused(error)
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(*named) for named in self._tensors(answer)]
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
            (str(name), np.ascontiguousarray(array if self._batched else array[0]))
            for name, array in tensors.items()
        ]
