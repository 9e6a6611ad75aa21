"""One run of the simulation, from starting the processes to the record."""

import asyncio
import io
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
from PIL import Image

from gateway.settings import Settings
from lab import machine
from lab.autoscaling import manifests, pipeline
from lab.autoscaling.control import Control
from lab.autoscaling.envoy import Envoy
from lab.autoscaling.fleet import Fleet
from lab.autoscaling.plan import SECONDS, Plan
from lab.autoscaling.prometheus import Prometheus
from lab.autoscaling.record import Drained, Moment, Record, median, p95
from lab.errors import LabError
from lab.load.http_connections import HttpConnections
from lab.load.open_loop import OpenLoop
from lab.overload.calls import Call, ComparedRequests
from lab.service.gateway import Gateway
from lab.service.scratch import Scratch
from loadtest import arrivals
from loadtest.photos import Photo
from loadtest.study import End
from loadtest.target import Target

Say = Callable[[str], None]
_START_SECONDS = 90.0
_PAUSE = 0.2
_NOT_HERE = ("GATEWAY_HOST", "GATEWAY_SECRETS_DIR")
"""Settings of the Deployment that the simulation leaves out: beyond loopback, keys are needed."""


async def simulate(plan: Plan, say: Say) -> Record:
    """Starts everything, sends the plan's load, and ends everything.

    Raises:
        LabError: something is missing, does not start, or takes too long.
    """
    try:
        async with asyncio.timeout(SECONDS):
            return await _simulate(plan, say)
    except TimeoutError:
        raise LabError(f"the run took more than {SECONDS:.0f} s and was ended") from None


async def _simulate(plan: Plan, say: Say) -> Record:
    of_keda, of_hpa = await asyncio.gather(
        asyncio.to_thread(manifests.render, manifests.KEDA),
        asyncio.to_thread(manifests.render, manifests.HPA),
    )
    whole, other = manifests.keda(of_keda), manifests.hpa(of_hpa)
    keda, hpa = (scaling.compressed(plan.factor, plan.most) for scaling in (whole, other))
    settings = manifests.gateway_settings(of_keda) | {
        "GATEWAY_MAX_IN_FLIGHT": str(plan.cap),
        "GATEWAY_CALLER_SHARE": "1",
        # All callers have this machine's address, as behind a proxy.
        "GATEWAY_CONNECTIONS_PER_ADDRESS": str(Settings.model_fields["connections"].default),
        "GATEWAY_TRITON_HOST": "127.0.0.1",
        "GATEWAY_DEFAULT_PIPELINE": pipeline.PIPELINE,
    }
    for name in _NOT_HERE:
        settings.pop(name, None)
    record = Record(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=_machine(),
        factor=plan.factor,
        delay_ms=plan.delay_ms,
        target=keda.metrics[0].target / 1000,
        cap=plan.cap,
        maximum=keda.maximum,
        shipped_maximum=whole.maximum,
        steps=plan.steps(),
    )
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scaling-")))
        place = Scratch(folder / "serving")
        pipeline.make(place, plan.delay_ms)
        prometheus = Prometheus(folder, _namespace(of_keda), plan.interval)
        stack.push_async_callback(prometheus.close)
        envoy = Envoy(folder)
        stack.push_async_callback(envoy.close)
        fleet = Fleet(place, folder, envoy, prometheus)
        stack.push_async_callback(fleet.close)
        fleet.scale(keda.minimum)
        await fleet.wait(lambda: fleet.ready == keda.minimum, _START_SECONDS)
        gateway = Gateway(envoy.port, log=folder / "gateway.log", environment=settings)
        gateway.start()
        # The first to go: whoever cancels inferences may end Triton.
        stack.push_async_callback(asyncio.to_thread, gateway.stop)
        fleet.gateway = gateway
        await fleet.look()
        control = Control(keda, hpa, fleet, prometheus, plan.interval)
        await _wait("envoy", envoy.ready)
        await _wait("prometheus", prometheus.ready)
        await _wait("the gateway", partial(_ready, gateway))
        await _wait("a value of each metric", control.known)
        before = await envoy.failures()
        say("all is there; load begins")
        await _load(gateway, control, record, say)
        await fleet.settled(_START_SECONDS)
        repeated = await envoy.failures() - before
        record.looks.extend(control.looks)
        began = control.began
        record.drains.extend(
            Drained(round(drain.began - began, 2), round(drain.seconds, 2), drain.in_flight)
            for drain in fleet.drains
        )
        record.starts.extend(round(seconds, 2) for seconds in fleet.starts)
    return replace(record, repeated=repeated)


