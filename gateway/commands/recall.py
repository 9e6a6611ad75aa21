"""`python -m gateway recall`: the predictions of a release, and whose decision changes today."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from gateway.recall import Asking, KeptImage, Recalled
    from gateway.settings import Settings

_FAILED = 1


def recall(
    *,
    release: Annotated[
        str, typer.Option(metavar="RELEASE", help="As answers name it, e.g. 1-3fa9c2d1.")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object for each prediction, a line each.")
    ] = False,
) -> None:
    """Lists every prediction of a release, and asks again about those whose images were kept.

    Each question is a row of the audit log, as is the recall itself. Ends with 1 where an image
    that is kept got no answer.
    """
    from gateway.commands import setup  # noqa: PLC0415 - the database: quick --help
    from gateway.settings import Settings  # noqa: PLC0415
    from gateway.telemetry import logs  # noqa: PLC0415
    from pipelines.certificates import TlsError  # noqa: PLC0415

    logs.configure()
    with setup.stops_on_errors(TlsError):
        settings = Settings()
        with setup.opened_database(settings) as engine:
            counts = asyncio.run(_recall(settings, engine, release, as_json=as_json))
    text = (
        f"{counts['all']} predictions of release {release}. {counts['kept']} have a kept image: "
        f"{counts['changed']} of them are decided otherwise now, {counts['problem']} got no answer."
    )
    typer.echo(text, err=True)
    raise typer.Exit(_FAILED if counts["problem"] else 0)


async def _recall(
    settings: "Settings", engine: "Engine", release: str, *, as_json: bool
) -> Counter[str]:
    from gateway.recall import count, recall  # noqa: PLC0415 - as above

    counts: Counter[str] = Counter()
    total = await count(engine, release)
    async with _opened(settings, engine, release) as (image_of, ask):
        # Shown on a terminal alone.
        with typer.progressbar(length=total, label="recall", file=sys.stderr) as bar:
            async for each in recall(engine, release, image_of, ask):
                typer.echo(json.dumps(each.as_json()) if as_json else _line(each))
                counts["all"] += 1
                counts["kept"] += each.kept
                counts["changed"] += each.changed
                counts["problem"] += each.problem is not None
                bar.update(1)
    return counts


@asynccontextmanager
async def _opened(
    settings: "Settings", engine: "Engine", release: str
) -> "AsyncIterator[tuple[KeptImage, Asking]]":
    """The kept images, and what asks Triton as the gateway does; the recall has its own row."""
    from database.releases import states_in  # noqa: PLC0415
    from database.writer import Writer  # noqa: PLC0415 - as above
    from gateway.audit.audit_log import AuditLog  # noqa: PLC0415
    from gateway.audit.rows import Event, reading_row  # noqa: PLC0415
    from gateway.commands import setup  # noqa: PLC0415
    from gateway.core.admission import Admission  # noqa: PLC0415
    from gateway.core.assignment import Assignment, ReleaseStates  # noqa: PLC0415
    from gateway.core.batching import Batching  # noqa: PLC0415
    from gateway.core.catalog import Catalog  # noqa: PLC0415
    from gateway.core.readiness import Readiness  # noqa: PLC0415
    from gateway.dataplane import Dataplane  # noqa: PLC0415
    from gateway.identity.budgets import Budgets  # noqa: PLC0415
    from gateway.identity.rate_limits import OwnCounter, RateLimits  # noqa: PLC0415
    from gateway.kept_images.keeper import KeptImages  # noqa: PLC0415
    from gateway.recall import PRINCIPAL, TRANSPORT, Asking  # noqa: PLC0415
    from gateway.telemetry.metrics import Metrics  # noqa: PLC0415
    from gateway.telemetry.recorder import InferenceTelemetry, RequestContext  # noqa: PLC0415
    from gateway.triton.client import TritonClient  # noqa: PLC0415
    from gateway.usage.prices import Prices  # noqa: PLC0415

    secrets = setup.secret_files(settings)
    writer = Writer(engine, f"{settings.name}-recall")
    audit = AuditLog(writer, secrets)
    kept = KeptImages(settings.kept_images, secrets, engine, audit)
    triton = TritonClient(settings.triton_address, settings.triton_tls)
    states = ReleaseStates(lambda: states_in(engine))
    await states.look()
    catalog = Catalog(triton, states.current)
    readiness = Readiness(
        triton,
        catalog,
        settings.readiness_interval_seconds,
        default=settings.default_pipeline,
    )
    admission = Admission(settings.max_in_flight, settings.max_in_flight_bytes, catalog.names)
    dataplane = Dataplane(
        Batching(triton, settings.triton_calls),
        catalog,
        readiness,
        InferenceTelemetry(Metrics(lambda: admission.in_flight)),
        # What serves now is asked, and no candidate.
        assignment=Assignment(ReleaseStates(list), catalog, secrets.pepper()),
        audit=audit,
        images=kept,
        budgets=Budgets(engine, Prices(None, None, settings.price_currency)),
        rate_limits=RateLimits(OwnCounter()),
        batch_concurrency=1,
    )
    writer.start()
    triton.open()
    try:
        context = RequestContext("recall", transport=TRANSPORT, route="recall", principal=PRINCIPAL)
        await audit.write([reading_row(context, Event.AUDIT_READ, {"release": release})])
        yield kept.read, Asking(dataplane, catalog, admission, settings.deadline_seconds)
    finally:
        await audit.checkpoint()
        await writer.close()
        await triton.close()


def _line(each: "Recalled") -> str:
    time = datetime.fromtimestamp(each.at / 1e6, UTC).isoformat(timespec="seconds")
    if each.problem is not None:
        now = f"no answer now: {each.problem}"
    elif each.now is None:
        now = "image not kept"
    elif each.changed:
        now = f"CHANGED: {_words(each.now)} (release {each.release_now})"
    else:
        now = "the same"
    owner = each.tenant or "-"
    return f"{time}  {each.id}  {each.pipeline}  {owner}  {_words(each.decision)}  {now}"


def _words(decision: object) -> str:
    if not isinstance(decision, dict):
        return str(decision)
    return ", ".join(f"{count} {name}" for name, count in decision.items()) or "nothing found"
