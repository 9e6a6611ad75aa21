"""`python -m lab.attack.soak`: sends photos of all kinds for a while, and looks at memory."""

import asyncio
import itertools
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from typing import Annotated

import httpx
import typer
from PIL import Image
from rich.console import Console

from lab.errors import LabError
from lab.machine import describe
from lab.markdown import replace_section, table
from lab.options import MODEL_REPOSITORY, Docs, Repository
from lab.paths import CACHE
from lab.service.service import LAUNCHER, Service
from loadtest.photos import SAMPLES
from pipelines.protocol import DEFAULT_PIPELINE

SECTION = "soak"
_CALLERS = 4
_PAUSE = 2.0
"""Seconds between two samples of memory."""
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
_SIDES = (240, 800, 1600)
_ALLOWED_MIB, _ALLOWED_SHARE = 10.0, 0.03
"""By how much the last third may lie above the middle one: whichever is more."""
_CANNOT = 2
_console = Console(stderr=True, highlight=False, soft_wrap=True)


def main(
    seconds: Annotated[float, typer.Option(min=30, help="How long it lasts.")] = 600,
    repository: Repository = MODEL_REPOSITORY,
    docs: Docs = None,
) -> None:
    """Four callers send photos of many sizes and formats, some of them broken.

    The first third warms up. Fails (1) where a process takes more memory in the last third than
    in the middle one, by what nine of ten looks exceed, and beyond 10 MiB and 3 %, or where an
    answer is a 5xx.
    """
    log = CACHE / "logs" / "soak.log"
    try:
        with Service([DEFAULT_PIPELINE], repository.absolute(), log=log) as service:
            samples, statuses = asyncio.run(_soaked(service, seconds))
    except (LabError, OSError) as error:
        _console.print(f"error: {error}", markup=False)
        raise typer.Exit(_CANNOT) from None
    thirds = {role: _thirds([sample[role] for sample in samples]) for role in samples[-1]}
    level = {role: _is_level(*values) for role, values in thirds.items()}
    machine = describe()
    text = (
        f"{machine.cores} cores of {machine.cpu}, {seconds:.0f} s, answers: "
        + ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items()))
        + ".\n\n"
        + table(
            ("process", "MiB, middle third", "last third", "level"),
            (
                (role, f"{middle:.0f}", f"{last:.0f}", "yes" if level[role] else "**no**")
                for role, (middle, last) in thirds.items()
            ),
        )
    )
    _console.print(text, markup=False)
    if docs:
        replace_section(docs, SECTION, text)
    failed = any(status.startswith("5") for status in statuses)
    raise typer.Exit(0 if all(level.values()) and not failed else 1)


def _thirds(values: Sequence[float]) -> tuple[float, float]:
    """What the middle third and the last one keep: the lowest tenth of each.

    Above that lie photos that are being read, which differ by up to 70 MiB from look to look.
    """
    third = len(values) // 3
    parts = values[third : 2 * third], values[-third:]
    middle, last = (statistics.quantiles(part, n=10)[0] for part in parts)
    return middle, last


def _is_level(middle: float, last: float) -> bool:
    return last - middle <= max(_ALLOWED_MIB, _ALLOWED_SHARE * middle)


def _photos() -> list[bytes]:
    """Samples in many formats and sizes, and of each format one that is cut."""
    found = []
    for sample, side, name in itertools.product(("cancer", "snake"), _SIDES, _FORMATS):
        with Image.open(SAMPLES / f"{sample}.jpg") as image:
            target = BytesIO()
            image.convert("RGB").resize((side, side * 3 // 4)).save(target, name)
        found.append(target.getvalue())
    return found + [photo[: len(photo) // 2] for photo in found[: len(_FORMATS)]]


async def _soaked(service: Service, seconds: float) -> tuple[list[dict[str, float]], Counter[str]]:
    """Memory of each role in MiB, at each look; and the answers by status."""
    photos = itertools.cycle(_photos())
    statuses: Counter[str] = Counter()
    samples: list[dict[str, float]] = []
    end = time.monotonic() + seconds

    async def caller() -> None:
        async with httpx.AsyncClient(base_url=service.url, timeout=90) as client:
            while time.monotonic() < end:
                files = {"file": ("", next(photos), "image/jpeg")}
                answer = await client.post("/api/v1/predict?member=regnet", files=files)
                statuses[str(answer.status_code)] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(_CALLERS):
            group.create_task(caller())
        while time.monotonic() < end:
            await asyncio.sleep(_PAUSE)
            found = await asyncio.to_thread(service.pss_mib)
            samples.append({role: mib for role, mib in found.items() if role != LAUNCHER})
    return samples, statuses


if __name__ == "__main__":
    typer.run(main)
