"""Sums what answers say of their compute time, beside what the kernel counts meanwhile."""

import json
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
import numpy as np
import tritonclient.grpc as grpcclient
from tritonclient.utils import InferenceServerException

from lab.service.service import GATEWAY, LAUNCHER, TRITON, Service
from pipelines.protocol import ENCODED_IMAGE, Compute, Output

_REST_SECONDS = 10.0
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
    others: dict[str, float]
    """Of the gateway and tritonserver, which no image's part holds."""

    @property
    def ratio(self) -> float:
        """Of what was stated to what images can have caused."""
        return self.stated / (self.busy - self.at_rest)

    @property
    def agrees(self) -> bool:
        """Whether they differ by no more than is allowed, and something was measured."""
        return self.images > 0 and abs(self.ratio - 1) <= _TOLERANCE


@dataclass
class _Tally:
    """What all callers have got so far."""

    images: int = 0
    failed: int = 0
    seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, images: int, seconds: float) -> None:
        with self.lock:
            self.images += images
            self.seconds += seconds

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
    rest = _between(service, min(_REST_SECONDS, seconds))
    before, began, tally = service.cpu_seconds(), time.monotonic(), _Tally()
    load = _Load(service, pipelines, photos, tally)
    threads = [
        threading.Thread(target=load.ask, args=(began + seconds, number))
        for number in range(callers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(_SETTLE_SECONDS)
    after, lasted = service.cpu_seconds(), time.monotonic() - began
    spent = {role: total - before.get(role, 0.0) for role, total in after.items()}
    others = {role: spent.pop(role, 0.0) for role in _OTHERS}
    spent.pop(LAUNCHER, None)
    return Comparison(
        images=tally.images,
        failed=tally.failed,
        seconds=lasted,
        stated=tally.seconds,
        busy=sum(spent.values()),
        by_role=dict(sorted(spent.items())),
        at_rest=lasted * sum(rate for role, rate in rest.items() if role in spent),
        others=others,
    )


def _between(service: Service, seconds: float) -> dict[str, float]:
    """CPU seconds a second of each role, while nobody asks."""
    before, began = service.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    lasted = time.monotonic() - began
    return {
        role: (total - before.get(role, 0.0)) / lasted
        for role, total in service.cpu_seconds().items()
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
                            _batch(http, path, choose.choices(self.photos, k=_BATCH), self.tally)
                        case 1:
                            _tensors(grpc, pipeline, photo, self.tally)
                        case _:
                            _single(http, path, photo, self.tally)
                except (httpx.HTTPError, InferenceServerException):
                    self.tally.fail()


def _single(http: httpx.Client, path: str, photo: bytes, tally: _Tally) -> None:
    answer = http.post(path, content=photo, headers={"content-type": "image/jpeg"})
    answer.raise_for_status()
    tally.add(1, answer.json()["compute_ms"] / 1000)


def _batch(http: httpx.Client, path: str, photos: Sequence[bytes], tally: _Tally) -> None:
    files = [("files", (f"{index}.jpg", photo)) for index, photo in enumerate(photos)]
    answer = http.post(f"{path}/batch", files=files)
    answer.raise_for_status()
    summary = json.loads(answer.content)["summary"]
    tally.add(summary["total"] - summary["failed"], summary["compute_ms"] / 1000)


def _tensors(
    grpc: grpcclient.InferenceServerClient, pipeline: str, photo: bytes, tally: _Tally
) -> None:
    image = grpcclient.InferInput(ENCODED_IMAGE, [1, 1], "BYTES")
    image.set_data_from_numpy(np.array([[photo]], dtype=object))
    table = grpc.infer(pipeline, [image]).as_numpy(Output.COMPUTE)
    tally.add(1, float(table[..., Compute.SECONDS].sum()))
