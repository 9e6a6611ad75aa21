"""`python -m lab.releases.shadow`: what answers wait while a candidate gets copies, and without."""

import asyncio
import random
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import httpx
import numpy as np
import typer

from lab.errors import LabError
from lab.load import photos
from lab.load.client import RequestError
from lab.load.http import HttpClient, upload
from lab.load.open_loop import OpenLoop
from lab.paths import ROOT
from pipelines.release_state import BUCKETS

_CONNECTIONS = 64
_COPYING = "gateway_shadow_seconds_sum{"
_SETTLED_SECONDS = 2.5
"""After a change, until the gateway knows of it."""


@dataclass
class Rounds:
    """The rounds of one kind."""

    waits: list[list[float]] = field(default_factory=list)
    """Seconds of each answer, by round."""
    errors: int = 0
    copying: float = 0.0
    """Seconds in which a copy was under way."""
    seconds: float = 0.0

    def quantile(self, share: float) -> float:
        """The median of the rounds', in milliseconds."""
        return statistics.median(float(np.quantile(each, share)) * 1000 for each in self.waits)

    def pooled(self, share: float) -> float:
        """Of the answers of all rounds together, in milliseconds."""
        return float(np.quantile(np.concatenate(self.waits), share)) * 1000


def main(
    pipeline: str,
    *,
    port: Annotated[int, typer.Option(help="Of a running gateway.")] = 8000,
    key: Annotated[str, typer.Option(help="An API key with the roles predict and operate.")] = "",
    rate: Annotated[float, typer.Option(help="Requests a second, at random moments.")] = 4.0,
    seconds: Annotated[float, typer.Option(help="Of each round.")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, help="Of each kind, one after the other.")] = 6,
    folder: Annotated[Path, typer.Option(help="Of the photos, drawn there.")] = ROOT
    / ".run/photos",
) -> None:
    """Asks in rounds with copies of all images and without, in turns; the candidate is staged."""
    headers = {"X-API-Key": key} if key else {}
    images = [path.read_bytes() for path in sorted(photos.ensure(folder).glob("*.jpg"))]
    path = f"/api/v1/pipelines/{pipeline}/predict"
    client = HttpClient(port, [upload(path, [image], headers=headers) for image in images])
    found = {share: Rounds() for share in (0, BUCKETS)}
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}/api/v1/releases", headers=headers, timeout=30
    ) as operator:
        asyncio.run(_round(client, rate, seconds / 2))
        for number in range(rounds):
            for share in (0, BUCKETS) if number % 2 == 0 else (BUCKETS, 0):
                _set(operator, pipeline, share)
                time.sleep(_SETTLED_SECONDS)
                began, before = time.monotonic(), _copying(port, headers)
                waits, errors = asyncio.run(_round(client, rate, seconds))
                found[share].copying += _copying(port, headers) - before
                found[share].seconds += time.monotonic() - began
                found[share].waits.append(waits)
                found[share].errors += errors
        _set(operator, pipeline, 0)
        compared = operator.get(f"/{pipeline}/shadow").json()["comparisons"]
    for share, name in ((0, "without copies"), (BUCKETS, "with copies")):
        each = found[share]
        typer.echo(
            f"{name}: {sum(map(len, each.waits))} answers, {each.errors} errors; "
            f"median of the rounds' p50 {each.quantile(0.5):.1f} ms, p99 {each.quantile(0.99):.1f} "
            f"ms; of all answers p50 {each.pooled(0.5):.1f} ms, p99 {each.pooled(0.99):.1f} ms"
        )
    under_way = found[BUCKETS].copying / found[BUCKETS].seconds
    # Requests come at random moments: that share of them meets one.
    typer.echo(f"a copy was under way {under_way:.2%} of the time")
    for quantile in (0.5, 0.99):
        ratio = found[BUCKETS].pooled(quantile) / found[0].pooled(quantile)
        typer.echo(f"p{quantile * 100:g} with copies: {ratio:.3f} of that without")
    for each in compared:
        typer.echo(f"compared {each['compared']}, failed {each['failed']}, shed {each['shed']}")


def _copying(port: int, headers: dict[str, str]) -> float:
    """Seconds that copies took so far, as the gateway counts them."""
    url = f"http://127.0.0.1:{port}/metrics"
    answer = httpx.get(url, headers=headers, timeout=30, trust_env=False)
    lines = answer.raise_for_status().text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(_COPYING))


def _set(operator: httpx.Client, pipeline: str, share: int) -> None:
    answer = operator.post(f"/{pipeline}/shadow", json={"share": share})
    # The share may be what it is to be.
    if answer.is_error and "already" not in answer.text:
        raise LabError(f"{pipeline}: {answer.json().get('detail', answer.text)}")


async def _round(client: HttpClient, rate: float, seconds: float) -> tuple[list[float], int]:
    await client.open(_CONNECTIONS)
    free = list(range(_CONNECTIONS))
    asked = 0

    async def call(moment: float) -> float | None:
        nonlocal asked
        if not free:
            return None
        worker, asked = free.pop(), asked + 1
        try:
            await client.ask(worker, asked % photos.PHOTOS)
        except RequestError:
            return None
        finally:
            free.append(worker)
        return time.perf_counter() - moment

    loop = OpenLoop(call)
    chance = random.Random(7)  # noqa: S311 - no secret
    await loop.run(iter(lambda: chance.expovariate(rate), None), seconds)
    await loop.drain()
    await client.close()
    waits = [wait for wait in loop.calls if wait is not None]
    return waits, len(loop.calls) - len(waits)


if __name__ == "__main__":
    typer.run(main)
