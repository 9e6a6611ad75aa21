"""The gRPC server: its methods, and its limits on connections and messages."""

from collections.abc import Mapping
from typing import Any

import grpc

from gateway.errors import Code, RefusedError
from gateway.grpc.call import Answer, Call, handler
from gateway.grpc.health import Health
from gateway.grpc.inference import Inference
from gateway.grpc.reflection import Reflection
from gateway.grpc.standard_health import HEALTH_SERVICE, StandardHealth
from gateway.identity.authentication import Authenticator
from gateway.settings import Settings
from gateway.telemetry.recorder import InferenceTelemetry
from gateway.tls import Served, ServerTls
from gateway.triton.client import SERVICE

_IDENTITY_AND_GZIP = 0b101
"""Compressions by their numbers in gRPC."""
_CONNECTIONS = 512
_PROBES = 64
"""Calls of one connection besides those with images."""

_IN_THE_REQUEST = "Send the images' bytes in the request."
_LOADED = "The service loads what the model repository holds, by itself."
_SET = "The operator sets it where Triton is started."
REMEDIES = {
    "ModelStreamInfer": "Call ModelInfer once for each request.",
    "RepositoryModelLoad": _LOADED,
    "RepositoryModelUnload": _LOADED,
    "SystemSharedMemoryStatus": _IN_THE_REQUEST,
    "SystemSharedMemoryRegister": _IN_THE_REQUEST,
    "SystemSharedMemoryUnregister": _IN_THE_REQUEST,
    "CudaSharedMemoryStatus": _IN_THE_REQUEST,
    "CudaSharedMemoryRegister": _IN_THE_REQUEST,
    "CudaSharedMemoryUnregister": _IN_THE_REQUEST,
    "TraceSetting": _SET,
    "LogSettings": _SET,
}
"""The protocol's methods that are not offered, and what to do instead."""


class GrpcServerError(Exception):
    """The server cannot be started; the text names the remedy."""


class GrpcServer(grpc.GenericRpcHandler):  # type: ignore[misc]
    """The gRPC server, in the event loop that also serves HTTP. It is opened and closed once."""

    def __init__(
        self,
        settings: Settings,
        telemetry: InferenceTelemetry,
        health: Health,
        inference: Inference,
        standard_health: StandardHealth,
        *,
        tls: ServerTls | None,
    ) -> None:
        self._settings = settings
        self._tls = tls
        self._standard_health = standard_health
        self._authenticator = inference.authenticator
        answers: dict[str, Answer] = {
            "ServerLive": health.server_live,
            "ServerReady": health.server_ready,
            "ModelReady": health.model_ready,
            "ServerMetadata": health.server_metadata,
            "ModelMetadata": health.model_metadata,
            "ModelConfig": health.model_config,
            "ModelStatistics": health.model_statistics,
            "RepositoryIndex": health.repository_index,
            "ModelInfer": inference.infer,
            **{method: _not_offered(method, self._authenticator) for method in REMEDIES},
        }
        self._handlers: Mapping[str, grpc.RpcMethodHandler] = {
            **{SERVICE + method: handler(answer, telemetry) for method, answer in answers.items()},
            f"/{HEALTH_SERVICE}/Check": handler(standard_health.check, telemetry),
            # It reads its message itself, as the others do.
            f"/{HEALTH_SERVICE}/Watch": grpc.stream_stream_rpc_method_handler(
                standard_health.watch
            ),
        }
        self._server: Any = None

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """The handler of a method; None where there is no such method."""
        return self._handlers.get(handler_call_details.method)

    async def open(self) -> None:
        """Listens.

        Raises:
            GrpcServerError: the port is taken.
        """
        server = grpc.aio.server(handlers=(self,), options=_options(self._settings))
        if self._settings.grpc_reflection:
            Reflection((SERVICE.strip("/"), HEALTH_SERVICE), self._authenticator).add_to(server)
        try:
            if self._tls is None:
                server.add_insecure_port(self._settings.grpc_address)
            else:
                server.add_secure_port(self._settings.grpc_address, _credentials(self._tls))
        except RuntimeError:
            raise GrpcServerError(
                f"{self._settings.grpc_address} cannot be bound: stop the program that uses "
                "it, or change GATEWAY_GRPC_PORT"
            ) from None
        await server.start()
        self._server = server

    async def close(self) -> None:
        """Takes no new calls, and gives those in flight GATEWAY_SHUTDOWN_SECONDS to finish."""
        self._standard_health.closing.set()
        if self._server is not None:
            await self._server.stop(self._settings.shutdown_seconds)


def _credentials(tls: ServerTls) -> grpc.ServerCredentials:
    """What new connections get: gRPC asks at each whether it changed, in a thread of its own."""
    given: Served | None = None

    def current() -> grpc.ServerCertificateConfiguration | None:
        nonlocal given
        served = tls.served
        if served is given:
            return None
        given = served
        # gRPC's library asks every caller for a certificate, or nobody.
        ca = served.client_ca if tls.certificates_required else None
        return grpc.ssl_server_certificate_configuration([(served.key, served.certificate)], ca)

    return grpc.dynamic_ssl_server_credentials(
        current(), current, require_client_authentication=tls.certificates_required
    )


def _not_offered(method: str, authenticator: Authenticator) -> Answer:
    """An answer that refuses the method, whoever asks."""

    async def refuse(call: Call) -> bytes:
        call.context.principal = await authenticator.authenticate(call.credentials)
        raise RefusedError(
            Code.METHOD_NOT_ALLOWED, f"{method}: it is not offered here. {REMEDIES[method]}"
        )

    return refuse


def _options(settings: Settings) -> tuple[tuple[str, int], ...]:
    return (
        # Otherwise a second gateway could listen on the same port and take half of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.largest_message),
        # Messages are inflated here, within a ratio and with their turn: gRPC would inflate 130 kB
        # to 130 MB. It refuses other compressions, and tells the caller which it takes.
        ("grpc.per_message_decompression", 0),
        ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_AND_GZIP),
        # Otherwise it keeps up to 8 MB, and not 64 KiB, of a message that is not being read.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.max_allowed_incoming_connections", _CONNECTIONS),
        ("grpc.max_send_message_length", -1),
        # More calls than these wait at the caller.
        ("grpc.max_concurrent_streams", settings.max_in_flight + _PROBES),
        ("grpc.max_metadata_size", 8 * 1024),
        ("grpc.absolute_max_metadata_size", 16 * 1024),
        ("grpc.server_handshake_timeout_ms", int(settings.head_seconds * 1000)),
        # Callers may ping every 10 s, also without calls; the default of gRPC is 5 min.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        # Finds callers that vanished, and frees their places.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
    )
