"""The routes of KServe's inference protocol (v2), for pipelines only."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.responses import JSONResponse, Response

from gateway.core.admission import Admission, ResponseTime
from gateway.core.catalog import Catalog
from gateway.core.request import Deadline
from gateway.dataplane import Dataplane
from gateway.errors import Code, RefusedError
from gateway.http.access import Access, principal_of
from gateway.http.body import Body
from gateway.http.kserve_messages import (
    HEADER_LENGTH,
    WRAPPING,
    InferBody,
    infer_response,
)
from gateway.http.predictions import answered
from gateway.http.problems import KSERVE, problem_response
from gateway.identity.principal import Role
from gateway.kserve.inference import inference_request, shown
from gateway.kserve.models import Message, Models, json_of
from gateway.replays import Replays
from gateway.settings import Settings
from gateway.telemetry.recorder import Outcome, RequestContext
from pipelines.spec import PipelineSpec

_SLOW = "body: it came too slowly. Send a smaller one, or over a faster line."
_INDEX_BYTES = 1024
Endpoint = Callable[[Request], Awaitable[Response]]


class _IndexRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    ready: bool = False


@dataclass(frozen=True, slots=True)
class Kserve:
    """Answers the protocol's requests as its gRPC side does."""

    settings: Settings
    catalog: Catalog
    admission: Admission
    dataplane: Dataplane
    models: Models
    replays: Replays

    async def infer(self, request: Request) -> Response:
        """An inference.

        Raises:
            RefusedError: why there is none.
            CallerGoneError: the caller hung up.
        """
        context: RequestContext = request.state.context
        context.route, context.transport = "v2", "kserve"
        deadline = Deadline.after(self.settings.deadline_seconds)
        name, version = _asked(request)
        context.principal.require(Role.PREDICT, name)
        pipeline = await self.catalog.find(name, context.principal.covers)
        context.pipeline = pipeline.name
        await self.dataplane.check(context)
        context.prediction = True
        context.read_wishes(request.headers.get)
        length = request.headers.get(HEADER_LENGTH)
        limit = min(self.settings.batch_bytes, _images_size(pipeline.spec)) + WRAPPING
        body = Body.of_any_type(request, limit)
        wanted = ResponseTime(pipeline.spec.serving.respond_within, context.respond_within)
        caller, remaining = context.share_holder, deadline.remaining()
        with self.admission.enter(caller, pipeline.name, body.size, remaining, wanted) as holding:
            with context.stage("receive"):
                read = InferBody(length, pipeline.spec)
                async with deadline.enforce(_SLOW):
                    async for chunk in body.chunks(holding.receive):
                        read.feed(chunk)
                asked = read.request(name, version)
                del read
            deadline = deadline.within(asked.timeout())

            def render(outcomes: Sequence[Outcome]) -> Response:
                try:
                    return infer_response(asked, outcomes)
                except RefusedError as refusal:
                    return problem_response(request, refusal)

            question = inference_request(context, pipeline, asked, deadline, holding=holding)
            infer = self.dataplane.infer
            return await answered(
                request, self.replays, question, infer, render, shown=shown(asked)
            )

    async def live(self, request: Request) -> Response:
        """The process lives."""
        request.state.context.quiet = True
        return JSONResponse({"live": True})

    async def ready(self, request: Request) -> Response:
        """Ready where at least one pipeline is.

        Raises:
            RefusedError: none is.
        """
        request.state.context.quiet = True
        if not self.models.server_ready():
            raise _unready("service: no pipeline is ready.")
        return JSONResponse({"live": True, "ready": True})

    async def model_ready(self, request: Request) -> Response:
        """Whether a pipeline answers.

        Raises:
            RefusedError: it does not, or there is none of the name.
        """
        request.state.context.quiet = True
        name, version = _asked(request)
        if not await self.models.model_ready(principal_of(request), name, version):
            raise _unready("pipeline: it is not ready.")
        return JSONResponse({"name": name, "ready": True})

    async def server(self, request: Request) -> Response:
        """The gateway's name, version and extensions."""
        request.state.context.route = "v2/metadata"
        return JSONResponse(json_of(self.models.server()))

    async def metadata(self, request: Request) -> Response:
        """A pipeline's input and outputs."""
        return _described(
            request, await self.models.metadata(principal_of(request), *_asked(request))
        )

    async def config(self, request: Request) -> Response:
        """A pipeline's config, without its steps."""
        return _described(
            request, await self.models.config(principal_of(request), *_asked(request))
        )

    async def statistics(self, request: Request) -> Response:
        """What Triton counted for one pipeline, or for all."""
        return _described(
            request, await self.models.statistics(principal_of(request), *_asked(request))
        )

    async def index(self, request: Request) -> Response:
        """The pipelines and their states."""
        content = await Body.of_any_type(request, _INDEX_BYTES).data()
        try:
            asked = _IndexRequest.model_validate_json(content or b"{}")
        except ValidationError:
            raise RefusedError(
                Code.MALFORMED_BODY, 'body: send nothing, or {"ready": true} or {"ready": false}.'
            ) from None
        index = await self.models.index(principal_of(request), ready=asked.ready)
        request.state.context.route = "v2/metadata"
        return JSONResponse(json_of(index)["models"])


def kserve_routes(kserve: Kserve, access: Access, description_access: Access) -> APIRouter:
    """The protocol's routes, which its own OpenAPI document describes.

    Probes of the whole service need no key; `description_access` says who may name a pipeline.
    """
    router = APIRouter(prefix=KSERVE, include_in_schema=False)

    def add(path: str, endpoint: Endpoint, method: str = "GET", *needs: Access) -> None:
        dependencies = [Depends(each) for each in needs]
        router.add_api_route(
            path, endpoint, methods=[method], dependencies=dependencies, response_model=None
        )

    add("", kserve.server, "GET", access)
    add("/health/live", kserve.live)
    add("/health/ready", kserve.ready)
    add("/models/stats", kserve.statistics, "GET", access)
    add("/repository/index", kserve.index, "POST", access)
    for model in ("/models/{name}", "/models/{name}/versions/{version}"):
        add(model, kserve.metadata, "GET", access)
        add(f"{model}/ready", kserve.model_ready, "GET", description_access)
        add(f"{model}/config", kserve.config, "GET", access)
        add(f"{model}/stats", kserve.statistics, "GET", access)
        add(f"{model}/infer", kserve.infer, "POST", access)
    return router


def _asked(request: Request) -> tuple[str, str]:
    """The path's model and version; "" where it names none."""
    return request.path_params.get("name", ""), request.path_params.get("version", "")


def _described(request: Request, message: Message) -> Response:
    request.state.context.route = "v2/metadata"
    return JSONResponse(json_of(message))


def _images_size(spec: PipelineSpec) -> int:
    """Bytes of as many images as one request may have, in base64."""
    return spec.serving.max_batch * (spec.limits.bytes * 4 // 3 + 8)


def _unready(problem: str) -> RefusedError:
    return RefusedError(Code.UNAVAILABLE, f"{problem} Try again after the seconds in Retry-After.")
