"""The gRPC server: which methods it has, and what it bears from those who connect."""

from collections.abc import Mapping
from typing import Any

import grpc

from gateway.grpc.call import Answer, handler
from gateway.grpc.closed import REMEDIES, closed
from gateway.grpc.health import Health
from gateway.grpc.inference import Inference
from gateway.settings import Settings
from gateway.telemetry.metrics import Metrics
from gateway.triton.client import SERVICE

_AROUND_IMAGES = 64 * 1024
"""Bytes of a message besides its images."""
_PROBES = 64
"""Calls of one connection beyond those that may hold images."""


class DoorError(Exception):
    """The server cannot be started; the text names the remedy."""


class Door(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Opened and closed once, in the event loop that also serves HTTP."""

    def __init__(
        self, settings: Settings, metrics: Metrics, health: Health, inference: Inference
    ) -> None:
        self._settings = settings
        answers: dict[str, Answer] = {
            "ServerLive": health.server_live,
            "ServerReady": health.server_ready,
            "ModelReady": health.model_ready,
            "ServerMetadata": health.server_metadata,
            "ModelMetadata": health.model_metadata,
            "ModelInfer": inference.infer,
            **{method: closed(method) for method in REMEDIES},
        }
        self._handlers: Mapping[str, grpc.RpcMethodHandler] = {
            SERVICE + method: handler(answer, metrics) for method, answer in answers.items()
        }
        self._server: Any = None

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """What answers a method; None where it is not one of the protocol's."""
        return self._handlers.get(handler_call_details.method)

    async def open(self) -> None:
        """Listens.

        Raises:
            DoorError: the port cannot be had.
        """
        server = grpc.aio.server(handlers=(self,), options=_options(self._settings))
        try:
            server.add_insecure_port(self._settings.grpc_address)
        except RuntimeError:
            raise DoorError(
                f"{self._settings.grpc_address} cannot be listened on: stop what does, or move "
                "GATEWAY_GRPC_PORT"
            ) from None
        await server.start()
        self._server = server

    async def close(self) -> None:
        """Takes nothing new, and lets what is in flight finish while the patience lasts."""
        if self._server is not None:
            await self._server.stop(self._settings.shutdown_seconds)


def _options(settings: Settings) -> tuple[tuple[str, int], ...]:
    return (
        # Else a second gateway could listen on the same port, and take a half of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.batch_bytes + _AROUND_IMAGES),
        ("grpc.max_send_message_length", -1),
        # More wait at the caller, instead of being refused.
        ("grpc.max_concurrent_streams", settings.max_in_flight + _PROBES),
        ("grpc.max_metadata_size", 8 * 1024),
        ("grpc.absolute_max_metadata_size", 16 * 1024),
        ("grpc.server_handshake_timeout_ms", 10_000),
        # Callers may ping every 10 s, also while they ask nothing; gRPC's own limit is 5 min.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        # Those who vanished without a word are found, and free their places.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
    )
