"""The only module that speaks gRPC to Triton."""

import asyncio
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import grpc
import structlog
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gateway.errors import Code, RefusedError
from gateway.triton.outputs import Outputs
from gateway.triton.triton_errors import LATE, translate
from pipelines import protocol
from pipelines.tls import TritonTls

log = structlog.get_logger("gateway")

Message = Any
"""A protobuf message of Triton's; its classes have no types."""
Method = Callable[..., Awaitable[Message]]

SERVICE = "/inference.GRPCInferenceService/"
"""Before the names of all methods."""

_CHANNEL_OPTIONS = (
    # What may be sent is limited where it comes in.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A Triton that comes back is found at once, not after gRPC's backoff of up to 2 minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.min_reconnect_backoff_ms", 2000),
    # Only while calls wait: Triton ends connections that are pinged while idle.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Triton is private: an http_proxy of the environment is not on the way to it.
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    # A name of several addresses is as many Tritons. New ones are found when Triton ends a
    # connection for its age: then the name is looked up anew.
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.dns_min_time_between_resolutions_ms", 5000),
)
_TEXT = "BYTES"
_GRACE_SECONDS = 5.0
_PATIENCE_SECONDS = 60.0
"""How long past its deadline an inference may go on: a Triton that takes longer hangs."""


class Triton:
    """A channel to Triton, or to several that serve the same; it reconnects by itself."""

    def __init__(
        self, address: str, tls: TritonTls | None = None, spare: "Triton | None" = None
    ) -> None:
        """Connects later, with `open`.

        Args:
            address: host and port.
            tls: how to encrypt and prove who asks.
            spare: is asked what this one has no memory for.
        """
        self._address = address
        self.spare = spare
        self._tls = tls.read() if tls else None
        self._left: dict[asyncio.Future[Message], tuple[str, int]] = {}

    @property
    def left_behind(self) -> Counter[str]:
        """Images of each ensemble that are under way and for which nobody waits any more."""
        left: Counter[str] = Counter()
        for model, images in self._left.values():
            left[model] += images
        return left

    def open(self) -> None:
        """Begins to connect; a channel belongs to the event loop that it is made in."""
        self._channel = self._connected()
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        # Takes a message already serialised: else gRPC would keep both forms of each image.
        self._model_infer = self._channel.unary_unary(f"{SERVICE}ModelInfer")
        if self.spare:
            self.spare.open()

    def _connected(self) -> grpc.aio.Channel:
        if self._tls is None:
            return grpc.aio.insecure_channel(self._address, options=_CHANNEL_OPTIONS)
        authority, certificate, key = self._tls
        credentials = grpc.ssl_channel_credentials(authority, key, certificate)
        return grpc.aio.secure_channel(self._address, credentials, options=_CHANNEL_OPTIONS)

    async def close(self) -> None:
        """Ends the channel; what is under way may still finish for a moment."""
        if self.spare:
            await self.spare.close()
        await self._channel.close(grace=_GRACE_SECONDS)

    async def models(self, seconds: float) -> dict[str, bool]:
        """The models of the repository, and whether each is ready.

        Raises:
            RefusedError: Triton did not answer within `seconds`.
        """
        request = service_pb2.RepositoryIndexRequest()
        index = await self._call(self._stub.RepositoryIndex, request, seconds)
        states: dict[str, bool] = {}
        for model in index.models:
            states[model.name] = states.get(model.name, False) or model.state == "READY"
        return states

    async def ensemble_parameters(self, model: str, seconds: float) -> dict[str, str] | None:
        """The parameters in a model's config; None if it is no ensemble.

        Raises:
            RefusedError: Triton did not answer within `seconds`, or no longer has the model.
        """
        request = service_pb2.ModelConfigRequest(name=model)
        config = (await self._call(self._stub.ModelConfig, request, seconds)).config
        if not config.HasField("ensemble_scheduling"):
            return None
        return {key: item.string_value for key, item in config.parameters.items()}

    async def infer(
        self, model: str, images: Sequence[bytes], parameters: Mapping[str, str], seconds: float
    ) -> list[Outputs]:
        """Asks an ensemble about encoded images, in one call; the answers in their order.

        Args:
            model: the ensemble.
            images: the encoded images, as many as the ensemble takes at most.
            parameters: the caller's choices.
            seconds: how long the answer may take.

        Raises:
            RefusedError: whatever kept Triton from answering.
        """
        request = _infer_request(model, images, parameters)
        response = await self.infer_serialised(model, request, len(images), seconds)
        return tensors(response).rows(len(images))

    async def infer_serialised(
        self, model: str, request: bytes, images: int, seconds: float
    ) -> bytes:
        """Asks an ensemble, message for message.

        A caller that leaves, or whose time is up, leaves the inference behind: Triton 2.51 may
        crash where one is cancelled (docs/decisions/0012).

        Args:
            model: the ensemble.
            request: a ModelInferRequest to it; its parameter `timeout` is set here, so that Triton
                drops what waits longer in a queue that its model bounds.
            images: how many it brings.
            seconds: how long the answer may take.

        Returns:
            A ModelInferResponse.

        Raises:
            RefusedError: whatever kept Triton from answering.
        """
        request += _timeout(seconds)
        call = asyncio.ensure_future(self._inferred(request, seconds + _PATIENCE_SECONDS))
        try:
            await asyncio.wait((call,), timeout=seconds)
        finally:
            if not call.done():
                self._left[call] = (model, images)
                call.add_done_callback(self._over)
        if not call.done():
            raise RefusedError(Code.DEADLINE, LATE)
        answer: bytes = call.result()
        return answer

    async def _inferred(self, request: bytes, seconds: float) -> Message:
        try:
            return await self._call(self._model_infer, request, seconds)
        except RefusedError as refusal:
            if refusal.code is not Code.OUT_OF_MEMORY or self.spare is None:
                raise
        log.warning("triton has no memory left; asking the spare one")
        return await self.spare._inferred(request, seconds)

    async def metadata(self, method: str, request: bytes, seconds: float) -> bytes:
        """Asks ServerMetadata or ModelMetadata, message for message.

        Raises:
            RefusedError: Triton did not answer within `seconds`.
        """
        asked = self._channel.unary_unary(SERVICE + method)
        answer: bytes = await self._call(asked, request, seconds)
        return answer

    def _over(self, call: asyncio.Future[Message]) -> None:
        self._left.pop(call)
        if not call.cancelled():
            # Asked for, so that asyncio does not report an error that nobody waited for.
            call.exception()

    async def _call(self, method: Method, request: Message | bytes, seconds: float) -> Message:
        try:
            return await method(request, timeout=seconds)
        except grpc.aio.AioRpcError as error:
            refusal = translate(error.code().name, error.details() or "")
            if refusal.code is Code.INTERNAL:
                # The caller is told that it failed; the operator, in Triton's words, why.
                log.error("triton failed", status=error.code().name, message=error.details())  # noqa: TRY400
            raise refusal from None


