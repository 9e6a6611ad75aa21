"""Health and metadata: what is alive, what is ready, and what the tensors are."""

from dataclasses import dataclass

from tritonclient.grpc import service_pb2

from gateway.core.catalog import Catalog
from gateway.core.readiness import Readiness
from gateway.errors import Code, RefusedError
from gateway.grpc.call import Call
from gateway.grpc.message import Message, check_version, parsed, serialised
from gateway.http.access import Access
from gateway.triton.client import Triton

_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Health:
    """Probes need no key and leave no trace; metadata needs one where keys are configured."""

    access: Access
    catalog: Catalog
    readiness: Readiness
    triton: Triton

    async def server_live(self, call: Call) -> bytes:
        """The process lives."""
        call.exchange.quiet = True
        return serialised(service_pb2.ServerLiveResponse(live=True))

    async def server_ready(self, call: Call) -> bytes:
        """Ready where at least one pipeline is."""
        call.exchange.quiet = True
        ready = any(self.readiness.states().values())
        return serialised(service_pb2.ServerReadyResponse(ready=ready))

    async def model_ready(self, call: Call) -> bytes:
        """Whether one pipeline answers; one that Triton cannot show now does not.

        Raises:
            RefusedError: there is no such pipeline.
        """
        call.exchange.quiet = True
        message = await call.message(call.deadline(_SECONDS))
        try:
            name = await self._asked(service_pb2.ModelReadyRequest, message)
        except RefusedError as refusal:
            if refusal.code is not Code.UNAVAILABLE:
                raise
            return serialised(service_pb2.ModelReadyResponse(ready=False))
        return serialised(service_pb2.ModelReadyResponse(ready=self.readiness.ready(name)))

    async def server_metadata(self, call: Call) -> bytes:
        """Triton's name, version and extensions.

        Raises:
            RefusedError: no key, or Triton does not answer.
        """
        self._begin(call)
        return await self.triton.metadata("ServerMetadata", b"", _SECONDS)

    async def model_metadata(self, call: Call) -> bytes:
        """A pipeline's input and outputs.

        Raises:
            RefusedError: no key, no such pipeline, or Triton does not answer.
        """
        self._begin(call)
        message = await call.message(call.deadline(_SECONDS))
        call.exchange.pipeline = await self._asked(service_pb2.ModelMetadataRequest, message)
        return await self.triton.metadata("ModelMetadata", message, _SECONDS)

    def _begin(self, call: Call) -> None:
        call.exchange.route = "grpc/metadata"
        self.access.check(call.key, call.exchange)

    async def _asked(self, kind: Message, raw: bytes) -> str:
        """The name of the pipeline that a message of this kind asks about."""
        message = parsed(kind, raw)
        pipeline = await self.catalog.find(message.name)
        check_version(message.version)
        return pipeline.name
