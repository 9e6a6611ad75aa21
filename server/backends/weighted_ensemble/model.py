"""Triton backend `weighted_ensemble`: asks the members, makes one decision (formulas: decision.py).

Input: UINT8 `protocol.PIXELS` [H, W, 3]. Outputs: `protocol.Output`.
Config parameters: `decision` (JSON: classes, positive, threshold, members,
weights, uncertainty), `models` (JSON: name and largest batch
of each member's model) and, from the launcher, `release`. Request parameters: `protocol.Parameter`;
each request of a batch keeps its own, and is refused alone. Only members that some request hears
are asked (docs/decisions/0008).

Where the input is `protocol.ENCODED_IMAGE`, this process also decodes and runs the members itself
(docs/decisions/0017): with the config parameters of `image_decode`, each member's artefact, threads
and acceleration in `models`, and the launcher's `artefacts`.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from inference.decision import Answer, Facts, decide
from inference.errors import RefusedError
from pipelines import protocol
from pipelines.protocol import Delta, Output
from server.backends.choice import Choice, Choices
from server.backends.company import Company
from server.backends.core import settle
from server.backends.failure import Failure, Response, refused, unexpected
from server.backends.members import Answering, Question, Reply, ask, models_of, through_triton
from server.backends.request import Request, chosen, tensor


@dataclass(frozen=True)
class _Asked:
    """One request that is not refused."""

    choice: Choice
    pixels: NDArray[np.uint8]


class TritonPythonModel:
    """One instance; it holds facts only, no state between requests."""

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the facts from the config's parameters."""
        self._name = args["model_name"]
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
        self._answering: Answering = through_triton
        self._read: Callable[[Request], NDArray[np.uint8]] = _pixels
        self._runs_members = any(item["name"] == protocol.ENCODED_IMAGE for item in config["input"])
        if self._runs_members:
            # It needs ONNX Runtime; where native backends run members, there is none.
            from server.backends.in_process import Decoding, InProcess  # noqa: PLC0415

            processes = sum(group["count"] for group in config["instance_group"])
            folder = Path(args["model_repository"])
            members = InProcess(folder, parameters, processes, Company().rests)
            decoding, self._answering = Decoding(parameters), members.answer
            self._read = lambda request: decoding(tensor(request, protocol.ENCODED_IMAGE))
            # Last: the threads of the sessions may run on any core.
            settle(int(args["model_instance_name"].rpartition("_")[2]), processes)

    def execute(self, requests: list[Request]) -> list[Response] | None:
        """Answers all together; where it runs members itself, in parts, each when it is done."""
        if not self._runs_members:
            return self._answers(requests)
        parts = list(self._parts(requests))
        if len(parts) == 1:
            return self._answers(parts[0])
        for part in parts:
            self._send(part)
        return None

    def _parts(self, requests: list[Request]) -> Iterator[list[Request]]:
        """Requests of the same choice, as many as its members take at once.

        Who asks members that take one image at a time does not wait for a neighbour's.
        """
        alike: dict[str, list[Request]] = {}
        for request in requests:
            alike.setdefault(request.parameters(), []).append(request)
        for group in alike.values():
            choice, size = chosen(group[0], self._choices), 1
            if isinstance(choice, Choice):
                heard = self._facts.heard(choice.member)
                size = min(self._models[member].max_batch for member in heard)
            for start in range(0, len(group), size):
                yield group[start : start + size]

    def _send(self, part: list[Request]) -> None:
        """Answers requests before others of their batch."""
        senders = [request.get_response_sender() for request in part]
        for sender, response in zip(senders, self._answers(part), strict=True):
            sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def _answers(self, requests: list[Request]) -> list[Response]:
        """Answers requests together; what nobody expected is told without its words."""
        try:
            return self._answered([self._asked(request) for request in requests])
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers get an answer
            failure = unexpected(self._name, error)
            return [failure.response() for _ in requests]

    def _asked(self, request: Request) -> _Asked | Response:
        """What one request asks, or the response that refuses it."""
        choice = chosen(request, self._choices)
        if not isinstance(choice, Choice):
            return choice
        try:
            return _Asked(choice, self._read(request))
        except RefusedError as error:
            return refused(error).response()

    def _answered(self, read: list[_Asked | Response]) -> list[Response]:
        """Asks each member once, about all images that it is heard on; decides one by one."""
        questions = [
            question
            for asked in read
            if isinstance(asked, _Asked)
            for question in self._questions(asked)
        ]
        replies = iter(ask(questions, [protocol.MEMBER_OUTPUT], self._answering))
        return [
            self._decide(replies, asked.choice) if isinstance(asked, _Asked) else asked
            for asked in read
        ]

    def _questions(self, asked: _Asked) -> Iterator[Question]:
        pixels = asked.pixels if self._batched else asked.pixels[None]
        for member in self._facts.heard(asked.choice.member):
            yield Question(self._models[member], pixels)

    def _decide(self, replies: Iterator[Reply], choice: Choice) -> Response:
        logits: dict[int, NDArray[np.float32]] = {}
        failures: list[Failure] = []
        for member in self._facts.heard(choice.member):
            reply = next(replies)
            if isinstance(reply, Failure):
                failures.append(reply)
            else:
                logits[member] = reply[protocol.MEMBER_OUTPUT]
        if failures:
            return failures[0].response()
        try:
            answer = decide(logits, self._facts, choice.threshold)
        except RefusedError as error:
            return refused(error).response()
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


def _pixels(request: Request) -> NDArray[np.uint8]:
    return tensor(request, protocol.PIXELS)
