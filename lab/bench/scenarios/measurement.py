"""Measures one contender, which is running, in one scenario and one workload."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from lab.bench import raw as closed
from lab.bench.scenarios.points import allowed_misses, holds, point
from lab.bench.scenarios.rate_search import highest_rate
from lab.bench.scenarios.raw import Found, Offline, Point, Scenario, Single
from lab.bench.scenarios.schedule import gaps
from lab.bench.session import Session
from lab.errors import ContenderError
from lab.load.scheduled import Limits

SHARES = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2)
"""Of the best peer's Server rate: the rates of the curve."""
OVERLOAD = 3.0
"""Times the contender's own Server rate."""
_TRIES = 3
"""Of a point in which the generator lags."""
_FIRST_SHARE = 0.8
"""Of the rate of one caller, who waits for answers: where the search begins."""
_FIRST_ASKS = 20
_CALLERS = 32
"""Photos under way at a time where all are at hand."""
LONGEST_POINT = 25.0
"""Seconds of a point of the curve, however few requests arrive in it."""
_FEWEST = 20
_OVERLOAD_SECONDS = (8.0, 20.0)
"""The least and the most."""
_UNDER_WAY = 8192
_DRAIN_SECONDS = 120.0

Fact: TypeAlias = Single | Offline | Point | Found


@dataclass(frozen=True)
class Sizes:
    """How much is sent."""

    requests: int
    """Of a point of the Server scenario, and of one caller."""
    photos: int
    """That are all at hand."""
    single_seconds: float
    """That one caller asks at least."""


@dataclass
class Measurement:
    """One contender, one workload, one round."""

    session: Session
    contender: str
    workload: str
    round: int
    sizes: Sizes
    facts: list[Fact] = field(default_factory=list)
    """What was measured."""

    def single(self) -> None:
        """One caller."""
        found = self.session.generator(self.workload).closed(
            1, seconds=self.sizes.single_seconds, fewest=self.sizes.requests
        )
        if not (latencies := found.pop("latencies")):
            raise ContenderError(f"nothing was answered: {found['error']}")
        p50, p90, p99 = np.quantile(latencies, [0.5, 0.9, 0.99]) * 1000
        found.pop("generator_cpu_seconds")
        self.facts.append(
            Single(
                **self._who(),
                requests=len(latencies),
                p50_ms=p50,
                p90_ms=p90,
                p99_ms=p99,
                **found,
            )
        )

    def offline(self, beside: Callable[[], closed.Limit]) -> None:
        """Photos at hand, between two measurements of the limit."""
        before, cpu = beside(), self.session.tree.cpu_seconds()
        # As a batch does, which nobody waits for at a screen.
        generator = self.session.generator(self.workload, patient=True)
        found = generator.closed(_CALLERS, fewest=self.sizes.photos)
        cpu = self.session.tree.cpu_seconds() - cpu
        answered = len(found.pop("latencies"))
        found.pop("generator_cpu_seconds")
        self.facts.append(
            Offline(
                **self._who(),
                photos=answered - found["wrong"],
                callers=_CALLERS,
                cpu_seconds=cpu,
                limits=(before, beside()),
                **found,
            )
        )

    def server(self, bound: float) -> None:
        """The highest rate at which 99 of 100 requests are answered within the bound, in s."""
        first = self.session.generator(self.workload).closed(1, fewest=_FIRST_ASKS)
        if not first["latencies"]:
            raise ContenderError(f"nothing was answered: {first['error']}")
        unloaded = float(np.median(first["latencies"]))
        rate = highest_rate(
            lambda rate: holds(
                self._point(Scenario.SERVER, rate, self.sizes.requests, bound, give_up=True)
            ),
            _FIRST_SHARE / unloaded,
        )
        self.facts.append(Found(**self._who(), rate=rate))

    def curve(self, rates: tuple[float, ...], bound: float) -> None:
        """Latencies at some rates."""
        for rate in rates:
            requests = min(self.sizes.requests, max(_FEWEST, round(rate * LONGEST_POINT)))
            self._point(Scenario.CURVE, rate, requests, bound)

    def overload(self, own_rate: float, bound: float) -> None:
        """Three times the contender's own Server rate."""
        least, most = _OVERLOAD_SECONDS
        seconds = min(most, max(least, self.sizes.requests / own_rate))
        rate = OVERLOAD * own_rate
        requests = max(_FEWEST, round(rate * seconds))
        self._point(Scenario.OVERLOAD, rate, requests, bound)

    def _point(
        self,
        scenario: Scenario,
        rate: float,
        requests: int,
        bound: float,
        *,
        give_up: bool = False,
    ) -> Point:
        """One rate, once more where the generator lagged.

        Args:
            scenario: for which it is.
            rate: arrivals a second.
            requests: how many arrive.
            bound: seconds.
            give_up: whether it ends once more have missed the bound than may.

        Raises:
            ContenderError: the generator lagged in each try.
        """
        limits = Limits(
            bound=bound,
            missed=allowed_misses(requests) if give_up else requests,
            under_way=_UNDER_WAY,
            drain=_DRAIN_SECONDS,
        )
        # The same arrivals for all contenders of a round.
        schedule = gaps(rate, requests, f"{self.workload} {self.round}")
        for _ in range(_TRIES):
            cpu = self.session.tree.cpu_seconds()
            found = self.session.generator(self.workload).scheduled(schedule, limits)
            measured = point(
                found,
                scenario=scenario,
                round_=self.round,
                contender=self.contender,
                workload=self.workload,
                rate=rate,
                bound=bound,
                cpu_seconds=self.session.tree.cpu_seconds() - cpu,
            )
            self.facts.append(measured)
            if not measured.lagged:
                return measured
        raise ContenderError(
            f"the load generator lagged at {rate:.1f}/s in {_TRIES} tries, by "
            f"{measured.late_p99_ms:.1f} ms of a bound of {measured.bound_ms:.0f} ms in the last "
            "one: let nothing else run on this machine"
        )

    def _who(self) -> dict[str, str | int]:
        return {"round": self.round, "contender": self.contender, "workload": self.workload}
