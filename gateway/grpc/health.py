"""Health and metadata: liveness, readiness, and the tensors of a pipeline."""

from dataclasses import dataclass

from tritonclient.grpc import service_pb2

from gateway.core.catalog import Catalog
from gateway.core.readiness import Readiness
from gateway.errors import Code, RefusedError
from gateway.grpc.call import Call
from gateway.grpc.messages import Message, parse, serialise
from gateway.identity.api_keys import ApiKeys
from gateway.kserve.request import check_version
from gateway.triton.client import TritonClient

_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Health:
    """Probes need no key and are not logged; metadata needs a key where keys are configured."""

    keys: ApiKeys
    catalog: Catalog
    readiness: Readiness
    triton: TritonClient

    async def server_live(self, call: Call) -> bytes:
        """The process lives."""
        call.context.quiet = True
        return serialise(service_pb2.ServerLiveResponse(live=True))

    async def server_ready(self, call: Call) -> bytes:
        """Ready where at least one pipeline is."""
        call.context.quiet = True
        ready = any(self.readiness.states().values())
        return serialise(service_pb2.ServerReadyResponse(ready=ready))

    async def model_ready(self, call: Call) -> bytes:
        """Whether one pipeline answers; false also where Triton cannot be asked.

        Raises:
            RefusedError: there is no such pipeline.
        """
        call.context.quiet = True
        message = await call.message(call.deadline(_SECONDS))
        try:
            name = await self._asked(service_pb2.ModelReadyRequest, message)
        except RefusedError as refusal:
            if refusal.code is not Code.UNAVAILABLE:
                raise
            return serialise(service_pb2.ModelReadyResponse(ready=False))
        return serialise(service_pb2.ModelReadyResponse(ready=self.readiness.ready(name)))

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
        call.context.pipeline = await self._asked(service_pb2.ModelMetadataRequest, message)
        return await self.triton.metadata("ModelMetadata", message, _SECONDS)

    def _begin(self, call: Call) -> None:
        call.context.route = "grpc/metadata"
        call.context.caller = self.keys.caller(call.key)

    async def _asked(self, message_type: Message, raw: bytes) -> str:
        """The name of the pipeline that a message asks about."""
        message = parse(message_type, raw)
        pipeline = await self.catalog.find(message.name)
        check_version(message.version)
        return pipeline.name
