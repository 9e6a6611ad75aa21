"""Triton backend `onnxruntime`, for the embedded Triton, which lacks the native one.

Honours what the native backend documents and this project's configs use:
`default_model_filename`, `max_batch_size: 0`, `optimization.graph.level`, OpenVINO as an execution
accelerator, instance kinds and the parameters `intra_op_thread_count`, `inter_op_thread_count`,
`execution_mode`. Refuses what the native backend refuses (pipelines.native_onnxruntime).
https://github.com/triton-inference-server/onnxruntime_backend#model-config-options
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from pipelines import native_onnxruntime
from pipelines.enums import Format
from pipelines.native_backends import Interface, NativeRefusalError, whole_number
from pipelines.protocol import SPENT
from server.backends.compute import Meter
from server.backends.config import artefact_of, parameters_of, without_spent
from server.backends.engine import CPU, Engine, session_options
from server.backends.failure import Failure, Response, refusing_as_native_backends_do
from server.backends.request import Request, tensor
from server.backends.rows import split_rows
from server.backends.session import Session
from server.backends.sibling_load import SiblingLoad

_CUDA = "CUDAExecutionProvider"
_GPU = "GPU"
_OPENVINO = "openvino"
_ALL = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
_LEVELS = {
    -1: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    1: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    2: onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
}


class TritonPythonModel:
    """One instance: one session, one forward pass for each batch that Triton forms."""

    def initialize(self, args: dict[str, str]) -> None:
        """Opens the artefact; raises what its engine says where it cannot."""
        with refusing_as_native_backends_do():
            self._open(args, *without_spent(json.loads(args["model_config"])))

    def _open(self, args: dict[str, str], config: dict[str, Any], measures: bool) -> None:
        self._measures = measures
        self._name = args["model_name"]
        parameters = parameters_of(config)
        native_onnxruntime.require_parameters(parameters)
        interface = Interface.of_config(self._name, config)
        self._inputs = [tensor.name for tensor in interface.inputs]
        self._outputs = [tensor.name for tensor in interface.outputs]
        self._batched = interface.batched
        path = artefact_of(args, config, Format.ONNX)
        self._session = Session(
            self._name,
            partial(_open, args, config, interface, path),
            max(whole_number(parameters, "intra_op_thread_count"), 0),
            # On a GPU the threads of the CPU have nothing to share.
            1
            if args["model_instance_kind"] == _GPU
            else sum(group["count"] for group in config["instance_group"]),
            SiblingLoad().idle,
        )
        self._meter = Meter(on_gpu=args["model_instance_kind"] == _GPU)

    def execute(self, requests: list[Request]) -> list[Response]:
        """One forward pass over all requests; each gets its own rows of the outputs."""
        if not self._batched:
            return [answer for request in requests for answer in self._run([request])]
        return self._run(requests)

    def _run(self, requests: list[Request]) -> list[Response]:
        self._meter.begin()
        parts = {name: [tensor(request, name) for request in requests] for name in self._inputs}
        feed = {
            name: tensors[0] if len(tensors) == 1 else np.concatenate(tensors)
            for name, tensors in parts.items()
        }
        outputs = self._session.run(self._outputs, feed)
        if isinstance(outputs, Failure):
            return [outputs.response() for _ in requests]
        if not self._batched:
            return [self._answer([*outputs, self._meter.end(1)[0]])]
        sizes = [len(tensor) for tensor in parts[self._inputs[0]]]
        split = split_rows(self._name, sizes, [*outputs, self._meter.end(sum(sizes))])
        if isinstance(split, Failure):
            return [split.response() for _ in requests]
        return [self._answer(tensors) for tensors in split]

    def _answer(self, tensors: list[NDArray[Any]]) -> Response:
        """Of the outputs, and of what was spent last."""
        named = dict(zip([*self._outputs, SPENT], tensors, strict=True))
        if not self._measures:
            del named[SPENT]
        return pb_utils.InferenceResponse([pb_utils.Tensor(*item) for item in named.items()])


def _open(
    args: dict[str, str],
    config: dict[str, Any],
    interface: Interface,
    path: Path,
    threads: int,
    *,
    alone: bool,
) -> Engine:
    on_gpu = args["model_instance_kind"] == _GPU
    parameters, accelerators = parameters_of(config), _accelerators(config, "cpu")
    unknown = accelerators - {_OPENVINO} | (_accelerators(config, "gpu") if on_gpu else set())
    for name in unknown:
        raise NativeRefusalError(f"unknown Execution Accelerator '{name}' is requested")
    if accelerators:
        # Few profiles want it, and it takes a moment to load.
        from server.backends.openvino_engine import open_engine  # noqa: PLC0415

        session = onnxruntime.InferenceSession(path, session_options(1, spinning=False), [CPU])
        _require_fit(interface, session)
        return open_engine(path, float(parameters["tolerance"]), threads)
    providers: list[Any] = [CPU]
    if on_gpu:
        providers.insert(0, (_CUDA, {"device_id": args["model_instance_device_id"]}))
    session = onnxruntime.InferenceSession(
        path, _options(config, parameters, threads, spinning=alone), providers
    )
    _require_fit(interface, session)
    if on_gpu and _CUDA not in session.get_providers():
        # ONNX Runtime would go on, on the CPU, with a warning only.
        raise pb_utils.TritonModelException(
            f"{args['model_name']}: KIND_GPU, but CUDA does not start"
        )
    engine: Engine = session
    return engine


def _require_fit(interface: Interface, session: onnxruntime.InferenceSession) -> None:
    inputs, outputs = map(
        native_onnxruntime.tensors_of, (session.get_inputs(), session.get_outputs())
    )
    native_onnxruntime.require_fit(interface, inputs, outputs)


def _accelerators(config: dict[str, Any], of: str) -> set[str]:
    """Names of the accelerators for one kind of processor; those for a GPU count only on one."""
    groups = config.get("optimization", {}).get("execution_accelerators", {})
    return {each["name"] for each in groups.get(f"{of}_execution_accelerator", ())}


def _options(
    config: dict[str, Any], parameters: dict[str, str], threads: int, *, spinning: bool
) -> onnxruntime.SessionOptions:
    graph = config.get("optimization", {}).get("graph", {})
    made = session_options(threads, spinning=spinning)
    made.graph_optimization_level = _LEVELS.get(int(graph.get("level", 0)), _ALL)
    made.inter_op_num_threads = max(whole_number(parameters, "inter_op_thread_count"), 0)
    if whole_number(parameters, "execution_mode"):
        made.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    return made
