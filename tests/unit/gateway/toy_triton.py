"""A gRPC server that speaks Triton's protocol and answers as a test tells it to."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import grpc
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc

from pipelines.load import load_spec
from pipelines.protocol import COSTLY_APART, PIPELINE_PARAMETER, ConfigOverride, Output
from pipelines.spec import PipelineSpec
from tests.unit.gateway.toy_answers import Tensor, answer_of, elements, encoded

SPEC = load_spec("oral_cancer")
REFERENCE = {
    "file": "oral_cancer/typicality/eeeeeeeeeeeeeeee.npz",
    "sha256": "e" * 64,
    "photos": 1000,
    "photos_sha256": "f" * 64,
    "features": True,
}

DATATYPES = {"float32": "FP32", "int32": "INT32", "float64": "FP64", "int64": "INT64"}

Rule = Callable[[bytes, dict[str, str]], Awaitable[None]]
"""Takes an image and the request's parameters; raises `Failure` where there is no answer."""


def artefacts_of(spec: PipelineSpec) -> dict[str, dict[str, str]]:
    """The first member's are demo weights."""
    return {
        name: {
            "version": str(index + 1),
            "sha256": "abcdef"[index] * 64,
            "weights": "trained" if index else "demo",
        }
        for index, name in enumerate(spec.members)
    }


def release_of(spec: PipelineSpec) -> str:
    """An id that differs where the facts do, as the launcher's."""
    return f"{spec.release}-{hashlib.sha256(spec.model_dump_json().encode()).hexdigest()[:8]}"


class Failure(Exception):  # noqa: N818
    """What Triton answers instead."""

    def __init__(self, status: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class ToyTriton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """One ensemble; `rules` are applied to each inference in order."""

    def __init__(self) -> None:
        self.serve(SPEC)
        self.altered: dict[str, Tensor] = {}
        """Outputs that are not as a right answer has them."""
        self.calibration: str | None = None
        """What the launcher says of the release's calibration."""
        self.temperatures: dict[str, float] = {}
        """Of calibrated members."""
        self.reference: str | None = json.dumps(REFERENCE)
        """What the launcher says of the release's reference for typicality."""
        self.ready = True
        self.models_before: tuple[str, ...] = ()
        self.models_after: tuple[str, ...] = ("oral_cancer_vgg16",)
        """Models of the repository besides the ensemble."""
        self.rules: list[Rule] = []
        self.failures: list[Failure] = []
        """Each is given once, before anything else."""
        self.seen: list[dict[str, str]] = []
        self.calls: list[int] = []
        """Images in each."""
        self.last = pb.ModelInferRequest()
        self.metadata: dict[str, str] = {}
        """Of the last call."""
        self.cancelled = 0
        self.now = self.most = 0
        """Images under way."""
        self.calls_now = self.most_calls = 0
        """Calls under way."""
        self.port = 0

    def serve(self, spec: PipelineSpec) -> None:
        self.spec = self.answered_by = spec

    def hold(self) -> asyncio.Event:
        """An event before which nobody is answered any more."""
        done = asyncio.Event()

        async def until_done(*_):
            await done.wait()

        self.rules.append(until_done)
        return done

    async def probed(self):
        """Waits until the gateway's first probe is answered, then forgets it."""
        async with asyncio.timeout(30):
            while not self.seen or self.now:  # noqa: ASYNC110 - gRPC sets no event
                await asyncio.sleep(0.005)
        self.seen.clear()
        self.calls.clear()
        self.most = self.most_calls = 0

    def _artefacts(self):
        return {
            name: facts | {"temperature": self.temperatures.get(name)}
            for name, facts in artefacts_of(self.spec).items()
        }

    async def RepositoryIndex(self, _request, _context):  # noqa: N802
        index = pb.RepositoryIndexResponse()
        for name in self.models_before:
            index.models.add(name=name, state="READY")
        index.models.add(name=self.spec.name, state="READY" if self.ready else "UNAVAILABLE")
        for name in self.models_after:
            index.models.add(name=name, state="READY")
        return index

    async def ModelConfig(self, request, _context):  # noqa: N802
        response = pb.ModelConfigResponse()
        if request.name == self.spec.name:
            response.config.name, response.config.platform = self.spec.name, "ensemble"
            response.config.max_batch_size = self.spec.serving.max_batch
            response.config.input.add(name="image", data_type="TYPE_STRING", dims=[1])
            response.config.output.add(name="release", data_type="TYPE_STRING", dims=[1])
            response.config.ensemble_scheduling.step.add(model_name="oral_cancer_decode")
            parameters = response.config.parameters
            parameters[PIPELINE_PARAMETER].string_value = self.spec.model_dump_json()
            if self.calibration is not None:
                parameters[ConfigOverride.CALIBRATION].string_value = self.calibration
            if self.reference is not None:
                parameters[ConfigOverride.REFERENCE].string_value = self.reference
            parameters[ConfigOverride.ARTEFACTS].string_value = json.dumps(self._artefacts())
            parameters[ConfigOverride.RELEASE].string_value = release_of(self.spec)
            parameters[ConfigOverride.RELEASE_SHA256].string_value = "9" * 64
        return response

    async def ModelMetadata(self, request, _context):  # noqa: N802
        return pb.ModelMetadataResponse(name=request.name, versions=["1"], platform="ensemble")

    async def ModelStatistics(self, request, _context):  # noqa: N802
        response = pb.ModelStatisticsResponse()
        for name in (*self.models_before, self.spec.name, *self.models_after):
            if request.name in {"", name}:
                response.model_stats.add(name=name, version="1", inference_count=7)
        return response

    async def ModelInfer(self, request, context):  # noqa: N802
        images = elements(request.raw_input_contents[0])
        self.calls.append(len(images))
        self.last = request
        self.metadata = dict(context.invocation_metadata())
        self.now += len(images)
        self.most = max(self.most, self.now)
        self.calls_now += 1
        self.most_calls = max(self.most_calls, self.calls_now)
        try:
            return await self._answer(request, images)
        except Failure as failure:
            await context.abort(failure.status, failure.message)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.now -= len(images)
            self.calls_now -= 1

    async def _answer(self, request, images):
        parameters = {key: item.string_param for key, item in request.parameters.items()}
        self.seen.append(
            {name: given for name, given in parameters.items() if name != COSTLY_APART}
        )
        if self.failures:
            raise self.failures.pop(0)
        for rule in self.rules:
            await asyncio.gather(*(rule(image, parameters) for image in images))
        tensors = {
            **answer_of(self.answered_by, parameters),
            Output.RELEASE: [release_of(self.answered_by).encode()],
            **self.altered,
        }
        response = pb.ModelInferResponse(model_name=request.model_name, id=request.id)
        for name, tensor in tensors.items():
            datatype = "BYTES" if isinstance(tensor, list) else DATATYPES.get(tensor.dtype.name, "")
            response.outputs.add(name=name, datatype=datatype)
            response.raw_output_contents.append(encoded(tensor) * len(images))
        return response


@asynccontextmanager
async def running(
    toy: ToyTriton,
    credentials: grpc.ServerCredentials | None = None,
    options: list[tuple[str, int]] | None = None,
) -> AsyncIterator[ToyTriton]:
    options = [("grpc.max_receive_message_length", -1), *(options or [])]
    server = grpc.aio.server(options=options)
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(toy, server)
    if credentials:
        toy.port = server.add_secure_port("localhost:0", credentials)
    else:
        toy.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    toy.stop = partial(server.stop, grace=0)
    try:
        yield toy
    finally:
        await toy.stop()


async def forever(_image, _parameters):
    await asyncio.sleep(3600)
