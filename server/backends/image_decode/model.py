"""Triton backend `image_decode`: BYTES [1] encoded image -> UINT8 [H, W, 3] pixels and measures.

The measures are `protocol.MEASURES`, of the photo's quality; `protocol.SPENT` is what decoding it
cost. For detectors it also answers
`protocol.GEOMETRY`, and a request holds one image: sizes differ, and so does what is found.

Config parameter: `protocol.PIPELINE_PARAMETER`, the served spec. Each request is refused alone, by
a code of `protocol.Refusal`.
"""

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from inference.decode import collect
from inference.errors import RefusedError
from inference.rules import DecodeRules
from pipelines import protocol
from pipelines.enums import Task
from pipelines.protocol import Refusal, Spent
from server.backends.compute import Meter
from server.backends.config import parameters_of, spec_of
from server.backends.decoding import Decoder
from server.backends.failure import Response, apart, expired, refused, unexpected
from server.backends.parameters import costly_apart
from server.backends.request import Array, Request, tensor

ResponseSender: TypeAlias = Any
"""Of a request; it exists inside Triton only."""
_Image: TypeAlias = dict[str, NDArray[Any]]
"""The outputs of one image, by name."""


class TritonPythonModel:
    """One instance: a pool of threads that decode (Pillow releases the GIL)."""

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the spec from the config's parameters."""
        config = json.loads(args["model_config"])
        spec = spec_of(parameters_of(config))
        self._name = args["model_name"]
        self._decode = Decoder(DecodeRules.from_spec(spec))
        self._batched = config["max_batch_size"] > 0
        self._outputs = [output["name"] for output in config["output"]]
        self._located = Task(spec["task"]) is not Task.CLASSIFICATION
        self._threads = spec["serving"]["decode"]["threads"]
        self._pool = ThreadPoolExecutor(self._threads)
        self._meter = Meter()

    def execute(self, requests: list[Request]) -> list[Response] | None:
        """Decodes all images of all requests side by side; costly ones later, after others."""
        self._meter.begin()
        encoded = [tensor(request, protocol.ENCODED_IMAGE).reshape(-1) for request in requests]
        costly = list(map(self._decode.costly, encoded))
        if not any(costly):
            return self._responses(encoded)
        senders = [request.get_response_sender() for request in requests]
        for request, sender, files, later in zip(requests, senders, encoded, costly, strict=True):
            if later and costly_apart(request.parameters()):
                _send(sender, apart().response())
            elif later:
                self._decode.later(partial(self._answer_one, sender, files))
        others = [index for index, later in enumerate(costly) if not later]
        answers = self._responses([encoded[index] for index in others])
        for index, response in zip(others, answers, strict=True):
            _send(senders[index], response)
        return None

    def _answer_one(self, sender: ResponseSender, files: NDArray[np.object_], late: bool) -> None:
        """Answers a request after `execute` has returned."""
        try:
            if late:
                response = expired().response()
            else:
                (images,) = self._decoded([files])
                response = self._response(images)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets an answer
            response = unexpected(self._name, error).response()
        _send(sender, response)

    def _responses(self, encoded: list[NDArray[np.object_]]) -> list[Response]:
        """Decodes a batch and answers it; its images share what the process spent beside them."""
        requests = self._decoded(encoded)
        images = [each for request in requests if isinstance(request, list) for each in request]
        if images:
            own = sum(float(image[protocol.SPENT][Spent.SECONDS]) for image in images)
            shared = max(self._meter.lap() - own, 0.0) / len(images)
            for image in images:
                image[protocol.SPENT][Spent.SECONDS] += shared
        return [self._response(request) for request in requests]

    def _decoded(self, encoded: list[NDArray[np.object_]]) -> list[list[_Image] | RefusedError]:
        """The images of each request, or why it is refused."""
        # To hand a single image to another thread costs more than it can save.
        side_by_side = self._threads > 1 and sum(map(len, encoded)) > 1
        started = [self._start(files, side_by_side=side_by_side) for files in encoded]
        return [
            _finished(images, len(files)) for images, files in zip(started, encoded, strict=True)
        ]

    def finalize(self) -> None:
        """Ends the threads."""
        self._decode.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(
        self, files: NDArray[np.object_], *, side_by_side: bool
    ) -> Iterable[_Image] | RefusedError:
        """A request's images, which are decoded from now on or as they are asked for."""
        if self._located and len(files) != 1:
            return RefusedError(
                Refusal.IMAGES_MANY,
                f"the request has {len(files)} images: send one image a request; "
                "send several requests at once.",
            )
        each = self._pool.map if side_by_side else map
        return each(self._decode, files)

    def _response(self, images: list[_Image] | RefusedError) -> Response:
        if isinstance(images, RefusedError):
            return refused(images).response()
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor(name, self._together([each[name] for each in images]))
                for name in self._outputs
            ]
        )

    def _together(self, parts: Sequence[Array]) -> Array:
        if len(parts) > 1:
            return np.stack(parts)
        return parts[0][None] if self._batched else parts[0]


def _finished(images: Iterable[_Image] | RefusedError, count: int) -> list[_Image] | RefusedError:
    if isinstance(images, RefusedError):
        return images
    try:
        return collect(images, count)
    except RefusedError as error:
        return error


def _send(sender: ResponseSender, response: Response) -> None:
    sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
