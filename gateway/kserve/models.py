"""What the protocol says of the server and its models: pipelines only, and nothing of members."""

from dataclasses import dataclass
from typing import Any

from tritonclient.grpc import service_pb2

from gateway import VERSION
from gateway.core.catalog import Catalog, Pipeline
from gateway.core.readiness import Readiness
from gateway.errors import Code, RefusedError
from gateway.identity.principal import Principal
from gateway.kserve.request import MODEL_VERSION, check_version
from gateway.triton.client import TritonClient

Message = Any
"""A protobuf message, or a part of one; its classes have no types."""
Json = Any

SERVER_NAME = "second-opinion"
EXTENSIONS = ("binary_tensor_data", "model_configuration", "parameters", "statistics")
"""Of Triton's, those that are offered whole. `model_repository` would be loading, too."""
_SECONDS = 2.0
"""How long Triton may take to answer."""


@dataclass(frozen=True, slots=True)
class Models:
    """Answers what clients of the protocol ask before and beside inferences."""

    catalog: Catalog
    readiness: Readiness
    triton: TritonClient

    def server(self) -> Message:
        """A ServerMetadataResponse: the gateway's own name, version and extensions."""
        return service_pb2.ServerMetadataResponse(
            name=SERVER_NAME, version=VERSION, extensions=EXTENSIONS
        )

    def server_ready(self) -> bool:
        """Whether requests may come, as `GET /readyz` says."""
        return self.readiness.all_ready()

    async def model_ready(self, caller: Principal, name: str, version: str = "") -> bool:
        """Whether a pipeline answers; false also where Triton cannot be asked.

        Raises:
            RefusedError: the caller does not cover it, or there is no such pipeline or version.
        """
        try:
            return self.readiness.ready((await self._find(caller, name, version)).name)
        except RefusedError as refusal:
            if refusal.code is not Code.UNAVAILABLE:
                raise
            return False

    async def metadata(self, caller: Principal, name: str, version: str = "") -> Message:
        """A pipeline's ModelMetadataResponse, as Triton has it: its input and outputs.

        Raises:
            RefusedError: not covered, no such pipeline or version, or Triton does not answer.
        """
        pipeline = await self._find(caller, name, version)
        answer = await self.triton.metadata(pipeline.model, _SECONDS)
        answer.name = pipeline.name
        return answer

    async def config(self, caller: Principal, name: str, version: str = "") -> Message:
        """A pipeline's ModelConfig: input, outputs and the images that one request may hold.

        Its steps, their parameters and their files are left out: they cannot be asked.

        Raises:
            RefusedError: not covered, no such pipeline or version, or Triton does not answer.
        """
        pipeline = await self._find(caller, name, version)
        config = await self.triton.config(pipeline.model, _SECONDS)
        shown = service_pb2.ModelConfigResponse().config
        shown.name, shown.platform = pipeline.name, config.platform
        shown.max_batch_size = config.max_batch_size
        shown.input.extend(config.input)
        shown.output.extend(config.output)
        return shown

    async def statistics(self, caller: Principal, name: str = "", version: str = "") -> Message:
        """What Triton counts (ModelStatisticsResponse) of one pipeline, or with "" of all covered.

        Of several Tritons behind one address, the one that is asked says its own. The gateway's
        probes are counted, too.

        Raises:
            RefusedError: not covered, no such pipeline or version, or Triton does not answer.
        """
        if name:
            pipeline = await self._find(caller, name, version)
            answer = await self.triton.statistics(pipeline.model, _SECONDS)
            shown = {pipeline.model: pipeline.name}
        else:
            covered = set(await self._names(caller))
            answer = await self.triton.statistics("", _SECONDS)
            shown = {p.model: p.name for p in self.catalog.pipelines() if p.name in covered}
        response = service_pb2.ModelStatisticsResponse()
        for stats in answer.model_stats:
            if stats.name in shown:
                response.model_stats.append(stats)
                response.model_stats[-1].name = shown[stats.name]
        return response

    async def index(self, caller: Principal, *, ready: bool = False) -> Message:
        """A RepositoryIndexResponse: the covered pipelines, or with `ready` those that answer.

        Raises:
            RefusedError: no pipeline is known yet, as Triton does not answer.
        """
        response = service_pb2.RepositoryIndexResponse()
        for name in await self._names(caller):
            answers = self.readiness.ready(name)
            if answers or not ready:
                state = "READY" if answers else "UNAVAILABLE"
                response.models.add(name=name, version=MODEL_VERSION, state=state)
        return response

    async def _find(self, caller: Principal, name: str, version: str) -> Pipeline:
        caller.require_covered(name)
        pipeline = await self.catalog.find(name, caller.covers)
        check_version(version)
        return pipeline

    async def _names(self, caller: Principal) -> list[str]:
        """The pipelines that a caller covers, by name."""
        if not self.catalog.pipelines():
            # None would be a wrong answer where Triton cannot be asked: this says so.
            await self.catalog.find("")
        names = (pipeline.name for pipeline in self.catalog.pipelines())
        return [name for name in names if caller.covers(name)]


def json_of(message: Message) -> dict[str, Json]:
    """A message as Triton's JSON has it: its own field names, 64-bit integers as numbers."""
    return {
        field.name: _json_field(field, getattr(message, field.name))
        for field in message.DESCRIPTOR.fields
        if not field.has_presence or message.HasField(field.name)
    }


def _json_field(field: Message, value: Message) -> Json:
    if field.message_type and field.message_type.GetOptions().map_entry:
        item = field.message_type.fields_by_name["value"]
        return {str(key): _json_value(item, value[key]) for key in value}
    if field.is_repeated:
        return [_json_value(field, each) for each in value]
    return _json_value(field, value)


def _json_value(field: Message, value: Message) -> Json:
    if field.message_type:
        return json_of(value)
    return field.enum_type.values_by_number[value].name if field.enum_type else value
