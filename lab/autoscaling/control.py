"""The control loop: reads metrics, computes the replicas, scales the fleet."""

import asyncio
import time

from lab.autoscaling.autoscaler import Autoscaler, Scaling
from lab.autoscaling.fleet import Fleet
from lab.autoscaling.prometheus import Prometheus
from lab.autoscaling.record import Look

_IN_FLIGHT = "sum(gateway_requests_in_flight)"


class Control:
    """Scales as the ScaledObject says; asks the HorizontalPodAutoscaler too, and only notes it."""

    def __init__(
        self, keda: Scaling, hpa: Scaling, fleet: Fleet, prometheus: Prometheus, interval: float
    ) -> None:
        """`interval`: seconds between two looks."""
        self._keda, self._hpa = Autoscaler(keda), Autoscaler(hpa)
        self._fleet, self._prometheus, self._interval = fleet, prometheus, interval
        self._over = False
        self.began = 0.0
        """Of the load, on `time.perf_counter`."""
        self.looks: list[Look] = []

    async def values(self, scaling: Scaling, moment: float) -> dict[str, float | None]:
        """Of each metric, at a second of the epoch."""
        return {
            metric.name: await self._prometheus.value(metric.query, moment)
            for metric in scaling.metrics
        }

    async def known(self) -> bool:
        """Whether all metrics have values."""
        values = await self.values(self._keda.scaling, time.time())
        return None not in values.values()

    async def run(self) -> None:
        """Looks until `stop`.

        Raises:
            LabError: a query is refused, or the fleet cannot follow.
        """
        self.began = time.perf_counter()
        following = asyncio.create_task(self._follow())
        try:
            due = self.began
            while not self._over:
                if following.done():
                    following.result()
                await self._look(time.perf_counter() - self.began)
                due += self._interval
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    def stop(self) -> None:
        """After the look under way."""
        self._over = True

    async def _follow(self) -> None:
        """Endpoints follow more often than the autoscaler looks."""
        while True:
            await self._fleet.look()
            await asyncio.sleep(self._interval / 4)

    async def _look(self, second: float) -> None:
        moment = time.time()
        by_keda = await self.values(self._keda.scaling, moment)
        by_hpa = await self.values(self._hpa.scaling, moment)
        in_flight = await self._prometheus.value(_IN_FLIGHT, moment)
        current, ready = self._fleet.current, self._fleet.ready
        decided = self._keda.decide(second, current, ready, by_keda)
        other = self._hpa.decide(second, current, ready, by_hpa)
        demand, queue = by_keda.values()
        self.looks.append(
            Look(
                round(second, 2),
                _rounded(demand),
                _rounded(queue),
                in_flight,
                decided.wanted,
                decided.replicas,
                other.replicas,
                current,
                ready,
            )
        )
        self._fleet.scale(decided.replicas)


def _rounded(value: float | None) -> float | None:
    """For the record only: decisions see all digits."""
    return None if value is None else round(value, 3)
