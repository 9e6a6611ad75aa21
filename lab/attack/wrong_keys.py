"""`python -m lab.attack.wrong_keys`: many wrong keys leave no row and no metric series."""

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import httpx
import psutil
import typer
from rich.console import Console
from sqlalchemy import func, select

from database.engine import open_engine, reading
from database.tables import METADATA
from gateway.identity.key_format import ApiKey
from lab.errors import LabError
from lab.paths import CACHE, ROOT
from lab.service.gateway import Gateway

_CONNECTIONS = 64
_WELL_FORMED = 10
"""One key of so many has the form and the checksum of a real one."""
_ROUTES = (
    "GET /api/v1/pipelines",
    "POST /api/v1/predict",
    "GET /metrics",
    "POST /v2/models/oral_cancer/infer",
)
_NOBODY = 1
"""A port without a Triton: nobody gets as far."""
_MIB = 1024 * 1024
_CANNOT = 2
_console = Console(stderr=True, highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class State:
    """What a gateway keeps."""

    rows: dict[str, int]
    """Of each table."""
    series: int
    """Of its metrics."""
    memory_mib: float


@dataclass(frozen=True)
class Outcome:
    """What wrong keys did to it."""

    before: State
    after: State
    answers: Counter[int]
    """By status."""
    seconds: float

    @property
    def held(self) -> bool:
        """Whether all were refused, and neither a row nor a series is new."""
        same = (self.before.rows, self.before.series) == (self.after.rows, self.after.series)
        return same and set(self.answers) == {401}


def main(
    keys: Annotated[int, typer.Option(min=100, help="How many different wrong keys.")] = 100_000,
) -> None:
    """Sends wrong keys to a gateway of its own, and counts what it keeps before and after.

    Fails (1) where a row or a metric series is new, or anything but 401 came back.
    """
    try:
        outcome = attacked(keys, CACHE / "logs" / "wrong-keys.log")
    except (LabError, OSError) as error:
        _console.print(f"error: {error}", markup=False)
        raise typer.Exit(_CANNOT) from None
    before, after = outcome.before, outcome.after
    new = sum(after.rows.values()) - sum(before.rows.values())
    _console.print(
        f"{keys} wrong keys in {outcome.seconds:.0f} s, answers {dict(outcome.answers)}: "
        f"{new} new rows, {after.series - before.series} new series, "
        f"memory {before.memory_mib:.0f} to {after.memory_mib:.0f} MiB",
        markup=False,
    )
    raise typer.Exit(0 if outcome.held else 1)


def attacked(keys: int, log: Path) -> Outcome:
    """Starts a gateway, sends it so many wrong keys, and ends it.

    Raises:
        LabError: it does not start.
    """
    with TemporaryDirectory(prefix="wrong-keys-") as folder:
        environment = {
            "GATEWAY_AUTH": "required",
            "GATEWAY_DATABASE_URL": f"sqlite:///{folder}/gateway.db",
            "GATEWAY_SECRETS_DIR": f"{folder}/secrets",
        }
        with Gateway(_NOBODY, log=log, environment=environment) as gateway:
            operator = _operators_key(gateway)
            # Series that the first refusal of each route makes.
            asyncio.run(_sent(gateway.ports.gateway_port, 10 * len(_ROUTES)))
            before = _state(gateway, operator)
            started = time.monotonic()
            answers = asyncio.run(_sent(gateway.ports.gateway_port, keys))
            seconds = time.monotonic() - started
            return Outcome(before, _state(gateway, operator), answers, seconds)


def _operators_key(gateway: Gateway) -> str:
    command = [sys.executable, "-m", "gateway", "keys", "create", "--role", "operate"]
    made = subprocess.run(
        command,
        env=os.environ | gateway.environment,
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return made.stdout.strip()


def _state(gateway: Gateway, key: str) -> State:
    scraped = httpx.get(f"{gateway.url}/metrics", headers={"X-API-Key": key}, trust_env=False)
    scraped.raise_for_status()
    engine = open_engine(gateway.environment["GATEWAY_DATABASE_URL"])
    with reading(engine).connect() as connection:
        rows = {
            table.name: connection.scalar(select(func.count()).select_from(table)) or 0
            for table in METADATA.sorted_tables
        }
    engine.dispose()
    series = sum(not line.startswith("#") for line in scraped.text.splitlines())
    return State(rows, series, psutil.Process(gateway.tree.process.pid).memory_info().rss / _MIB)


async def _sent(port: int, keys: int) -> Counter[int]:
    """The statuses of requests, each with a key of its own."""
    numbers = iter(range(keys))
    answers: Counter[int] = Counter()

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            key = f"guess-{number}" if number % _WELL_FORMED else ApiKey.new().text
            head = f"{_ROUTES[number % len(_ROUTES)]} HTTP/1.1\r\nHost: gateway\r\n"
            writer.write(f"{head}Content-Length: 0\r\nX-API-Key: {key}\r\n\r\n".encode())
            answers[await _status(reader)] += 1
        writer.close()

    await asyncio.gather(*(connection() for _ in range(_CONNECTIONS)))
    return answers


async def _status(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = head.partition("content-length:")[2].partition("\r\n")[0]
    await reader.readexactly(int(length))
    return int(head.split(" ")[1])


if __name__ == "__main__":
    typer.run(main)
