"""Triton without the rest of the service, and asking it as a gRPC client would."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

from lab.service.ports import free_service_ports
from pipelines import protocol
from server.triton.installation import Installation
from server.triton.process import TritonFiles, TritonProcess

Answer = dict[str, np.ndarray]
"""Tensors by the names of `protocol.Output` or `protocol.Detected`."""


@dataclass(frozen=True)
class Triton:
    """A tritonserver that no launcher watches."""

    process: TritonProcess
    client: grpcclient.InferenceServerClient
    log: Path

    def calls(self, model: str) -> int:
        """How often a model has run."""
        (stats,) = self.client.get_inference_statistics(model).model_stats
        return int(stats.execution_count)


@contextmanager
def bare(
    folder: Path,
    lay_out: Callable[[Path], list[str]],
    plant: Callable[[Path], None] = lambda _: None,
) -> Iterator[Triton]:
    """Runs tritonserver with this project's backends.

    Args:
        folder: for all that it reads and writes.
        lay_out: fills the model repository; says which models to load, in their order.
        plant: changes the folder of backends before the start.
    """
    (folder / "staged").mkdir()
    files = TritonFiles(
        folder / "repository", folder / "backends", folder / "triton.log", folder / "staged"
    )
    models = lay_out(files.repository)
    installation = Installation.find()
    installation.lay_out_backends(files.backends)
    plant(files.backends)
    process = TritonProcess(installation, files, free_service_ports(), print)
    process.start(lambda: False)
    try:
        with grpcclient.InferenceServerClient(process.connection.address) as client:
            for model in models:
                client.load_model(model)
            yield Triton(process, client, files.log)
    finally:
        process.stop()


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
    futures = begin(triton, pipeline, requests)
    return [future.exception(seconds) or future.result() for future in futures]


def begin(
    triton: grpcclient.InferenceServerClient,
    pipeline: str,
    requests: list[tuple[bytes, dict[str, Any]]],
    microseconds: int | None = None,
) -> list[Future[Answer]]:
    """Sends requests of one image each, and waits for none; Triton is told how long one would."""
    futures: list[Future[Answer]] = []
    for file, parameters in requests:
        future: Future[Answer] = Future()
        futures.append(future)

        def done(result: Any, error: InferenceServerException | None, future: Any = future) -> None:
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(_answer(result))

        triton.async_infer(
            pipeline, [_image([file])], done, parameters=parameters, timeout=microseconds
        )
    return futures


def _image(files: tuple[bytes, ...] | list[bytes]) -> grpcclient.InferInput:
    tensor = grpcclient.InferInput(protocol.ENCODED_IMAGE, [len(files), 1], "BYTES")
    tensor.set_data_from_numpy(np.array([[file] for file in files], dtype=np.object_))
    return tensor


def _answer(result: grpcclient.InferResult) -> Answer:
    return {out.name: result.as_numpy(out.name) for out in result.get_response().outputs}
