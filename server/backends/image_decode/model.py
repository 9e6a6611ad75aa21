"""Triton backend `image_decode`: BYTES [1] encoded image -> UINT8 [H, W, 3] pixels.

Where the config names the output `wire.GEOMETRY`, that is answered too, and a request holds one
image: their sizes differ, and so does what is found in them.

Config parameters: `preprocessing` and `limits` (JSON of the spec's), `threads` (images of a batch
that are decoded side by side). Each request is refused alone, by a code of `wire.Refusal`.
"""

import json
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import triton_python_backend_utils as pb_utils
from PIL import Image

from pipelines import wire
from pipelines.wire import Refusal
from server.backends.failure import Response, refused
from server.backends.image_decode.decode import Decoded, decode
from server.backends.image_decode.recipe import Recipe
from server.backends.refusal import RefusedError
from server.backends.request import Array, Request, tensor


class TritonPythonModel:
    """One instance: a pool of threads that decode (Pillow lets go of the GIL)."""

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the recipe from the config's parameters."""
        config = json.loads(args["model_config"])
        facts = {key: item["string_value"] for key, item in config["parameters"].items()}
        self._recipe = Recipe.from_json(facts["preprocessing"], facts["limits"])
        self._batched = config["max_batch_size"] > 0
        self._located = any(output["name"] == wire.GEOMETRY for output in config["output"])
        self._pool = ThreadPoolExecutor(int(facts["threads"]))
        # The recipe's own limit is checked instead, before anything is decoded.
        Image.MAX_IMAGE_PIXELS = None

    def execute(self, requests: list[Request]) -> list[Response]:
        """Decodes all images of all requests side by side; answers in the requests' order."""
        started = [self._start(request) for request in requests]
        return [self._finish(images) for images in started]

    def finalize(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(self, request: Request) -> list[Future[Decoded]] | Response:
        encoded = tensor(request, wire.ENCODED_IMAGE).reshape(-1)
        if self._located and len(encoded) != 1:
            return refused(
                RefusedError(
                    Refusal.IMAGES_MANY,
                    f"the request has {len(encoded)} images: send one image a request; "
                    "send several requests at once.",
                )
            )
        return [self._pool.submit(decode, data, self._recipe) for data in encoded]

    def _finish(self, images: list[Future[Decoded]] | Response) -> Response:
        if not isinstance(images, list):
            return images
        decoded = []
        for index, image in enumerate(images):
            try:
                decoded.append(image.result())
            except RefusedError as error:
                for other in images:
                    other.cancel()
                where = f"image {index}: " if len(images) > 1 else ""
                return refused(RefusedError(error.code, where + error.text))
        tensors = {wire.PIXELS: [image.pixels for image in decoded]}
        if self._located:
            tensors[wire.GEOMETRY] = [image.geometry.as_array() for image in decoded]
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(name, self._together(parts)) for name, parts in tensors.items()]
        )

    def _together(self, parts: list[Array]) -> Array:
        if len(parts) > 1:
            return np.stack(parts)
        return parts[0][None] if self._batched else parts[0]
