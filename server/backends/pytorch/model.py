"""Triton backend `pytorch` (TorchScript), for the embedded Triton, which lacks the native one.

Honours what the native backend documents and this project's configs use:
`default_model_filename`, `max_batch_size: 0`, tensors ordered by `INPUT__0` / `OUTPUT__0`,
instance kinds and the parameters `INTRA_OP_THREAD_COUNT`, `INTER_OP_THREAD_COUNT`,
`DISABLE_OPTIMIZED_EXECUTION`. Refuses what the native backend refuses (pipelines.native_pytorch).
https://github.com/triton-inference-server/pytorch_backend#parameters
"""

import json
from typing import Any

import numpy as np
import torch
import triton_python_backend_utils as pb_utils

from pipelines import native_pytorch
from pipelines.enums import Format
from pipelines.native_backends import Interface, NativeRefusalError, flag, whole_number
from pipelines.protocol import SPENT
from server.backends.compute import Meter
from server.backends.config import artefact_of, parameters_of, without_spent
from server.backends.failure import Failure, Response, refusing_as_native_backends_do
from server.backends.request import Request, tensor
from server.backends.rows import split_rows


class TritonPythonModel:
    """One instance: one module, one forward pass for each batch that Triton forms."""

    def initialize(self, args: dict[str, str]) -> None:
        """Opens the artefact; raises what torch says where it cannot."""
        with refusing_as_native_backends_do():
            self._open(args, *without_spent(json.loads(args["model_config"])))

    def _open(self, args: dict[str, str], config: dict[str, Any], measures: bool) -> None:
        self._measures = measures
        parameters = parameters_of(config)
        native_pytorch.require_parameters(parameters)
        if (threads := whole_number(parameters, "INTRA_OP_THREAD_COUNT")) > 0:
            torch.set_num_threads(threads)
        if (threads := whole_number(parameters, "INTER_OP_THREAD_COUNT")) > 0:
            torch.set_num_interop_threads(threads)
        self._optimized = not flag(parameters, "DISABLE_OPTIMIZED_EXECUTION")
        self._name = args["model_name"]
        self._interface = Interface.of_config(self._name, config)
        self._batched = self._interface.batched
        on_gpu = args["model_instance_kind"] == "GPU"
        self._device = torch.device(f"cuda:{args['model_instance_device_id']}" if on_gpu else "cpu")
        self._meter = Meter(on_gpu=on_gpu)
        artefact = artefact_of(args, config, Format.TORCHSCRIPT)
        # As it was saved, without eval(): the native backend calls none.
        self._module = torch.jit.load(  # type: ignore[no-untyped-call]
            artefact, map_location=self._device
        )
        self._inputs = native_pytorch.require_fit(
            self._interface, native_pytorch.arguments_of(self._module)
        )

    def execute(self, requests: list[Request]) -> list[Response]:
        """One forward pass over all requests; each gets its own rows of the outputs."""
        if not self._batched:
            return [answer for request in requests for answer in self._run([request])]
        return self._run(requests)

    def _run(self, requests: list[Request]) -> list[Response]:
        self._meter.begin()
        try:
            parts = [[tensor(request, name) for request in requests] for name in self._inputs]
            feed = [
                torch.from_numpy(tensors[0] if len(tensors) == 1 else np.concatenate(tensors))
                for tensors in parts
            ]
            outputs = self._forward(feed)
        except NativeRefusalError as error:
            failure = Failure(f"{self._name}: {error}", pb_utils.TritonError.INTERNAL)
            return [failure.response() for _ in requests]
        except Exception as error:  # noqa: BLE001 - whatever it is, callers get no traceback
            pb_utils.Logger.log_error(f"{self._name}: {error}")
            message = f"{self._name}: the forward pass failed; the server's log says why"
            failure = Failure(message, pb_utils.TritonError.INTERNAL)
            return [failure.response() for _ in requests]
        if not self._batched:
            return [self._answer([*outputs, self._meter.end(1)[0]])]
        sizes = [len(tensor) for tensor in parts[0]]
        split = split_rows(self._name, sizes, [*outputs, self._meter.end(sum(sizes))])
        if isinstance(split, Failure):
            return [split.response() for _ in requests]
        return [self._answer(tensors) for tensors in split]

    def _forward(self, feed: list[torch.Tensor]) -> list[np.ndarray[Any, Any]]:
        optimized = torch.jit.optimized_execution  # type: ignore[attr-defined]
        with torch.inference_mode(), optimized(self._optimized):
            answer = self._module(*(tensor.to(self._device) for tensor in feed))
        tensors = native_pytorch.outputs_of(self._interface, answer)
        return [np.ascontiguousarray(tensor.cpu().numpy()) for tensor in tensors]

    def _answer(self, tensors: list[np.ndarray[Any, Any]]) -> Response:
        """Of the outputs, and of what was spent last."""
        names = [output.name for output in self._interface.outputs]
        named = dict(zip([*names, SPENT], tensors, strict=True))
        if not self._measures:
            del named[SPENT]
        return pb_utils.InferenceResponse([pb_utils.Tensor(*item) for item in named.items()])
