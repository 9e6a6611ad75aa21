"""Triton backend `image_decode`: BYTES [1] encoded image -> UINT8 [H, W, 3] pixels and measures.

The measures are `protocol.MEASURES`, of the photo's quality. For detectors it also answers
`protocol.GEOMETRY`, and a request holds one image: sizes differ, and so does what is found.

Config parameter: `protocol.PIPELINE_PARAMETER`, the served spec. Each request is refused alone, by
a code of `protocol.Refusal`.
"""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray
from PIL import Image

from inference.decode import Decoded, collect, decode
from inference.errors import RefusedError
from inference.rules import DecodeRules
from pipelines import protocol
from pipelines.enums import Task
from pipelines.protocol import Refusal
from server.backends.config import parameters_of, spec_of
from server.backends.failure import Response, refused
from server.backends.request import Array, Request, tensor


class TritonPythonModel:
    """One instance: a pool of threads that decode (Pillow releases the GIL)."""

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the spec from the config's parameters."""
        config = json.loads(args["model_config"])
        spec = spec_of(parameters_of(config))
        self._rules = DecodeRules.from_spec(spec)
        self._batched = config["max_batch_size"] > 0
        self._outputs = [output["name"] for output in config["output"]]
        self._located = Task(spec["task"]) is not Task.CLASSIFICATION
        self._threads = spec["serving"]["decode"]["threads"]
        self._pool = ThreadPoolExecutor(self._threads)
        # The pipeline's own limit is checked instead, before anything is decoded.
        Image.MAX_IMAGE_PIXELS = None

    def execute(self, requests: list[Request]) -> list[Response]:
        """Decodes all images of all requests side by side; answers in the requests' order."""
        encoded = [tensor(request, protocol.ENCODED_IMAGE).reshape(-1) for request in requests]
        # To hand a single image to another thread costs more than it can save.
        side_by_side = self._threads > 1 and sum(map(len, encoded)) > 1
        started = [self._start(files, side_by_side=side_by_side) for files in encoded]
        return [
            self._finish(images, len(files)) for images, files in zip(started, encoded, strict=True)
        ]

    def finalize(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(
        self, files: NDArray[np.object_], *, side_by_side: bool
    ) -> Iterable[Decoded] | RefusedError:
        """A request's images, which are decoded from now on or as they are asked for."""
        if self._located and len(files) != 1:
            return RefusedError(
                Refusal.IMAGES_MANY,
                f"the request has {len(files)} images: send one image a request; "
                "send several requests at once.",
            )
        each = self._pool.map if side_by_side else map
        return each(decode, files, repeat(self._rules))

    def _finish(self, images: Iterable[Decoded] | RefusedError, count: int) -> Response:
        if isinstance(images, RefusedError):
            return refused(images).response()
        try:
            decoded = collect(images, count)
        except RefusedError as error:
            return refused(error).response()
        images_tensors = [image.tensors() for image in decoded]
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor(name, self._together([each[name] for each in images_tensors]))
                for name in self._outputs
            ]
        )

    def _together(self, parts: list[Array]) -> Array:
        if len(parts) > 1:
            return np.stack(parts)
        return parts[0][None] if self._batched else parts[0]
