"""Attacks a service while bystanders ask it; measures their waits and its memory."""

import asyncio
import contextlib
import multiprocessing
import time
from collections import Counter
from collections.abc import Awaitable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

import httpx
import numpy as np

from lab.attack.calls import Target, attack
from lab.service.service import Service

_PAUSE = 0.2
"""Seconds between two questions of a bystander."""
_RECOVERY_SECONDS = 60.0
_BYSTANDER = "127.0.0.9"
"""Another address than the attackers': what one caller may take is limited by address."""
_SETTLED = 5
"""Answers in a row, as quick as before, that count as recovered."""


@dataclass
class Bystander:
    """Asks again and again, one question at a time."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)

    @property
    def largest(self) -> float:
        """The longest wait, in seconds; 0 where nothing was asked."""
        return max(self.seconds, default=0.0)


@dataclass(frozen=True)
class Figures:
    """What one attack did."""

    name: str
    answers: Counter[str]
    """Of the attacker, by status."""
    photo: Bystander
    """Whoever sends a small photo meanwhile."""
    health: Bystander
    """Whoever asks /healthz meanwhile."""
    memory_mib: float
    """The most that all processes of the service took (PSS), with what they took before."""
    left_mib: float
    """What they take after the recovery beyond what they took before."""
    recovery: float | None
    """Seconds after the attack until answers were as quick as before; None: not within a minute."""
    restarts: float
    """Processes of the service that were replaced."""


class Trial:
    """One service, and one photo that bystanders send."""

    def __init__(self, service: Service, photo: bytes) -> None:
        self._service, self._photo = service, photo
        ports = service.ports
        self._target = Target(ports.gateway_port, ports.gateway_grpc_port, service.pipelines[0])
        self._usual = 0.0

    async def rest(self, seconds: float) -> Bystander:
        """How the photo is answered while nothing else is asked."""
        photo, _ = await self._bystanders(asyncio.sleep(seconds))
        self._usual = float(np.percentile(photo.seconds, 99))
        return photo

    async def run(self, name: str, seconds: float) -> Figures:
        """Attacks for so many seconds, then waits for the recovery."""
        before, restarts = self._memory(), await self._restarts()
        samples = [before]
        watching = asyncio.create_task(self._watch(samples))
        answers: Counter[str] = Counter()

        async def attacking() -> None:
            loop = asyncio.get_running_loop()
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                answers.update(
                    await loop.run_in_executor(process, attack, name, self._target, seconds)
                )

        photo, health = await self._bystanders(attacking())
        recovery = await self._recovered()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        return Figures(
            name=name,
            answers=answers,
            photo=photo,
            health=health,
            memory_mib=max(samples),
            left_mib=self._memory() - before,
            recovery=recovery,
            restarts=await self._restarts() - restarts,
        )

    async def _bystanders(self, meanwhile: Awaitable[None]) -> tuple[Bystander, Bystander]:
        photo, health = Bystander(), Bystander()
        asking = [
            asyncio.create_task(self._ask(photo, "POST", "/api/v1/predict", self._photo)),
            asyncio.create_task(self._ask(health, "GET", "/healthz", None)),
        ]
        await meanwhile
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        return photo, health

    async def _ask(self, who: Bystander, method: str, path: str, body: bytes | None) -> None:
        async with self._client() as client:
            while True:
                started, status = time.perf_counter(), "left"
                try:
                    answer = await client.request(method, path, content=body)
                    status = str(answer.status_code)
                except httpx.HTTPError as error:
                    status = type(error).__name__
                finally:
                    # What is under way when the attack ends counts with what it waited so far.
                    who.seconds.append(time.perf_counter() - started)
                    who.statuses[status] += 1
                await asyncio.sleep(_PAUSE)

    async def _recovered(self) -> float | None:
        started = time.perf_counter()
        quick = 0
        async with self._client() as client:
            while (now := time.perf_counter()) - started < _RECOVERY_SECONDS:
                with contextlib.suppress(httpx.HTTPError):
                    answer = await client.post("/api/v1/predict", content=self._photo)
                    took = time.perf_counter() - now
                    quick = quick + 1 if answer.is_success and took <= 2 * self._usual else 0
                if quick == _SETTLED:
                    return now - started
                await asyncio.sleep(_PAUSE)
        return None

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self._service.url,
            timeout=90,
            headers={"Content-Type": "application/octet-stream"},
            transport=httpx.AsyncHTTPTransport(local_address=_BYSTANDER),
        )

    async def _watch(self, samples: list[float]) -> None:
        while True:
            samples.append(await asyncio.to_thread(self._memory))
            await asyncio.sleep(_PAUSE)

    def _memory(self) -> float:
        return sum(self._service.pss_mib().values())

    async def _restarts(self) -> float:
        url = f"http://127.0.0.1:{self._service.ports.server_metrics_port}/metrics"
        async with httpx.AsyncClient(timeout=30) as client:
            lines = (await client.get(url)).text.splitlines()
        counts = [line for line in lines if line.startswith("server_") and "restarts_total" in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in counts)
