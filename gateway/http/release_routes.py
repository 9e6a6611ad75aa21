"""The operator's routes of releases: how they are, how they became so, and a change of them."""

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response
from typing_extensions import TypedDict

from database.shadow import Comparison
from gateway.core.catalog import Catalog
from gateway.errors import Code, RefusedError
from gateway.http.access import Access
from gateway.http.body import Body
from gateway.http.openapi import problems
from gateway.identity.principal import Role
from gateway.release_changes import ReleaseChanges, Wish
from gateway.release_watch.watch import ReleaseWatch
from gateway.results.shapes import adapter, closed, doc
from gateway.telemetry.recorder import RequestContext
from pipelines.release_changes import Action
from pipelines.release_state import BUCKETS, ReleaseState

_LARGEST = 16 * 1024
"""Bytes of a body."""
Name = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,47}$", description="The pipeline's.")]


class Asked(StrEnum):
    """What may be asked for."""

    STAGE = "stage"
    SHADOW = "shadow"
    SPLIT = "split"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    RETIRE = "retire"


class ReleaseChange(BaseModel):
    """What a change needs; an unknown key is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    release: str | None = Field(
        default=None,
        max_length=80,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="`stage` and `retire`: which. `shadow`, `split`, `promote`: only where it is "
        "the candidate. `rollback`: only where it answers callers.",
    )
    share: int | None = Field(
        default=None,
        ge=0,
        le=BUCKETS,
        description="`split`: of 10,000 parts of the callers. `shadow`: of 10,000 images.",
    )
    evidence: str | None = Field(
        default=None, max_length=2000, description="What it rests on. No patient's data."
    )
    without_gate: str | None = Field(
        default=None,
        max_length=500,
        description="`promote`: why no passed gate report is asked for. No patient's data.",
    )
    dry_run: bool = Field(default=False, description="Say what would be, and change nothing.")


_BODY = {
    "requestBody": {"content": {"application/json": {"schema": ReleaseChange.model_json_schema()}}}
}


@closed
class LoadedReleases(TypedDict):
    """Which releases of a pipeline are loaded as what."""

    pipeline: str
    profile: str
    revision: int
    current: str
    candidate: str | None
    share: Annotated[int, doc("Of 10,000 parts of the callers, the candidate's.")]
    shadow: Annotated[int, doc("Of 10,000 images, those that the candidate gets copies of.")]
    former: str | None
    loaded: Annotated[list[str], doc("Those of them that Triton was seen to have loaded.")]


@closed
class LoadedReleasesOfAll(TypedDict):
    """The states of the pipelines that the caller covers."""

    releases: list[LoadedReleases]


@closed
class ReleaseChangeMade(TypedDict):
    """One change."""

    at: Annotated[int, doc("Microseconds since 1970.")]
    action: Literal["begin", "stage", "shadow", "split", "promote", "rollback", "retire"]
    release: Annotated[str, doc("The one that the change is about.")]
    revision: int
    current: Annotated[str, doc("From then on, as are the next four.")]
    candidate: str | None
    share: int
    shadow: int
    former: str | None
    by: str
    evidence: str | None


@closed
class ReleaseHistory(TypedDict):
    """The changes of a pipeline's releases, the newest first."""

    pipeline: str
    changes: list[ReleaseChangeMade]


@closed
class WatchedFigure(TypedDict):
    """One figure of the release that was promoted and of the former one."""

    figure: Literal["refused", "seconds", "uncertain", "atypical", "corrected"]
    verdict: Literal["worse", "not worse", "not enough"]
    former: Annotated[float | None, doc("A share; of `seconds` the median.")]
    former_answers: int
    current: Annotated[float | None, doc("Of the answers that were looked at.")]
    current_answers: Annotated[int, doc("Those that were looked at.")]
    limit: Annotated[float | None, doc("Beyond which the release is worse.")]


@closed
class WatchedPromotion(TypedDict):
    """The newest promotion of a pipeline, if it is watched."""

    pipeline: str
    rolls_back: Annotated[bool, doc("Whether a worse release is rolled back.")]
    release: Annotated[str | None, doc("The one that was promoted; null: nothing is watched.")]
    former: str | None
    promoted_at: Annotated[int | None, doc("Microseconds since 1970.")]
    figures: list[WatchedFigure]


@closed
class ComparedReleases(TypedDict):
    """What was compared of a pipeline's candidates, by copies of images."""

    pipeline: str
    comparisons: list[Comparison]


