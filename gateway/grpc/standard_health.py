"""The service `grpc.health.v1.Health`, which Kubernetes probes and gRPC clients ask."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

import grpc
from grpc_health.v1 import health_pb2
from tritonclient.grpc import service_pb2

from gateway.errors import RefusedError, grpc_status_of
from gateway.grpc.call import Call, Context, opened
from gateway.grpc.messages import parse, serialise
from gateway.grpc.reception import Reception
from gateway.identity.authentication import Authenticator
from gateway.identity.principal import NOBODY, Principal
from gateway.kserve.models import Models

HEALTH_SERVICE: str = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
_INFERENCE_SERVICE = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
_WHOLE = {"", _INFERENCE_SERVICE}
"""Names of the service as a whole; every other one is a pipeline's."""
_INTERVAL = 0.5
"""Seconds between two looks at a state that is watched; it is cached, so a look asks nobody."""
_SERVING: int = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: int = health_pb2.HealthCheckResponse.NOT_SERVING
_SERVICE_UNKNOWN: int = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


@dataclass(frozen=True, slots=True)
class StandardHealth:
    """Says whether the service, or one pipeline, answers; it is not logged."""

    descriptions: Authenticator
    """Tells those who may name a pipeline; the service as a whole needs no credentials."""
    models: Models
    reception: Reception
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server stops: those who watch would keep it waiting."""

    async def check(self, call: Call) -> bytes:
        """The state at this moment.

        Raises:
            RefusedError: no credentials, or there is no such pipeline.
        """
        call.context.quiet = True
        service, caller = await self._service(call)
        if service in _WHOLE:
            ready = self.models.server_ready()
        else:
            ready = await self.models.model_ready(caller, service)
        return serialise(health_pb2.HealthCheckResponse(status=_status(ready=ready)))

    async def watch(self, _: object, connection: Context) -> None:
        """Sends the state, and again whenever it has changed, until the caller leaves."""
        call = opened(connection)
        try:
            service, _ = await self._service(call)
            await self._send_changes(call, service)
        except RefusedError as refusal:
            status = grpc.StatusCode[grpc_status_of(refusal.code)]
            await connection.abort(status, refusal.message())

    async def _send_changes(self, call: Call, service: str) -> None:
        """Sends the state of a service whenever it changes, to a caller who still may know it.

        Raises:
            RefusedError: the caller may not any more.
        """
        sent: int | None = None
        while True:
            # Read once: it may be set while a state is sent.
            closing = self.closing.is_set()
            status = self._watched(service, closing=closing)
            if status != sent:
                await call.connection.write(
                    serialise(health_pb2.HealthCheckResponse(status=status))
                )
                sent = status
            if closing:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(_INTERVAL):
                    await self.closing.wait()
            if service not in _WHOLE:
                await self._covered(call, service)

    async def _service(self, call: Call) -> tuple[str, Principal]:
        async with call.message(self.reception, call.deadline(self.reception.seconds)) as message:
            service: str = parse(health_pb2.HealthCheckRequest, message).service
        if service in _WHOLE:
            return service, NOBODY
        return service, await self._covered(call, service)

    async def _covered(self, call: Call, service: str) -> Principal:
        caller = await self.descriptions.authenticate(call.credentials)
        caller.require_covered(service)
        return caller

    def _watched(self, service: str, *, closing: bool) -> int:
        states = self.models.readiness.states()
        if service not in _WHOLE and service not in states:
            # It may come yet.
            return _SERVICE_UNKNOWN
        ready = self.models.server_ready() if service in _WHOLE else states[service]
        return _status(ready=ready and not closing)


def _status(*, ready: bool) -> int:
    return _SERVING if ready else _NOT_SERVING
