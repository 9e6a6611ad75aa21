"""A Triton backend that waits as long for any batch as for one image, like a GPU with free room.

Only inside Triton: it needs pb_utils.
"""

import json
import time
from typing import Any, TypeAlias

import numpy as np
import triton_python_backend_utils as pb_utils

Request: TypeAlias = Any
Response: TypeAlias = Any
"""Of pb_utils, which exist inside Triton only."""


class TritonPythonModel:
    """Answers each image with the same logits, after `delay_ms` for the whole batch."""

    def initialize(self, args: dict[str, str]) -> None:
        """Reads the config."""
        config = json.loads(args["model_config"])
        self._seconds = int(config["parameters"]["delay_ms"]["string_value"]) / 1000
        self._input = config["input"][0]["name"]
        self._output = config["output"][0]["name"]
        self._logits = np.arange(int(config["output"][0]["dims"][0]), dtype=np.float32)

    def execute(self, requests: list[Request]) -> list[Response]:
        """One wait for all requests."""
        time.sleep(self._seconds)
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Response:
        tensor = pb_utils.get_input_tensor_by_name(request, self._input)
        logits = np.tile(self._logits, (tensor.shape()[0], 1))
        return pb_utils.InferenceResponse([pb_utils.Tensor(self._output, logits)])
