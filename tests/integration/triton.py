"""Asking Triton directly, as a gRPC client of the service would."""

from concurrent.futures import Future
from typing import Any

import numpy as np
import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

from pipelines import wire

Answer = dict[str, np.ndarray]
"""Tensors by the names of `wire.Output` or `wire.Detected`."""


def infer(
    triton: grpcclient.InferenceServerClient,
    pipeline: str,
    *files: bytes,
    parameters: dict[str, Any] | None = None,
) -> Answer:
    """One request of one or more images."""
    result = triton.infer(pipeline, [_image(files)], parameters=parameters)
    return _answer(result)


def infer_together(
    triton: grpcclient.InferenceServerClient,
    pipeline: str,
    requests: list[tuple[bytes, dict[str, Any]]],
    seconds: float = 120,
) -> list[Answer | InferenceServerException]:
    """Many requests of one image each, all under way at once; answers in their order."""
    futures: list[Future[Answer]] = []
    for file, parameters in requests:
        future: Future[Answer] = Future()
        futures.append(future)

        def done(result: Any, error: InferenceServerException | None, future: Any = future) -> None:
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(_answer(result))

        triton.async_infer(pipeline, [_image([file])], done, parameters=parameters)
    return [future.exception(seconds) or future.result() for future in futures]


def _image(files: tuple[bytes, ...] | list[bytes]) -> grpcclient.InferInput:
    tensor = grpcclient.InferInput(wire.ENCODED_IMAGE, [len(files), 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[file] for file in files], dtype=np.object_))
    return tensor


def _answer(result: grpcclient.InferResult) -> Answer:
    return {out.name: result.as_numpy(out.name) for out in result.get_response().outputs}