def tensors(response: bytes) -> Outputs:
    """The tensors of a serialised ModelInferResponse."""
    message = service_pb2.ModelInferResponse.FromString(response)
    names = [output.name for output in message.outputs]
    texts = {output.name for output in message.outputs if output.datatype == _TEXT}
    return Outputs(dict(zip(names, message.raw_output_contents, strict=True)), texts)


def _infer_request(model: str, images: Sequence[bytes], parameters: Mapping[str, str]) -> bytes:
    """A serialised ModelInferRequest; a BYTES tensor has each element's length before it."""
    tensor = service_pb2.ModelInferRequest.InferInputTensor(
        name=protocol.ENCODED_IMAGE, datatype=_TEXT, shape=(len(images), 1)
    )
    elements = [part for image in images for part in (struct.pack("<I", len(image)), image)]
    request = service_pb2.ModelInferRequest(
        model_name=model, inputs=(tensor,), raw_input_contents=(b"".join(elements),)
    )
    for name, value in parameters.items():
        request.parameters[name].string_param = value
    serialised: bytes = request.SerializeToString()
    return serialised


def _timeout(seconds: float) -> bytes:
    """The part of a ModelInferRequest that sets Triton's queue timeout, whatever comes before it.

    Messages that follow each other are one message, in which the last entry of a key counts.
    """
    microseconds = service_pb2.InferParameter(int64_param=max(1, int(seconds * 1_000_000)))
    part = service_pb2.ModelInferRequest(parameters={"timeout": microseconds})
    serialised: bytes = part.SerializeToString()
    return serialised
