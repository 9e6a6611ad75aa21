"""Liveness, readiness and the facts of pipelines, by the methods of KServe's protocol."""

from dataclasses import dataclass

from tritonclient.grpc import service_pb2

from gateway.errors import Code, RefusedError
from gateway.grpc.call import Call
from gateway.grpc.messages import Message, parse, serialise
from gateway.grpc.reception import Reception
from gateway.identity.authentication import Authenticator
from gateway.identity.principal import Principal
from gateway.kserve.models import Models


@dataclass(frozen=True, slots=True)
class Health:
    """Probes are not logged. Facts and names need credentials."""

    authenticator: Authenticator
    descriptions: Authenticator
    """Tells those who may name a pipeline where they ask whether it is ready."""
    models: Models
    reception: Reception

    async def server_live(self, call: Call) -> bytes:
        """The process lives."""
        call.context.quiet = True
        return serialise(service_pb2.ServerLiveResponse(live=True))

    async def server_ready(self, call: Call) -> bytes:
        """Ready where at least one pipeline is."""
        call.context.quiet = True
        return serialise(service_pb2.ServerReadyResponse(ready=self.models.server_ready()))

    async def model_ready(self, call: Call) -> bytes:
        """Whether one pipeline answers; false also where Triton cannot be asked.

        Raises:
            RefusedError: no credentials, or there is no such pipeline.
        """
        call.context.quiet = True
        caller = await self.descriptions.authenticate(call.credentials)
        asked = await self._read(call, service_pb2.ModelReadyRequest)
        ready = await self.models.model_ready(caller, asked.name, asked.version)
        return serialise(service_pb2.ModelReadyResponse(ready=ready))

    async def server_metadata(self, call: Call) -> bytes:
        """The gateway's name, version and extensions.

        Raises:
            RefusedError: no credentials.
        """
        await self._begin(call)
        return serialise(self.models.server())

    async def model_metadata(self, call: Call) -> bytes:
        """A pipeline's input and outputs.

        Raises:
            RefusedError: no credentials, no such pipeline, or Triton does not answer.
        """
        caller = await self._begin(call)
        asked = await self._read(call, service_pb2.ModelMetadataRequest)
        answer = await self.models.metadata(caller, asked.name, asked.version)
        call.context.pipeline = answer.name
        return serialise(answer)

    async def model_config(self, call: Call) -> bytes:
        """A pipeline's config, without its steps.

        Raises:
            RefusedError: no credentials, no such pipeline, or Triton does not answer.
        """
        caller = await self._begin(call)
        asked = await self._read(call, service_pb2.ModelConfigRequest)
        config = await self.models.config(caller, asked.name, asked.version)
        call.context.pipeline = config.name
        return serialise(service_pb2.ModelConfigResponse(config=config))

    async def model_statistics(self, call: Call) -> bytes:
        """What Triton counted for one pipeline, or for all.

        Raises:
            RefusedError: no credentials, no such pipeline, or Triton does not answer.
        """
        caller = await self._begin(call)
        asked = await self._read(call, service_pb2.ModelStatisticsRequest)
        return serialise(await self.models.statistics(caller, asked.name, asked.version))

    async def repository_index(self, call: Call) -> bytes:
        """The pipelines and their states.

        Raises:
            RefusedError: no credentials, or a repository that is named.
        """
        caller = await self._begin(call)
        asked = await self._read(call, service_pb2.RepositoryIndexRequest)
        if asked.repository_name:
            raise RefusedError(
                Code.PARAMETER_INVALID, "repository_name: repositories have none. Leave it empty."
            )
        return serialise(await self.models.index(caller, ready=asked.ready))

    async def _begin(self, call: Call) -> Principal:
        call.context.route = "grpc/metadata"
        call.context.principal = await self.authenticator.authenticate(call.credentials)
        return call.context.principal

    async def _read(self, call: Call, message_type: Message) -> Message:
        async with call.message(self.reception, call.deadline(self.reception.seconds)) as message:
            return parse(message_type, message)
