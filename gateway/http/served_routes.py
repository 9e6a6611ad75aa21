"""The route that says what serves, since when, and on what evidence; for the role `operate`."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response
from typing_extensions import TypedDict

from gateway.core.catalog import Catalog, Pipeline
from gateway.http.access import Access, principal_of
from gateway.http.openapi import problems
from gateway.identity.principal import Role
from gateway.results.shapes import adapter, closed, doc
from gateway.usage.usage import Answered, Usage
from pipelines.calibration import AnswerFigures


@closed
class Interval(TypedDict):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


@closed
class CalibrationEvidence(TypedDict):
    """What labelled photos said of a release's confidence before it served."""

    photos: Annotated[int, doc("Labelled ones, that calibration was not fitted to.")]
    error_before: Annotated[Interval, doc("Expected calibration error of the models as trained.")]
    error_after: Annotated[Interval, doc("Of the confidence that is answered.")]


@closed
class ServedRelease(TypedDict):
    """A release of a pipeline: one that serves, or one that did."""

    pipeline: str
    release: str
    serves: Annotated[bool, doc("Whether it is the one that answers now.")]
    first: Annotated[
        datetime | None, doc("The hour of its first answer; null where it has answered nothing.")
    ]
    last: Annotated[datetime | None, doc("The hour of its last answer.")]
    images: Annotated[int, doc("That it answered.")]
    profile: Annotated[str | None, doc("The way it is served; null of one that no longer serves.")]
    release_sha256: Annotated[str | None, doc("Of the release's file; null likewise.")]
    coverage: Annotated[
        float | None,
        doc("The least share of images whose `set` holds the true class; null without sets."),
    ]
    calibration: Annotated[
        CalibrationEvidence | None, doc("Null where it is not calibrated, or no longer serves.")
    ]


@closed
class ServedReleases(TypedDict):
    """The releases of the pipelines that the caller covers: those that serve first."""

    releases: list[ServedRelease]


def served_routes(catalog: Catalog, usage: Usage, access: Access) -> APIRouter:
    """For the page's operators."""
    router = APIRouter(prefix="/api/v1", tags=["service"], dependencies=[Depends(access)])

    @router.get(
        "/served",
        operation_id="served",
        responses={**problems(401, 403, 503), 200: {"model": ServedReleases}},
    )
    async def served(request: Request) -> Response:
        """What serves, since when and on what evidence; and what served before."""
        request.state.context.route = "served"
        caller = principal_of(request)
        caller.require(Role.OPERATE)
        answered = await usage.releases()
        present = {(each.name, each.release): each for each in catalog.pipelines()}
        found = [
            _release(key, present.get(key), answered.get(key))
            for key in sorted({*present, *answered})
            if caller.covers(key[0])
        ]
        found.sort(key=lambda each: not each["serves"])
        content = adapter(ServedReleases).dump_json({"releases": found})
        return Response(content, media_type="application/json")

    return router


def _release(
    key: tuple[str, str], pipeline: Pipeline | None, answered: Answered | None
) -> ServedRelease:
    return {
        "pipeline": key[0],
        "release": key[1],
        "serves": pipeline is not None,
        "first": answered.first if answered else None,
        "last": answered.last if answered else None,
        "images": answered.images if answered else 0,
        "profile": pipeline.spec.profile if pipeline else None,
        "release_sha256": pipeline.release_sha256 if pipeline else None,
        "coverage": pipeline.coverage if pipeline else None,
        "calibration": _evidence(pipeline.figures) if pipeline and pipeline.figures else None,
    }


def _evidence(figures: AnswerFigures) -> CalibrationEvidence:
    before, after = figures.error_before, figures.error_after
    return {
        "photos": figures.photos,
        "error_before": {"value": before.value, "low": before.low, "high": before.high},
        "error_after": {"value": after.value, "low": after.low, "high": after.high},
    }
