"""All Triton replicas: traffic starts when one answers; it is stopped when no request is left."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from lab.autoscaling.envoy import Envoy
from lab.autoscaling.prometheus import Prometheus
from lab.autoscaling.replica import Replica
from lab.errors import LabError
from lab.service.gateway import Gateway
from lab.service.scratch import Scratch

_DRAIN_SECONDS = 60.0
_PAUSE = 0.1


@dataclass(frozen=True)
class Drain:
    """A replica that went; times on `time.perf_counter`, in seconds."""

    replica: int
    began: float
    seconds: float
    """Until nothing of it was in flight."""
    in_flight: int
    """The most requests that were seen under way in it after it got no new ones."""


class Fleet:
    """Does what a Deployment's controllers and kubelets do: pods, endpoints, targets."""

    def __init__(self, place: Scratch, folder: Path, envoy: Envoy, prometheus: Prometheus) -> None:
        self._place, self._folder = place, folder
        self._envoy, self._prometheus = envoy, prometheus
        self._replicas: list[Replica] = []
        self._ever = 0
        self._going: set[asyncio.Task[None]] = set()
        self._client = httpx.AsyncClient(trust_env=False)
        self.gateway: Gateway | None = None
        """Is scraped too, as soon as there is one."""
        self.drains: list[Drain] = []
        self.starts: list[float] = []
        """Seconds from start to answer of each replica."""
        self._began: dict[int, float] = {}

    @property
    def current(self) -> int:
        """Replicas that are there to stay."""
        return len(self._staying)

    @property
    def ready(self) -> int:
        """Those of them that answer."""
        return sum(replica.ready for replica in self._staying)

    @property
    def _staying(self) -> list[Replica]:
        return [replica for replica in self._replicas if not replica.draining]

    def scale(self, wanted: int) -> None:
        """Starts or drains as many as it takes; those that never answered go first, then the last.

        Raises:
            LabError: as soon as `look` is called, if one cannot go.
        """
        while self.current < wanted:
            self._ever += 1
            replica = Replica(self._ever, self._place, self._folder)
            self._began[replica.number] = time.perf_counter()
            self._replicas.append(replica)
        for replica in sorted(self._staying, key=lambda r: (r.ready, -r.number)):
            if self.current <= wanted:
                break
            replica.draining = True
            self._going.add(asyncio.create_task(self._go(replica)))

    async def look(self) -> None:
        """Lets in who answers.

        Raises:
            LabError: a replica ended, or cannot be drained.
        """
        for task in [task for task in self._going if task.done()]:
            self._going.discard(task)
            task.result()
        for replica in [each for each in self._staying if not each.ready]:
            if replica.ended:
                number = replica.number
                raise LabError(f"replica {number} ended:\n{replica.log_tail()}")
            if await replica.answers(self._client) and not replica.draining:
                replica.ready = True
                self.starts.append(time.perf_counter() - self._began[replica.number])
        self._publish()

    async def wait(self, until: Callable[[], bool], seconds: float) -> None:
        """Looks until something is so.

        Raises:
            LabError: it takes longer.
        """
        give_up = time.perf_counter() + seconds
        while not until():
            if time.perf_counter() > give_up:
                raise LabError(
                    f"{self.ready} of {self.current} replicas answer after {seconds:g} s: "
                    "let the machine be less busy"
                )
            await self.look()
            await asyncio.sleep(_PAUSE)

    async def settled(self, seconds: float) -> None:
        """Waits until all that were to go are gone.

        Raises:
            LabError: one cannot be drained, or it takes longer.
        """
        await self.wait(lambda: not self._going, seconds)

    async def close(self) -> None:
        """Ends all at once."""
        for task in self._going:
            task.cancel()
        await asyncio.gather(*self._going, return_exceptions=True)
        await asyncio.gather(*(asyncio.to_thread(each.stop) for each in self._replicas))
        await self._client.aclose()

    def _publish(self) -> None:
        there = [replica for replica in self._replicas if replica.ready]
        self._envoy.route(
            (replica.port, "DRAINING" if replica.draining else "HEALTHY") for replica in there
        )
        doors = [self.gateway.ports.gateway_port] if self.gateway else []
        metrics = [replica.metrics_port for replica in there]
        self._prometheus.watch({"gateway": doors, "triton": metrics})

    async def _go(self, replica: Replica) -> None:
        if replica.ready:
            self._publish()
            await self._drain(replica)
        await asyncio.to_thread(replica.stop)
        self._replicas.remove(replica)
        self._publish()

    async def _drain(self, replica: Replica) -> None:
        """Waits until Envoy sends it nothing, and nothing of it is under way."""
        began, most = time.perf_counter(), 0
        while True:
            gets_new, active = (await self._envoy.states()).get(replica.port, (False, 0))
            seconds = time.perf_counter() - began
            if not gets_new:
                most = max(most, active)
                if not active:
                    break
            if seconds > _DRAIN_SECONDS:
                raise LabError(
                    f"replica {replica.number} still has {active} requests after {seconds:.0f} s"
                )
            await asyncio.sleep(_PAUSE)
        self.drains.append(Drain(replica.number, began, seconds, most))
