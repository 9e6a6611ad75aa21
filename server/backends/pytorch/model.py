"""Triton backend `pytorch` (TorchScript), for the embedded Triton, which lacks the native one.

Honours what the native backend documents and this project's configs use:
`default_model_filename`, `max_batch_size: 0`, tensors ordered by `INPUT__0` / `OUTPUT__0`,
instance kinds and the parameters `INTRA_OP_THREAD_COUNT`, `INTER_OP_THREAD_COUNT`,
`DISABLE_OPTIMIZED_EXECUTION`.
https://github.com/triton-inference-server/pytorch_backend#parameters
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import triton_python_backend_utils as pb_utils

from server.backends.config import parameters_of
from server.backends.failure import Failure, Response
from server.backends.request import Request, tensor
from server.backends.rows import split_rows


class TritonPythonModel:
    """One instance: one module, one forward pass for each batch that Triton forms."""

    def initialize(self, args: dict[str, str]) -> None:
        """Opens the artefact; raises what torch says where it cannot."""
        config = json.loads(args["model_config"])
        parameters = parameters_of(config)
        if threads := int(parameters.get("INTRA_OP_THREAD_COUNT", "0")):
            torch.set_num_threads(threads)
        if threads := int(parameters.get("INTER_OP_THREAD_COUNT", "0")):
            torch.set_num_interop_threads(threads)
        self._optimized = parameters.get("DISABLE_OPTIMIZED_EXECUTION", "false").lower() != "true"
        self._name = args["model_name"]
        self._inputs = sorted((item["name"] for item in config["input"]), key=_position)
        self._outputs = sorted((item["name"] for item in config["output"]), key=_position)
        self._batched = config["max_batch_size"] > 0
        on_gpu = args["model_instance_kind"] == "GPU"
        self._device = torch.device(f"cuda:{args['model_instance_device_id']}" if on_gpu else "cpu")
        folder = Path(args["model_repository"], args["model_version"])
        artefact = folder / (config["default_model_filename"] or "model.pt")
        self._module = torch.jit.load(  # type: ignore[no-untyped-call]
            artefact, map_location=self._device
        ).eval()

    def execute(self, requests: list[Request]) -> list[Response]:
        """One forward pass over all requests; each gets its own rows of the outputs."""
        if not self._batched:
            return [answer for request in requests for answer in self._run([request])]
        return self._run(requests)

    def _run(self, requests: list[Request]) -> list[Response]:
        try:
            parts = [[tensor(request, name) for request in requests] for name in self._inputs]
            feed = [
                torch.from_numpy(tensors[0] if len(tensors) == 1 else np.concatenate(tensors))
                for tensors in parts
            ]
            outputs = self._forward(feed)
        except Exception as error:  # noqa: BLE001 - whatever it is, callers get no traceback
            pb_utils.Logger.log_error(f"{self._name}: {error}")
            message = f"{self._name}: the forward pass failed; the server's log says why"
            failure = Failure(message, pb_utils.TritonError.INTERNAL)
            return [failure.response() for _ in requests]
        if not self._batched:
            return [self._answer(outputs)]
        split = split_rows(self._name, [len(tensor) for tensor in parts[0]], outputs)
        if isinstance(split, Failure):
            return [split.response() for _ in requests]
        return [self._answer(tensors) for tensors in split]

    def _forward(self, feed: list[torch.Tensor]) -> list[np.ndarray[Any, Any]]:
        optimized = torch.jit.optimized_execution  # type: ignore[attr-defined]
        with torch.inference_mode(), optimized(self._optimized):
            answer = self._module(*(tensor.to(self._device) for tensor in feed))
        tensors = [answer] if isinstance(answer, torch.Tensor) else list(answer)
        if len(tensors) != len(self._outputs):
            raise ValueError(f"{len(tensors)} outputs where the config names {len(self._outputs)}")
        return [np.ascontiguousarray(tensor.cpu().numpy()) for tensor in tensors]

    def _answer(self, tensors: list[np.ndarray[Any, Any]]) -> Response:
        named = zip(self._outputs, tensors, strict=True)
        return pb_utils.InferenceResponse([pb_utils.Tensor(*item) for item in named])


def _position(name: str) -> int:
    """The N of `INPUT__N` or `OUTPUT__N`, which is the place among forward's arguments."""
    return int(name.rsplit("__", 1)[1])
