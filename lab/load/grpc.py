"""A load client for KServe's gRPC protocol (Triton, gateway, MLServer), with prepared requests.

No call is ever cancelled and none has a deadline: Triton 2.51 may crash where one is cancelled
(docs/decisions/0012).
"""

import struct
from collections.abc import Mapping, Sequence

import grpc
import numpy as np
from tritonclient.grpc import service_pb2

from lab.load.client import RequestError
from lab.load.numbers import of_detections
from pipelines.protocol import ENCODED_IMAGE, Detected, Output

_REFUSED = {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE}
PROBABILITIES = (Output.PROBABILITIES,)
"""The outputs of a classification that are asked for."""
METHOD = "/inference.GRPCInferenceService/ModelInfer"
OPTIONS = (
    # While a server starts, it is found at once and not after a backoff.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
)


def question(
    model: str, parameters: Mapping[str, str], photo: bytes, outputs: Sequence[str] = PROBABILITIES
) -> bytes:
    """A serialised ModelInferRequest for one photo's probabilities, or other outputs."""
    request = service_pb2.ModelInferRequest(
        model_name=model,
        inputs=[
            service_pb2.ModelInferRequest.InferInputTensor(
                name=ENCODED_IMAGE, datatype="BYTES", shape=(1, 1)
            )
        ],
        outputs=[
            service_pb2.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in outputs
        ],
        # A BYTES tensor has each element's length before it.
        raw_input_contents=[struct.pack("<I", len(photo)) + photo],
    )
    for name, value in parameters.items():
        request.parameters[name].string_param = value
    serialised: bytes = request.SerializeToString()
    return serialised


class GrpcClient:
    """One channel for all workers, as its documentation advises."""

    def __init__(
        self,
        port: int,
        model: str,
        parameters: Mapping[str, str],
        photos: Sequence[bytes],
        *,
        outputs: Sequence[str] = PROBABILITIES,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self._port = port
        self._metadata = [(name.lower(), value) for name, value in (metadata or {}).items()]
        self._requests = [question(model, parameters, photo, outputs) for photo in photos]

    async def open(self, workers: int) -> None:
        """Makes the channel, which connects by itself."""
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{self._port}", options=OPTIONS)
        self._infer = self._channel.unary_unary(METHOD)

    async def close(self) -> None:
        """Ends the channel."""
        await self._channel.close()

    async def ask(self, worker: int, photo: int) -> bytes:
        """Asks over the channel; see `Client`."""
        try:
            answer: bytes = await self._infer(self._requests[photo], metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            text = f"{error.code().name}: {(error.details() or '')[:200]}"
            raise RequestError(text, refused=error.code() in _REFUSED) from None
        return answer

    def probabilities(self, answer: bytes) -> list[float]:
        """Of the output `probabilities`, or of a detector's; see `Client`."""
        response = service_pb2.ModelInferResponse.FromString(answer)
        names = [output.name for output in response.outputs]
        if Detected.BOXES in names:
            raw = dict(zip(names, response.raw_output_contents, strict=True))
            height, width = np.frombuffer(raw[Detected.IMAGE_SIZE], "<i4").tolist()
            scores = np.frombuffer(raw[Detected.SCORES], "<f4").tolist()
            boxes = np.frombuffer(raw[Detected.BOXES], "<f4").reshape(-1, 4).tolist()
            return of_detections(scores, boxes, width, height)
        at = names.index(Output.PROBABILITIES)
        if response.raw_output_contents:
            values = np.frombuffer(response.raw_output_contents[at], "<f4").tolist()
        else:
            values = list(response.outputs[at].contents.fp32_contents)
        return [float(value) for value in values]
