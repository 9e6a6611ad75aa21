"""Triton backend `image_decode`: BYTES [1] encoded image -> UINT8 [H, W, 3] pixels.

Config parameters: `preprocessing` and `limits` (JSON of the spec's), `threads` (images of a batch
that are decoded side by side). Each request is refused alone, by a code of `wire.Refusal`.
"""

import json
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray
from PIL import Image

from pipelines import wire
from server.backends.image_decode.decode import Recipe, decode
from server.backends.refusal import RefusedError

# pb_utils.InferenceRequest and InferenceResponse, which exist inside Triton only.
Request: TypeAlias = Any
Response: TypeAlias = Any


class TritonPythonModel:
    """One instance: a pool of threads that decode (Pillow lets go of the GIL)."""

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the recipe from the config's parameters."""
        config = json.loads(args["model_config"])
        facts = {key: item["string_value"] for key, item in config["parameters"].items()}
        self._recipe = Recipe.from_json(facts["preprocessing"], facts["limits"])
        self._batched = config["max_batch_size"] > 0
        self._pool = ThreadPoolExecutor(int(facts["threads"]))
        # The recipe's own limit is checked instead, before anything is decoded.
        Image.MAX_IMAGE_PIXELS = None

    def execute(self, requests: list[Request]) -> list[Response]:
        """Decodes all images of all requests side by side; answers in the requests' order."""
        started = [self._start(request) for request in requests]
        return [self._finish(pixels) for pixels in started]

    def finalize(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(self, request: Request) -> list[Future[NDArray[np.uint8]]]:
        encoded = pb_utils.get_input_tensor_by_name(request, wire.ENCODED_IMAGE).as_numpy()
        return [self._pool.submit(decode, data, self._recipe) for data in encoded.reshape(-1)]

    def _finish(self, images: list[Future[NDArray[np.uint8]]]) -> Response:
        pixels = []
        for index, image in enumerate(images):
            try:
                pixels.append(image.result())
            except RefusedError as error:
                where = f"image {index}: " if len(images) > 1 else ""
                message = wire.refusal(error.code, where + error.text)
                for other in images:
                    other.cancel()
                return pb_utils.InferenceResponse(
                    error=pb_utils.TritonError(message, pb_utils.TritonError.INVALID_ARG)
                )
        answer = np.stack(pixels) if self._batched else pixels[0]
        return pb_utils.InferenceResponse([pb_utils.Tensor(wire.PIXELS, answer)])