async def _load(gateway: Gateway, control: Control, record: Record, say: Say) -> None:
    target = Target(gateway.url, "", pipeline.PIPELINE)
    async with HttpConnections(gateway.url, {}) as connections:
        requests = ComparedRequests(connections, target, [_photo()])
        await requests.learn()
        flood = OpenLoop(requests.call)
        watching = asyncio.create_task(control.run())
        pouring = asyncio.create_task(_pour(flood, record, say))
        try:
            await asyncio.wait({watching, pouring}, return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                watching.result()
            await pouring
            control.stop()
            await watching
        finally:
            for task in (watching, pouring):
                task.cancel()
            await asyncio.gather(watching, pouring, return_exceptions=True)
        await flood.drain()
    record.moments.extend(_moments(flood.calls, control.began))
    record.faults.update(Counter(call.fault for call in flood.calls if call.end is End.WRONG))


async def _pour(flood: OpenLoop[Call], record: Record, say: Say) -> None:
    start = time.perf_counter()
    for step, _, end in record.spans():
        say(f"{step.name}: {step.rate:.3g} requests/s for {step.seconds:g} s")
        await flood.run(arrivals.constant(step.rate), step.seconds)
        # The gap after the last arrival belongs to this step.
        await asyncio.sleep(max(0.0, start + end - time.perf_counter()))


def _moments(calls: Iterable[Call], start: float) -> list[Moment]:
    """All calls by the second in which they were to arrive."""
    by_second: defaultdict[int, list[Call]] = defaultdict(list)
    for call in calls:
        by_second[int(call.intended - start)].append(call)
    found = []
    for second, arrived in sorted(by_second.items()):
        ends = Counter(call.end for call in arrived)
        latencies = [round(call.seconds, 4) for call in arrived if call.end is End.ANSWERED]
        found.append(
            Moment(
                second,
                len(arrived),
                ends[End.ANSWERED],
                ends[End.REPORTED],
                ends[End.WRONG],
                median(latencies),
                p95(latencies),
            )
        )
    return found


async def _wait(what: str, ready: Callable[[], Awaitable[bool]]) -> None:
    give_up = time.perf_counter() + _START_SECONDS
    while not await ready():
        if time.perf_counter() > give_up:
            raise LabError(
                f"{what}: not there after {_START_SECONDS:.0f} s: let the machine be less busy"
            )
        await asyncio.sleep(_PAUSE)


async def _ready(gateway: Gateway) -> bool:
    if gateway.tree.ended:
        raise LabError(f"the gateway ended:\n{gateway.tree.log_tail()}")
    async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
        with suppress(httpx.HTTPError):
            return (await client.get(f"{gateway.url}/readyz")).is_success
    return False


def _machine() -> str:
    found = machine.describe()
    return (
        f"{found.cores} cores of {found.cpu}, {found.memory_gib:.0f} GiB, shared with other work "
        f"(load average {found.load_average:.1f} before)"
    )


def _namespace(objects: list[manifests.Object]) -> str:
    (name,) = (item["metadata"]["name"] for item in objects if item["kind"] == "Namespace")
    return str(name)


def _photo() -> Photo:
    """A small one: neither its way nor its decoding should take time."""
    file = io.BytesIO()
    Image.new("RGB", (32, 32), (120, 90, 60)).save(file, "PNG")
    return Photo("plain.png", file.getvalue())
