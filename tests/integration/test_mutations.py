"""Whatever is sent, nothing breaks: refusals are the sender's fault, and no process is replaced.

MUTATIONS in the environment says how many images; of bodies and gRPC messages a quarter each.
"""

import itertools
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import grpc
import httpx
import pytest

from tests import mutations

IMAGES = int(os.environ.get("MUTATIONS", "400"))
_METHOD = "/inference.GRPCInferenceService/ModelInfer"
_OF_THE_SENDER = {
    "OK", "INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED", "FAILED_PRECONDITION", "OUT_OF_RANGE",
}  # fmt: skip


def restarts(service) -> dict[str, float]:
    found = service.metrics(service.server_metrics)
    return {name: count for name, count in found.items() if "restarts_total" in name}


@pytest.fixture(autouse=True)
def none_replaced(service):
    service.wait_ready()
    before = restarts(service)
    yield
    assert restarts(service) == before, service.tail()


def each(ask, sent) -> Counter[str]:
    """The statuses, eight at a time."""
    statuses: Counter[str] = Counter()
    with ThreadPoolExecutor(8) as callers:
        for part in iter(lambda: list(itertools.islice(sent, 64)), []):
            statuses.update(callers.map(ask, part))
    return statuses


def test_images(service):
    with httpx.Client(base_url=service.url, timeout=120) as client:

        def ask(image: bytes) -> str:
            # RegNetY alone: what is decoded is answered quickly.
            answer = client.post(
                "/api/v1/predict?member=regnet", files={"file": ("", image, "image/jpeg")}
            )
            return str(answer.status_code)

        found = each(ask, mutations.images(IMAGES))
    assert found.keys() <= {"200", "413", "415", "422"}, found
    assert found["422"] > IMAGES / 10, found
    assert found["200"] > IMAGES / 100, found


def test_bodies(service):
    with httpx.Client(base_url=service.url, timeout=120) as client:

        def ask(sent: tuple[str, str, bytes]) -> str:
            path, media_type, body = sent
            answer = client.post(path, content=body, headers={"content-type": media_type})
            return str(answer.status_code)

        found = each(ask, mutations.bodies(IMAGES // 4))
    assert found.keys() <= {"200", "400", "404", "413", "415", "422"}, found
    assert found["400"], found
    assert found["422"], found


def test_messages(service):
    with grpc.insecure_channel(service.gateway_address) as channel:
        method = channel.unary_unary(_METHOD)

        def ask(message: bytes) -> str:
            try:
                method(message, timeout=120)
            except grpc.RpcError as error:
                return error.code().name
            return "OK"

        found = each(ask, mutations.messages(IMAGES // 4))
    assert found.keys() <= _OF_THE_SENDER, found
    assert found["INVALID_ARGUMENT"], found
