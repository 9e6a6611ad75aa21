"""Images are gone once their request is: not when the garbage collector finds them."""

import contextlib
import gc

import grpc
import pytest
from tritonclient.utils import InferenceServerException

from gateway.core.batching import _PendingImages
from gateway.core.request import Image
from gateway.dataplane import InferenceRequest
from gateway.kserve.request import InferRequest
from pipelines.protocol import Refusal, refusal
from tests.unit.gateway.asking import images
from tests.unit.gateway.samples import FULL, JPEG, RAW, UNAVAILABLE, files
from tests.unit.gateway.toy_triton import Failure

pytestmark = pytest.mark.anyio

HOLDERS = Image, InferRequest, InferenceRequest, _PendingImages
UNDECODABLE = Failure(
    grpc.StatusCode.INVALID_ARGUMENT, refusal(Refusal.IMAGE_UNDECODABLE, "it is broken.")
)
TEXT = b"no image"


@contextlib.contextmanager
def collected():
    """Gives what only the garbage collector frees."""
    found = []
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found += [type(each).__name__ for each in gc.garbage if isinstance(each, HOLDERS)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize(
    ("image", "failures"),
    [(JPEG, []), (TEXT, []), (JPEG, [FULL]), (JPEG, [UNAVAILABLE] * 2), (JPEG, [UNDECODABLE])],
    ids=["answered", "no image", "busy", "unavailable", "undecodable"],
)
@pytest.mark.parametrize("key", [{}, {"idempotency-key": "1"}], ids=["no key", "key"])
async def test_a_request_leaves_nothing_for_the_garbage_collector(
    open_grpc, triton, image, failures, key
):
    client = await open_grpc()
    with collected() as kept:
        triton.failures += failures
        with contextlib.suppress(InferenceServerException):
            await client.infer("oral_cancer", images(image), headers=key)
        triton.failures += failures
        await client.http.post("/api/v1/predict", content=image, headers=RAW | key)
        triton.failures += failures
        await client.http.post("/api/v1/predict/batch", files=files(image), headers=key)
        # With a key that may be another request's by now.
        await client.http.post("/api/v1/predict", content=image + b"2", headers=RAW | key)
    assert kept == []


async def test_a_refusal_for_want_of_room_leaves_nothing_for_the_garbage_collector(open_grpc):
    client = await open_grpc(max_in_flight_bytes=1000, batch_bytes=1000)
    with collected() as kept:
        for _ in range(2):
            with pytest.raises(InferenceServerException, match="busy"):
                await client.infer("oral_cancer", images(JPEG + bytes(2000)))
    assert kept == []
