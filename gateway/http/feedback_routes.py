"""The routes of feedback and of kept images: paths, roles, documentation."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from database.clock import microseconds
from database.feedback import Query as CaseQuery
from gateway.audit.rows import Event
from gateway.errors import Code, RefusedError
from gateway.feedback.answered import AnsweredPredictions
from gateway.feedback.finding import LARGEST, Feedback
from gateway.feedback.listing import FeedbackListing
from gateway.feedback.records import FeedbackRecords
from gateway.feedback.shapes import Cases, Deletion, FeedbackHistory, FeedbackReceipt
from gateway.http.access import Access
from gateway.http.body import Body
from gateway.http.openapi import problems
from gateway.identity.principal import Role
from gateway.kept_images.encryption import UnreadableImageError
from gateway.kept_images.keeper import KeptImages
from gateway.kept_images.store import StoreError
from gateway.results.shapes import adapter
from gateway.secret_files import SecretError
from gateway.telemetry.recorder import RequestContext
from pipelines.formats import sniff

log = structlog.get_logger("gateway")

_MOST_CASES = 1000
_PREDICTION = "/api/v1/predictions/{prediction_id}"
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Feedback"}}},
    }
}
_IMAGE = {"description": "The image as it was sent.", "content": {"image/*": {}}}

PredictionId = Annotated[str, Path(description="As the answer has it.")]
_PIPELINE, _ID = r"^[a-z][a-z0-9_]{0,47}$", r"^[0-9a-f-]{36}$"
"""Forms of a name and of an id. Databases do not take every text."""


def feedback_routes(
    answered: AnsweredPredictions,
    records: FeedbackRecords,
    listing: FeedbackListing,
    images: KeptImages,
    access: Access,
) -> APIRouter:
    """Feedback to predictions, its history, and kept images. Role `feedback`."""
    router = APIRouter(tags=["feedback"], dependencies=[Depends(access)])

    @router.post(
        f"{_PREDICTION}/feedback",
        operation_id="give_feedback",
        status_code=201,
        response_model=None,
        responses={
            **problems(401, 403, 404, 413, 415, 422),
            201: {"model": FeedbackReceipt, "description": "It is durable."},
        },
        openapi_extra=_BODY,
    )
    async def give(request: Request, prediction_id: PredictionId) -> Response:
        """What is right of a prediction; appended to what was said before."""
        context = _begin(request, "feedback")
        context.principal.require(Role.FEEDBACK)
        said = Feedback.read(bytes(await Body.of_any_type(request, LARGEST).data()))
        receipt = await records.add(context, prediction_id, said)
        return _json(FeedbackReceipt, receipt, 201)

    @router.get(
        f"{_PREDICTION}/feedback",
        operation_id="feedback_history",
        response_model=None,
        responses={**problems(401, 403, 404), 200: {"model": FeedbackHistory}},
    )
    async def history(request: Request, prediction_id: PredictionId) -> Response:
        """All feedback of a prediction, the first one first."""
        context = _begin(request, "feedback")
        return _json(FeedbackHistory, await listing.history(context, prediction_id))

    @router.delete(
        f"{_PREDICTION}/feedback/{{feedback_id}}/comment",
        operation_id="delete_comment",
        response_model=None,
        responses={**problems(401, 403, 404), 200: {"model": Deletion}},
    )
    async def delete_comment(
        request: Request,
        prediction_id: PredictionId,
        feedback_id: str,
    ) -> Response:
        """Deletes reader and comment of a feedback; what was found stays."""
        context = _begin(request, "feedback")
        deleted = await records.delete_texts(context, prediction_id, feedback_id)
        return _json(Deletion, {"deleted": deleted})

    @router.get(
        "/api/v1/feedback",
        operation_id="list_cases",
        response_model=None,
        responses={**problems(401, 403, 422), 200: {"model": Cases}},
    )
    async def cases(
        request: Request,
        pipeline: Annotated[str, Query(pattern=_PIPELINE)],
        *,
        unlabelled: Annotated[
            bool, Query(description="Also predictions without feedback.")
        ] = False,
        since: Annotated[datetime | None, Query(description="From then on; UTC.")] = None,
        until: Annotated[datetime | None, Query(description="Before then; UTC.")] = None,
        after: Annotated[
            str | None, Query(pattern=_ID, description="`next` of the page before.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=_MOST_CASES)] = 100,
    ) -> Response:
        """A pipeline's predictions with their feedback: one's own; with role `audit` all."""
        context = _begin(request, "feedback")
        principal = context.principal
        principal.require(Role.FEEDBACK, pipeline)
        query = CaseQuery(
            pipeline=pipeline,
            tenant=None if principal.may(Role.AUDIT) else principal.name,
            unlabelled=unlabelled,
            since=None if since is None else microseconds(since),
            until=None if until is None else microseconds(until),
            after=after,
            limit=limit + 1,
        )
        found = await listing.cases(context, query)
        more = found[limit - 1]["prediction_id"] if len(found) > limit else None
        return _json(Cases, {"cases": found[:limit], "next": more})

    @router.get(
        f"{_PREDICTION}/image",
        operation_id="kept_image",
        response_class=Response,
        response_model=None,
        responses={**problems(401, 403, 404), 200: _IMAGE},
    )
    async def image(request: Request, prediction_id: PredictionId) -> Response:
        """The image of a prediction, where it was kept."""
        context = _begin(request, "image")
        await answered.find(context, prediction_id, others=Role.OPERATE)
        async with _refusing():
            content = await images.read(prediction_id)
        if content is None:
            raise RefusedError(
                Code.IMAGE_NOT_KEPT,
                "prediction: its image is not kept. Images are kept where the pipeline keeps them "
                "and the request says X-Keep-Image: yes.",
            )
        await records.note(context, Event.IMAGE_READ, prediction_id)
        form = sniff(content)
        kind = "application/octet-stream" if form is None else f"image/{form}"
        return Response(content, media_type=kind, headers={"Content-Disposition": "attachment"})

    @router.delete(
        f"{_PREDICTION}/image",
        operation_id="delete_kept_image",
        response_model=None,
        responses={**problems(401, 403, 404), 200: {"model": Deletion}},
    )
    async def delete_image(request: Request, prediction_id: PredictionId) -> Response:
        """Destroys the key of a kept image, and removes the image."""
        context = _begin(request, "image")
        await answered.find(context, prediction_id, others=Role.OPERATE)
        async with _refusing():
            deleted = await images.destroy(prediction_id)
        if deleted:
            await records.note(context, Event.IMAGE_DELETED, prediction_id)
        return _json(Deletion, {"deleted": deleted})

    return router


def _begin(request: Request, route: str) -> RequestContext:
    context: RequestContext = request.state.context
    context.route = route
    return context


@asynccontextmanager
async def _refusing() -> AsyncIterator[None]:
    """Refuses where the store or the key file fails, and says why in the log."""
    try:
        yield
    except (StoreError, SecretError, UnreadableImageError) as error:
        log.error("kept image", error=str(error))  # noqa: TRY400 - no traceback
        raise RefusedError(
            Code.UNAVAILABLE,
            "image: it cannot be read or deleted now. Try again, or tell the service's operator.",
            reason="kept_images",
        ) from None


def _json(shape: object, answer: object, status: int = 200) -> Response:
    content = adapter(shape).dump_json(answer)
    return Response(content, status, media_type="application/json")
