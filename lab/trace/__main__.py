"""`python -m lab.trace`: sends single requests to a service, and says where their time goes."""

import asyncio
import random
import signal
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lab import machine
from lab.bench.arguments import size
from lab.errors import LabError
from lab.load import photos
from lab.load.client import RequestError
from lab.load.http import HttpClient, upload
from lab.markdown import replace_section, table
from lab.options import MODEL_REPOSITORY, Repository
from lab.paths import CACHE
from lab.service.service import Service
from lab.trace.breakdown import TritonTimes, parts
from lab.trace.collector import Collector, by_trace
from lab.trace.processes import ProcessCounter, Work
from lab.trace.statistics import TritonStatistics
from pipelines.profile import DEFAULT_PROFILE
from pipelines.protocol import DEFAULT_PIPELINE, Parameter

screen = Console(stderr=True, highlight=False, soft_wrap=True)
_WARM_UP = 30


@dataclass(frozen=True)
class Asked:
    """One request: its trace, what Triton counted of it, and its seconds for its caller."""

    trace: str
    triton: TritonTimes
    seconds: float


def main(
    *,
    pipeline: Annotated[str, typer.Option(help="The pipeline.")] = DEFAULT_PIPELINE,
    profile: Annotated[str, typer.Option(help="Its profile.")] = DEFAULT_PROFILE,
    member: Annotated[str, typer.Option(help="The member that answers alone. [all]")] = "",
    requests: Annotated[int, typer.Option(min=1, help="How many, one after the other.")] = 200,
    photo_size: Annotated[str, typer.Option(help="Of the photos.")] = "640x480",
    repository: Repository = MODEL_REPOSITORY,
    docs: Annotated[
        Path | None, typer.Option(help="Also write the table into this document.", dir_okay=False)
    ] = None,
    section: Annotated[str, typer.Option(help="Its marks there.")] = "trace",
) -> None:
    """Starts a service that is traced, sends it one photo after the other, and divides the time.

    From the gateway's own spans, and from what Triton counts of each model. Wants the machine for
    itself. The trace takes some tenths of a millisecond itself.
    """
    # So that the service ends with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    query = f"?{Parameter.MEMBER}={member}" if member else ""
    path = f"/api/v1/pipelines/{pipeline}/predict{query}"
    try:
        folder = photos.ensure_for(pipeline, size(photo_size))
        files = [each.read_bytes() for each in sorted(folder.glob("*.jpg"))]
        with Collector() as collector:
            service = Service(
                [pipeline],
                repository.absolute(),
                log=CACHE / "logs" / "trace.log",
                profile=profile,
                environment={"GATEWAY_OTLP_ENDPOINT": collector.endpoint},
            )
            with service:
                screen.print(f"{requests} requests, one after the other")
                asked, work = _ask(service, pipeline, path, files, requests)
            # The gateway sends what is left when it ends.
            spans = by_trace(collector.spans())
        divided = [parts(spans[each.trace], each.triton, each.seconds) for each in asked]
    except (LabError, RequestError, KeyError, ValueError) as error:
        screen.print(f"[red]error:[/] {error}")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        screen.print("stopped; nothing was written")
        raise typer.Exit(130) from None
    text = _report(divided, work, f"{pipeline}, profile `{profile}`{query and f', {member}'}")
    print(text)  # noqa: T201 - the table is the output
    if docs:
        replace_section(docs, section, text)


def _ask(
    service: Service, pipeline: str, path: str, files: Sequence[bytes], requests: int
) -> tuple[list[Asked], dict[str, Work]]:
    """Sends requests one after the other.

    Raises:
        RequestError: one was not answered.
        LabError: Triton was asked by somebody else, too.
    """
    triton = TritonStatistics(service.ports.triton_grpc_port, pipeline)

    traces = [f"{random.getrandbits(128):032x}" for _ in range(_WARM_UP + requests)]
    sent = [
        upload(
            path, [files[number % len(files)]], headers={"traceparent": f"00-{trace}-{1:016x}-01"}
        )
        for number, trace in enumerate(traces)
    ]

    async def run() -> tuple[list[Asked], dict[str, Work]]:
        client = HttpClient(service.ports.gateway_port, sent)
        await client.open(1)
        for number in range(_WARM_UP):
            await client.ask(0, number)
        asked = []
        counter = ProcessCounter(service)
        triton.skip()
        for number in range(_WARM_UP, len(sent)):
            begun = time.perf_counter()
            await client.ask(0, number)
            seconds = time.perf_counter() - begun
            asked.append(Asked(traces[number], triton.request(), seconds))
        await client.close()
        return asked, counter.work(requests)

    try:
        return asyncio.run(run())
    finally:
        triton.close()


def _report(divided: Sequence[dict[str, float]], work: dict[str, Work], what: str) -> str:
    """Medians, and the middle half of the requests."""
    totals = [sum(each.values()) for each in divided]
    whole = statistics.median(totals)
    names = list(dict.fromkeys(name for each in divided for name in each))
    lines = [_line(name, [each.get(name, 0.0) for each in divided], whole) for name in names]
    lines.append(_line("**all**", totals, whole))
    found = machine.describe()
    roles = [
        (role, f"{each.cpu_ms:.2f}", f"{sum(each.wakes.values()):.1f}", each.by_name)
        for role, each in work.items()
    ]
    head = (
        f"{what}: {len(divided)} requests of one caller, who waits for each answer; "
        f"{found.cores} cores of {found.cpu}. Medians, and the middle half of the requests; "
        "medians do not add up exactly.\n"
    )
    return "\n".join(
        [
            head,
            table(("part of the way", "ms", "25 % to 75 %", "of all"), lines),
            table(("process", "CPU ms a request", "threads woken", "of these, by name"), roles),
        ]
    )


def _line(name: str, values: Sequence[float], whole: float) -> tuple[str, str, str, str]:
    middle = statistics.median(values)
    low, _, high = statistics.quantiles(values, n=4) if len(values) > 1 else (middle,) * 3
    return (
        name,
        f"{1000 * middle:.2f}",
        f"{1000 * low:.2f} to {1000 * high:.2f}",
        f"{middle / whole:.0%}",
    )


if __name__ == "__main__":
    typer.run(main)
