"""Sums what answers say of their compute time, beside what the kernel counts meanwhile."""

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import httpx
import numpy as np
import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

from lab.service.service import GATEWAY, LAUNCHER, TRITON, Service
from pipelines.protocol import ENCODED_IMAGE, Compute, Output

_REST_SECONDS, _REST_WINDOWS = 2.0, 5
"""The quietest window has no probe of the launcher in it."""
_SETTLE_SECONDS = 1.0
"""After the last answer: what a process does behind it is over."""
_WARM_UP = 3
_BATCH = 4
_TOLERANCE = 0.05
_OTHERS = (GATEWAY, TRITON)


@dataclass(frozen=True)
class Comparison:
    """What answers stated, and what the kernel counted; in CPU seconds."""

    images: int
    failed: int
    seconds: float
    """How long the load lasted."""
    stated: float
    busy: float
    """Of all backend processes."""
    by_role: dict[str, float]
    at_rest: float
    """What they would have taken of that without any image."""
    probes: int
    """Images that nobody sent: the launcher asks each pipeline that nobody has asked lately."""
    probing: float
    """What they took of `busy`."""
    others: dict[str, float]
    """Of the gateway and tritonserver, which no image's part holds."""

    @property
    def ratio(self) -> float:
        """Of what was stated to what callers' images can have caused."""
        return self.stated / (self.busy - self.at_rest - self.probing)

    @property
    def agrees(self) -> bool:
        """Whether they differ by no more than is allowed, and something was measured."""
        return self.images > 0 and abs(self.ratio - 1) <= _TOLERANCE


@dataclass
class _Tally:
    """What all callers have got so far, by pipeline."""

    images: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    failed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, pipeline: str, images: int, seconds: float) -> None:
        with self.lock:
            self.images[pipeline] += images
            self.seconds[pipeline] += seconds

    def of(self, images: Mapping[str, int]) -> float:
        """What so many images of each pipeline would have taken, at the mean of those so far."""
        return sum(
            count * self.seconds[name] / self.images[name]
            for name, count in images.items()
            if self.images[name]
        )

    def fail(self) -> None:
        with self.lock:
            self.failed += 1


def compare(
    service: Service,
    pipelines: Sequence[str],
    photos: Sequence[bytes],
    seconds: float,
    callers: int,
) -> Comparison:
    """Asks a service that runs; it is at rest before.

    Args:
        service: with its gateway.
        pipelines: that it serves, all of which are asked.
        photos: JPEG files to send.
        seconds: how long to ask.
        callers: threads that ask, each the next thing after its answer.
    """
    _Load(service, pipelines, photos, _Tally()).ask(time.monotonic() + _WARM_UP)
    time.sleep(_SETTLE_SECONDS)
    counter = _Counter(service, pipelines)
    windows = [counter.during(lambda: time.sleep(_REST_SECONDS)) for _ in range(_REST_WINDOWS)]
    tally = _Tally()
    load = _Load(service, pipelines, photos, tally)
    under_load = counter.during(lambda: _ask_all(load, seconds, callers))
    probes = {name: count - tally.images[name] for name, count in under_load.images.items()}
    spent = dict(under_load.cpu_seconds)
    others = {role: spent.pop(role, 0.0) for role in _OTHERS}
    spent.pop(LAUNCHER, None)
    idle = min(
        sum(taken for role, taken in window.cpu_seconds.items() if role in spent) / window.seconds
        for window in windows
    )
    return Comparison(
        images=sum(tally.images.values()),
        failed=tally.failed,
        seconds=under_load.seconds,
        stated=sum(tally.seconds.values()),
        busy=sum(spent.values()),
        by_role=dict(sorted(spent.items())),
        at_rest=idle * under_load.seconds,
        probes=sum(probes.values()),
        probing=tally.of(probes),
        others=others,
    )


def _ask_all(load: "_Load", seconds: float, callers: int) -> None:
    """Asks for so long, and waits for the last answers."""
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=load.ask, args=(until, number)) for number in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(_SETTLE_SECONDS)


@dataclass(frozen=True)
class _Counted:
    """What happened in a time."""

    seconds: float
    cpu_seconds: dict[str, float]
    """By role."""
    images: dict[str, int]
    """That Triton answered, by pipeline; the launcher's own among them."""


@dataclass(frozen=True)
class _Counter:
    """Reads what the kernel and Triton have counted."""

    service: Service
    pipelines: Sequence[str]

    def during(self, work: Callable[[], None]) -> _Counted:
        """What was counted while something was done."""
        images, before, began = self._images(), self.service.cpu_seconds(), time.monotonic()
        work()
        seconds, after, answered = (
            time.monotonic() - began,
            self.service.cpu_seconds(),
            self._images(),
        )
        return _Counted(
            seconds,
            {role: total - before.get(role, 0.0) for role, total in after.items()},
            {name: count - images[name] for name, count in answered.items()},
        )

    def _images(self) -> dict[str, int]:
        address = f"127.0.0.1:{self.service.ports.gateway_grpc_port}"
        with grpcclient.InferenceServerClient(address) as grpc:
            return {
                name: int(grpc.get_inference_statistics(name).model_stats[0].inference_count)
                for name in self.pipelines
            }


@dataclass(frozen=True)
class _Load:
    """What callers ask, and what they get."""

    service: Service
    pipelines: Sequence[str]
    photos: Sequence[bytes]
    tally: _Tally

    def ask(self, until: float, number: int = 0) -> None:
        """One caller: images one by one, batches, and tensors over gRPC, in turn."""
        choose = random.Random(number)  # noqa: S311 - no secret
        address = f"127.0.0.1:{self.service.ports.gateway_grpc_port}"
        with (
            httpx.Client(base_url=self.service.url, timeout=120, trust_env=False) as http,
            grpcclient.InferenceServerClient(address) as grpc,
        ):
            while time.monotonic() < until:
                pipeline, photo = choose.choice(self.pipelines), choose.choice(self.photos)
                path = f"/api/v1/pipelines/{pipeline}/predict"
                try:
                    match choose.randrange(4):
                        case 0:
                            got = _batch(http, path, choose.choices(self.photos, k=_BATCH))
                        case 1:
                            got = _tensors(grpc, pipeline, photo)
                        case _:
                            got = _single(http, path, photo)
                    self.tally.add(pipeline, *got)
                except (httpx.HTTPError, InferenceServerException):
                    self.tally.fail()


def _single(http: httpx.Client, path: str, photo: bytes) -> tuple[int, float]:
    """One image, and its compute seconds."""
    answer = http.post(path, content=photo, headers={"content-type": "image/jpeg"})
    answer.raise_for_status()
    return 1, answer.json()["compute_ms"] / 1000


def _batch(http: httpx.Client, path: str, photos: Sequence[bytes]) -> tuple[int, float]:
    files = [("files", (f"{index}.jpg", photo)) for index, photo in enumerate(photos)]
    answer = http.post(f"{path}/batch", files=files)
    answer.raise_for_status()
    summary = answer.json()["summary"]
    return summary["total"] - summary["failed"], summary["compute_ms"] / 1000


def _tensors(
    grpc: grpcclient.InferenceServerClient, pipeline: str, photo: bytes
) -> tuple[int, float]:
    image = grpcclient.InferInput(ENCODED_IMAGE, [1, 1], "BYTES")
    image.set_data_from_numpy(np.array([[photo]], dtype=object))
    table = grpc.infer(pipeline, [image]).as_numpy(Output.COMPUTE)
    return 1, float(table[..., Compute.SECONDS].sum())
