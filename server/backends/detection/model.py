"""Triton backend `detection`: asks a detector, answers boxes, masks and a picture of them.

Inputs: UINT8 `protocol.PIXELS` [H, W, 3], FP64 `protocol.GEOMETRY` [6], BYTES
`protocol.ENCODED_IMAGE` [1], one image a request. Outputs: `protocol.Detected`.
Config parameters: `decision` (JSON: classes, threshold,
members, weights, masks), `models` (JSON: name and largest batch of each member's model) and, from
the launcher, `release`. Request parameters: `protocol.Parameter`; each request of a batch keeps its
own, and is refused alone. The encoded image is read only where a picture is asked for.
"""

import json

import numpy as np
import triton_python_backend_utils as pb_utils
from PIL import Image

from inference.answer import Tensors, located
from inference.candidates import Candidates
from inference.detection_facts import Facts
from inference.detections import find
from inference.drawing import draw
from inference.errors import RefusedError
from inference.resize import Geometry
from pipelines import protocol
from pipelines.protocol import Delta, Detected, DetectorOutput, Parameter
from server.backends.choice import Choice, Choices
from server.backends.failure import Failure, Response, refused, unexpected
from server.backends.members import Question, Reply, ask, models_of, through_triton
from server.backends.request import Array, Request, chosen, tensor


class TritonPythonModel:
    """One instance; it holds facts only, no state between requests."""

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the facts from the config's parameters."""
        config = json.loads(args["model_config"])
        parameters = {key: item["string_value"] for key, item in config["parameters"].items()}
        self._name = args["model_name"]
        self._facts = Facts.from_json(parameters["decision"])
        flags = (Parameter.VISUALIZATION, Parameter.POLYGONS)
        self._choices = Choices(
            members=self._facts.members,
            bounds=self._facts.bounds,
            flags=flags if self._facts.masks else flags[:1],
        )
        self._release = parameters[Delta.RELEASE].encode()
        self._models = models_of(parameters["models"], self._facts.members)
        without = set() if self._facts.masks else {DetectorOutput.MASKS}
        self._outputs = [name for name in DetectorOutput if name not in without]
        # Decode has checked the size.
        Image.MAX_IMAGE_PIXELS = None

    def execute(self, requests: list[Request]) -> list[Response]:
        """Asks the member about all images, then answers request by request."""
        choices = [chosen(request, self._choices) for request in requests]
        asked = [
            Question(self._models[self._member(choice)], tensor(request, protocol.PIXELS))
            for request, choice in zip(requests, choices, strict=True)
            if isinstance(choice, Choice)
        ]
        replies = iter(ask(asked, self._outputs, through_triton))
        return [
            self._respond(request, choice, next(replies)) if isinstance(choice, Choice) else choice
            for request, choice in zip(requests, choices, strict=True)
        ]

    def _member(self, choice: Choice) -> int:
        return self._facts.asked if choice.member is None else choice.member

    def _respond(self, request: Request, choice: Choice, reply: Reply) -> Response:
        if isinstance(reply, Failure):
            return reply.response()
        try:
            tensors = self._answer(request, choice, reply)
        except RefusedError as error:
            return refused(error).response()
        except Exception as error:  # noqa: BLE001 - the batch's other requests are answered
            return unexpected(self._name, error).response()
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(name, array[None]) for name, array in tensors.items()]
        )

    def _answer(self, request: Request, choice: Choice, outputs: dict[str, Array]) -> Tensors:
        facts = self._facts
        geometry = Geometry.of(tensor(request, protocol.GEOMETRY)[0])
        member = facts.members[self._member(choice)]
        candidates = Candidates.of(outputs, member=member, classes=len(facts.classes))
        threshold = facts.threshold if choice.threshold is None else choice.threshold
        found = find(candidates, geometry, threshold)
        frame = (geometry.height, geometry.width)
        picture = b""
        if choice.visualization:
            encoded = tensor(request, protocol.ENCODED_IMAGE)[0, 0]
            picture = draw(encoded, found, facts.classes)
        return located(found, frame, polygons=choice.polygons) | {
            Detected.IMAGE_SIZE: np.array(frame, dtype=np.int32),
            Detected.THRESHOLD: np.array([threshold], dtype=np.float32),
            Detected.VISUALIZATION: np.array([picture], dtype=np.object_),
            Detected.RELEASE: np.array([self._release], dtype=np.object_),
        }
