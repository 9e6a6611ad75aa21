"""The Triton client: one gRPC channel to one or several Tritons with the same models."""

import asyncio
import struct
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from types import MappingProxyType
from typing import Any, Protocol

import grpc
import structlog
from tritonclient.grpc import service_pb2, service_pb2_grpc

from gateway.errors import Code, RefusedError
from gateway.triton.outputs import BYTES, Outputs, Tensor
from gateway.triton.replicas import Replica, Replicas
from gateway.triton.triton_errors import LATE, PAUSED, NotServingError, translate
from pipelines import protocol
from pipelines.certificates import MutualTls
from pipelines.pauses import Pauses
from pipelines.tls import TritonTls

log = structlog.get_logger("gateway")

Message = Any
"""A protobuf message of Triton's; its classes have no types."""
Method = Callable[..., Awaitable[Message]]

SERVICE = "/inference.GRPCInferenceService/"
"""Comes before the name of each method."""

LOOK_UP_SECONDS = 5
"""How long a Triton's addresses are kept at least, whatever happens to connections."""
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
    ("grpc.dns_min_time_between_resolutions_ms", LOOK_UP_SECONDS * 1000),
)
_GRACE_SECONDS = 5.0
_CONNECT_SECONDS = 10.0
"""How long a connection to a Triton may take."""
_LEFT_BEHIND_SECONDS = 60.0
"""How long past its deadline an inference may go on: a Triton that takes longer hangs."""


class Hold(Protocol):
    """What is held for an image while Triton works on it."""

    def sent(self) -> None:
        """It is sent to Triton."""

    def returned(self) -> None:
        """Triton is done with it."""