def release_routes(
    releases: ReleaseChanges, release_watch: ReleaseWatch, catalog: Catalog, access: Access
) -> APIRouter:
    """The routes, for the role `operate`."""
    router = APIRouter(prefix="/api/v1/releases", tags=["releases"], dependencies=[Depends(access)])

    @router.get(
        "",
        operation_id="list_release_states",
        response_model=None,
        responses={**problems(401, 403, 503), 200: {"model": LoadedReleasesOfAll}},
    )
    async def states(request: Request) -> Response:
        """Which releases of each pipeline are loaded as what."""
        context = _begin(request)
        covered = [name for name in sorted(catalog.names()) if context.principal.covers(name)]
        found = [_state(*await releases.state(name)) for name in covered]
        return _json(LoadedReleasesOfAll, {"releases": found})

    @router.get(
        "/{pipeline}",
        operation_id="release_history",
        response_model=None,
        responses={**problems(401, 403, 404, 422, 503), 200: {"model": ReleaseHistory}},
    )
    async def history(request: Request, pipeline: Name) -> Response:
        """What served when, who changed it, and on what evidence."""
        context = _begin(request, pipeline)
        entries = await releases.history(pipeline)
        # Only now: the name of none may be any text.
        context.pipeline = pipeline
        rows = [
            {
                "at": entry.at,
                "action": entry.action,
                "release": entry.release,
                **_facts(entry.state),
                "by": entry.by,
                "evidence": entry.evidence,
            }
            for entry in entries
        ]
        return _json(ReleaseHistory, {"pipeline": pipeline, "changes": rows})

    @router.get(
        "/{pipeline}/shadow",
        operation_id="release_comparisons",
        response_model=None,
        responses={**problems(401, 403, 404, 422, 503), 200: {"model": ComparedReleases}},
    )
    async def compared(request: Request, pipeline: Name) -> Response:
        """How candidates' answers to copies of images differ from those that were given."""
        context = _begin(request, pipeline)
        found = await releases.compared(pipeline)
        context.pipeline = pipeline
        return _json(ComparedReleases, {"pipeline": pipeline, "comparisons": found})

    @router.get(
        "/{pipeline}/watch",
        operation_id="release_watch",
        response_model=None,
        responses={**problems(401, 403, 404, 422, 503), 200: {"model": WatchedPromotion}},
    )
    async def watched(request: Request, pipeline: Name) -> Response:
        """Whether the release that was promoted last is worse than the former one."""
        context = _begin(request, pipeline)
        found = await release_watch.look(pipeline)
        context.pipeline = pipeline
        promotion = None if found is None else found.promotion
        answer = {
            "pipeline": pipeline,
            "rolls_back": release_watch.rolls_back(pipeline),
            "release": promotion and promotion.release,
            "former": promotion and promotion.former,
            "promoted_at": promotion and promotion.at,
            "figures": [asdict(each) for each in found.figures] if found else [],
        }
        return _json(WatchedPromotion, answer)

    @router.post(
        "/{pipeline}/{action}",
        operation_id="change_releases",
        response_model=None,
        responses={**problems(401, 403, 404, 409, 413, 422, 503), 200: {"model": LoadedReleases}},
        openapi_extra=_BODY,
    )
    async def change(request: Request, pipeline: Name, action: Asked) -> Response:
        """Stages, copies, splits, promotes, rolls back or retires; answers the state after it."""
        context = _begin(request, pipeline)
        content = await Body.of_any_type(request, _LARGEST).data()
        try:
            asked = ReleaseChange.model_validate_json(content or b"{}")
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"])) or "body"
            raise RefusedError(
                Code.PARAMETER_INVALID,
                "body: send JSON with release, share, evidence, without_gate or dry_run as the "
                "documentation has them."
                if where not in ReleaseChange.model_fields
                else f"{where}: it is not as the documentation has it.",
            ) from None
        wish = Wish(Action(action), **asked.model_dump())
        state = await releases.make(context, pipeline, wish)
        loaded = [each for each in state.loaded if catalog.loaded(pipeline, each)]
        return _json(LoadedReleases, _state(state, loaded))

    return router


def _begin(request: Request, pipeline: str | None = None) -> RequestContext:
    context: RequestContext = request.state.context
    context.route = "releases"
    context.principal.require(Role.OPERATE, pipeline)
    return context


def _facts(state: ReleaseState) -> dict[str, Any]:
    return state.model_dump(exclude={"pipeline", "profile"})


def _state(state: ReleaseState, loaded: list[str]) -> dict[str, Any]:
    return {
        "pipeline": state.pipeline,
        "profile": state.profile,
        **_facts(state),
        "loaded": loaded,
    }


def _json(shape: object, answer: object) -> Response:
    return Response(adapter(shape).dump_json(answer), media_type="application/json")