class TritonClient:
    """A channel to Triton, or to several Tritons in turns; it reconnects by itself."""

    def __init__(
        self, address: str, tls: TritonTls | None = None, spare: "TritonClient | None" = None
    ) -> None:
        """Connects later, with `open`.

        Args:
            address: host and port.
            tls: certificates for an encrypted channel; None: it is not encrypted.
            spare: another Triton, which is asked where this one has no memory left.

        Raises:
            TlsError: the certificates cannot be used.
        """
        self._address = address
        self.spare = spare
        self._pauses = Pauses()
        self.tls = MutualTls.load(tls) if tls else None
        """What it shows, and whom it trusts; None: nothing is encrypted."""
        self._replicas = Replicas(
            address,
            lambda replica: self._connected(self.tls, replica),
            self._retire,
            LOOK_UP_SECONDS,
        )
        self._retired: set[asyncio.Task[None]] = set()
        """Closings of channels that others have replaced."""

    def open(self) -> None:
        """Begins to connect; a channel belongs to the event loop that it is made in."""
        self._channel = self._connected(self.tls)
        if self.spare:
            self.spare.open()

    async def connects(self) -> bool:
        """Whether a Triton lets in what is shown now."""
        return await _ready(self._channel)

    async def renew(self, tls: MutualTls) -> bool:
        """Connects with other certificates; calls under way end on the connections they have.

        Returns:
            Whether a Triton let the new ones in; if none did, all stays as it was.
        """
        channel = self._connected(tls)
        if not await _ready(channel):
            await channel.close()
            return False
        for former in (self._channel, *self._replicas.give_up()):
            self._retire(former)
        self.tls = tls
        self._channel = channel
        return True

    def _retire(self, channel: grpc.aio.Channel) -> None:
        # Longer than any call takes: a cancelled one may crash Triton (docs/decisions/0012).
        closing = asyncio.create_task(channel.close(grace=10 * _LEFT_BEHIND_SECONDS))
        self._retired.add(closing)
        closing.add_done_callback(self._retired.discard)

    def _connected(self, tls: MutualTls | None, replica: Replica | None = None) -> grpc.aio.Channel:
        target, options = self._address, list(_CHANNEL_OPTIONS)
        if replica is not None:
            target = replica.target
            if replica.host:
                # What its certificate is for, as it is of the channel to all.
                options.append(("grpc.ssl_target_name_override", replica.host))
        if tls is None:
            return grpc.aio.insecure_channel(target, options=options)
        credentials = grpc.ssl_channel_credentials(tls.authority, tls.key, tls.certificate)
        return grpc.aio.secure_channel(target, credentials, options=options)

    async def close(self) -> None:
        """Closes the channel. Calls under way have 5 s to finish."""
        if self.spare:
            await self.spare.close()
        channels = (self._channel, *self._replicas.give_up())
        await asyncio.gather(*(channel.close(grace=_GRACE_SECONDS) for channel in channels))
        for closing in self._retired:
            closing.cancel()

    async def models(self, seconds: float) -> dict[str, bool]:
        """The models of the repository, and whether each is ready: of several Tritons, on one.

        Raises:
            RefusedError: no Triton answered within `seconds`.
        """
        channels = [self._replicas.channel(each) for each in await self._replicas.others()]
        asked = [self._index(channel, seconds) for channel in channels or [self._channel]]
        found = await asyncio.gather(*asked, return_exceptions=True)
        indexes = [each for each in found if not isinstance(each, BaseException)]
        if not indexes:
            raise next(each for each in found if isinstance(each, BaseException))
        states: dict[str, bool] = {}
        for name, ready in chain.from_iterable(indexes):
            states[name] = states.get(name, False) or ready
        return states

    async def _index(self, channel: grpc.aio.Channel, seconds: float) -> list[tuple[str, bool]]:
        method = _method("RepositoryIndex")(channel)
        index = await self._call(method, service_pb2.RepositoryIndexRequest(), seconds)
        return [(model.name, model.state == "READY") for model in index.models]

    async def ensemble_parameters(self, model: str, seconds: float) -> dict[str, str] | None:
        """The parameters in a model's config; None if it is no ensemble.

        Raises:
            RefusedError: Triton did not answer within `seconds`, or no longer has the model.
        """
        config = await self.config(model, seconds)
        if not config.HasField("ensemble_scheduling"):
            return None
        return {key: item.string_value for key, item in config.parameters.items()}

    async def infer(
        self,
        model: str,
        images: Sequence[bytes],
        parameters: Mapping[str, str],
        seconds: float,
        holds: Sequence[Hold] = (),
        *,
        trace: Mapping[str, str] = MappingProxyType({}),
    ) -> list[Outputs]:
        """Asks an ensemble about encoded images, in one call.

        A caller that leaves, or whose deadline passes, leaves the inference behind: Triton 2.51
        may crash where one is cancelled (docs/decisions/0012).

        Args:
            model: the ensemble.
            images: the encoded images, as many as the ensemble takes at most.
            parameters: the request's parameters.
            seconds: how long the answer may take.
            holds: of each image, told when the inference is over, even where nobody waits for it.
            trace: headers by which Triton goes on with a trace, where it makes any.

        Returns:
            The outputs of each image, in their order.

        Raises:
            RefusedError: whatever kept Triton from answering.
        """
        began = time.monotonic()
        request = _infer_request(model, images, parameters, seconds)
        call = asyncio.ensure_future(
            self._infer(request, seconds + _LEFT_BEHIND_SECONDS, tuple(trace.items()))
        )
        for hold in holds:
            hold.sent()

        def over(_: asyncio.Future[Message]) -> None:
            for hold in holds:
                hold.returned()
            if not call.cancelled():
                # Retrieved, so that asyncio reports no error that nobody waits for any more.
                call.exception()

        call.add_done_callback(over)
        await asyncio.wait((call,), timeout=seconds)
        if not call.done():
            raise RefusedError(Code.DEADLINE, LATE)
        if self._pauses.overlapped(began):
            # Triton may have taken another's memory for this request's.
            raise RefusedError(Code.UNAVAILABLE, PAUSED)
        return outputs_of(call.result()).rows(len(images))

    async def _infer(
        self, request: bytes, seconds: float, metadata: tuple[tuple[str, str], ...]
    ) -> Message:
        try:
            return await self._somewhere(_model_infer, request, seconds, metadata)
        except RefusedError as refusal:
            if refusal.code is not Code.OUT_OF_MEMORY or self.spare is None:
                raise
        log.warning("triton has no memory left; asking the spare one")
        return await self.spare._infer(request, seconds, metadata)

    async def _somewhere(
        self,
        method_of: Callable[[grpc.aio.Channel], Method],
        request: Message | bytes,
        seconds: float,
        metadata: tuple[tuple[str, str], ...] = (),
    ) -> Message:
        """Asks the next Triton, and where that one serves nothing, each one until one does.

        Only the channel to all knows whose turn it is, and the next turn may be of the same one: it
        is connected while it ends, and again while it loads its models.
        """
        with suppress(NotServingError):
            return await self._call(method_of(self._channel), request, seconds, metadata)
        for replica in await self._replicas.others():
            method = method_of(self._replicas.channel(replica))
            with suppress(NotServingError):
                return await self._call(method, request, seconds, metadata)
        raise NotServingError

    async def metadata(self, model: str, seconds: float) -> Message:
        """A model's ModelMetadataResponse.

        Raises:
            RefusedError: Triton did not answer within `seconds`, or no longer has the model.
        """
        request = service_pb2.ModelMetadataRequest(name=model)
        return await self._somewhere(_method("ModelMetadata"), request, seconds)

    async def config(self, model: str, seconds: float) -> Message:
        """A model's ModelConfig.

        Raises:
            RefusedError: Triton did not answer within `seconds`, or no longer has the model.
        """
        request = service_pb2.ModelConfigRequest(name=model)
        return (await self._somewhere(_method("ModelConfig"), request, seconds)).config

    async def statistics(self, model: str, seconds: float) -> Message:
        """The ModelStatisticsResponse of a model, or with "" of all.

        Raises:
            RefusedError: Triton did not answer within `seconds`, or no longer has the model.
        """
        request = service_pb2.ModelStatisticsRequest(name=model)
        return await self._somewhere(_method("ModelStatistics"), request, seconds)

    async def _call(
        self,
        method: Method,
        request: Message | bytes,
        seconds: float,
        metadata: tuple[tuple[str, str], ...] = (),
    ) -> Message:
        try:
            return await method(request, timeout=seconds, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            status, message = error.code().name, error.details() or ""
        # Here, as gRPC's error, its call and its traceback hold each other and the images.
        raise _refusal(status, message)


def _method(name: str) -> Callable[[grpc.aio.Channel], Method]:
    """What calls a method of Triton's on a channel."""

    def of(channel: grpc.aio.Channel) -> Method:
        method: Method = getattr(service_pb2_grpc.GRPCInferenceServiceStub(channel), name)
        return method

    return of


def _model_infer(channel: grpc.aio.Channel) -> Method:
    # Takes a serialised message: otherwise gRPC would keep both forms of each image.
    method: Method = channel.unary_unary(f"{SERVICE}ModelInfer")
    return method


async def _ready(channel: grpc.aio.Channel) -> bool:
    try:
        await asyncio.wait_for(channel.channel_ready(), _CONNECT_SECONDS)
    except TimeoutError:
        return False
    return True


def _refusal(status: str, message: str) -> RefusedError:
    refusal = translate(status, message)
    if refusal.code is Code.INTERNAL:
        # The caller reads that it failed; the operator reads why, in Triton's words.
        log.error("triton failed", status=status, message=message)
    return refusal


def outputs_of(response: bytes) -> Outputs:
    """The tensors of a serialised ModelInferResponse."""
    message = service_pb2.ModelInferResponse.FromString(response)
    tensors = {
        output.name: Tensor(data, output.datatype, tuple(output.shape))
        for output, data in zip(message.outputs, message.raw_output_contents, strict=True)
    }
    return Outputs(tensors, message.model_version)


def _infer_request(
    model: str, images: Sequence[bytes], parameters: Mapping[str, str], seconds: float
) -> bytes:
    """A serialised ModelInferRequest; a BYTES tensor has each element's length before it."""
    tensor = service_pb2.ModelInferRequest.InferInputTensor(
        name=protocol.ENCODED_IMAGE, datatype=BYTES, shape=(len(images), 1)
    )
    elements = [part for image in images for part in (struct.pack("<I", len(image)), image)]
    request = service_pb2.ModelInferRequest(
        model_name=model, inputs=(tensor,), raw_input_contents=(b"".join(elements),)
    )
    for name, value in parameters.items():
        request.parameters[name].string_param = value
    # Triton drops what waits longer in a queue that its model bounds.
    request.parameters["timeout"].int64_param = max(1, int(seconds * 1_000_000))
    serialised: bytes = request.SerializeToString()
    return serialised
