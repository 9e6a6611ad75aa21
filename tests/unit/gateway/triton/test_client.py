"""The channel to Triton, where one name stands for several."""

import asyncio
import time

import grpc
import httpx
import pytest

from gateway.app import create_app
from gateway.core.batching import Batching
from gateway.errors import RefusedError
from gateway.settings import Settings
from gateway.triton import replicas
from gateway.triton.client import TritonClient
from lab.service.ports import free_ports
from pipelines.load import load_spec
from pipelines.ports import Ports
from tests.unit.gateway.samples import JPEG, RAW, assert_problem
from tests.unit.gateway.toy_triton import Failure, ToyTriton, release_of, running

pytestmark = pytest.mark.anyio
ASKED = 8
MEMORY = Failure(
    grpc.StatusCode.INTERNAL, "onnx runtime error 1: CUDA failure 2: out of memory ; GPU=0"
)


async def test_several_tritons_behind_one_name_are_asked_in_turns():
    async with running(ToyTriton()) as one, running(ToyTriton()) as other:
        triton = TritonClient(f"ipv4:127.0.0.1:{one.port},127.0.0.1:{other.port}")
        triton.open()
        # The first calls find the connections of the second one still on their way.
        while not (one.calls and other.calls):
            await triton.infer("oral_cancer", [b"image"], {}, 5)
        one.calls.clear()
        other.calls.clear()
        for _ in range(ASKED):
            await triton.infer("oral_cancer", [b"image"], {}, 5)
        assert len(one.calls) == len(other.calls) == ASKED // 2
        await triton.close()


NOT_SERVING = {
    "ending": (
        grpc.StatusCode.UNAVAILABLE,
        "Request for unknown model: 'p' has no available versions",
    ),
    "loading": (grpc.StatusCode.NOT_FOUND, "Request for unknown model: 'p' is not found"),
}


def refuses(status, message):
    """A rule by which a Triton answers no inference."""

    async def rule(*_):
        raise Failure(status, message)

    return rule


async def ask_often(triton):
    calls = (triton.infer("oral_cancer", [b"image"], {}, 5) for _ in range(ASKED))
    assert len(await asyncio.gather(*calls)) == ASKED


@pytest.mark.parametrize("refusal", NOT_SERVING.values(), ids=NOT_SERVING)
async def test_no_call_is_lost_while_one_of_several_tritons_serves_nothing(refusal):
    async with running(ToyTriton()) as one, running(ToyTriton()) as other:
        triton = TritonClient(f"ipv4:127.0.0.1:{one.port},127.0.0.1:{other.port}")
        triton.open()
        one.rules.append(refuses(*refusal))
        while not one.calls:
            await ask_often(triton)
        for _ in range(4):
            await ask_often(triton)
        await triton.close()


async def test_a_call_is_refused_once_all_tritons_were_asked():
    async with running(ToyTriton()) as one, running(ToyTriton()) as other:
        triton = TritonClient(f"ipv4:127.0.0.1:{one.port},127.0.0.1:{other.port}")
        triton.open()
        for toy in (one, other):
            toy.rules.append(refuses(*NOT_SERVING["loading"]))
        with pytest.raises(RefusedError) as refused:
            await triton.infer("oral_cancer", [b"image"], {}, 5)
        assert refused.value.code == "unavailable"
        assert len(one.calls) + len(other.calls) == 3
        await triton.close()


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (grpc.StatusCode.INTERNAL, "Stub process 'p_0_0' is not healthy."),
        (grpc.StatusCode.UNAVAILABLE, "Socket closed"),
    ],
)
async def test_an_image_that_may_have_ended_a_process_is_not_sent_to_all(status, message):
    async with running(ToyTriton()) as one, running(ToyTriton()) as other:
        triton = TritonClient(f"ipv4:127.0.0.1:{one.port},127.0.0.1:{other.port}")
        triton.open()
        for toy in (one, other):
            toy.rules.append(refuses(status, message))
        with pytest.raises(RefusedError):
            await triton.infer("oral_cancer", [b"image"], {}, 5)
        assert len(one.calls) + len(other.calls) == 1
        await triton.close()


async def test_a_triton_that_has_left_is_not_asked_and_a_call_under_way_goes_on(monkeypatch):
    async with running(ToyTriton()) as one, running(ToyTriton()) as other:
        there = [replicas.Replica(f"ipv4:127.0.0.1:{toy.port}", "") for toy in (one, other)]

        async def replicas_of(_address):
            return list(there)

        monkeypatch.setattr("gateway.triton.replicas.replicas_of", replicas_of)
        monkeypatch.setattr("gateway.triton.client.LOOK_UP_SECONDS", 0)
        (absent,) = free_ports(1)
        triton = TritonClient(f"127.0.0.1:{absent}")
        triton.open()
        done = one.hold()
        other.rules.append(refuses(*NOT_SERVING["loading"]))
        slow = asyncio.create_task(triton.infer("oral_cancer", [b"image"], {}, 5))
        async with asyncio.timeout(5):
            while not one.now:  # noqa: ASYNC110 - gRPC sets no event
                await asyncio.sleep(0.005)
        there[:] = [there[1], replicas.Replica(f"ipv4:127.0.0.1:{absent}", "")]
        with pytest.raises(RefusedError):
            await triton.infer("oral_cancer", [b"image"], {}, 5)
        assert one.calls == [1]
        done.set()
        await slow
        await triton.close()


async def test_a_name_that_nobody_answers_for_is_looked_up_once_for_all_who_wait(monkeypatch):
    looked_up = []

    async def replicas_of(address):
        looked_up.append(address)
        raise OSError("no server of names answers")

    monkeypatch.setattr("gateway.triton.replicas.replicas_of", replicas_of)
    (absent,) = free_ports(1)
    triton = TritonClient(f"127.0.0.1:{absent}")
    triton.open()
    calls = (triton.infer("oral_cancer", [b"image"], {}, 5) for _ in range(ASKED))
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [each.code for each in found] == ["unavailable"] * ASKED
    assert len(looked_up) == 1
    await triton.close()


async def test_each_address_of_a_name_is_a_triton_of_its_own():
    found = await replicas.replicas_of("127.0.0.1:8001")
    assert [(each.target, each.host) for each in found] == [("ipv4:127.0.0.1:8001", "127.0.0.1")]
    found = await replicas.replicas_of("[::1]:8001")
    assert [(each.target, each.host) for each in found] == [("ipv6:[::1]:8001", "::1")]
    assert {each.host for each in await replicas.replicas_of("localhost:8001")} == {"localhost"}


class Held:
    """Who holds something for an inference, and gives it the usual time."""

    caller, patient = "somebody", False

    def __init__(self):
        self.users = 0

    def sent(self):
        self.users += 1

    def returned(self):
        self.users -= 1


async def test_what_is_held_for_an_inference_is_held_until_it_is_over():
    async with running(ToyTriton()) as toy:
        done = toy.hold()
        triton = TritonClient(f"127.0.0.1:{toy.port}")
        triton.open()
        batching = Batching(triton, 1)
        late, left = Held(), Held()
        with pytest.raises(RefusedError):
            await triton.infer("oral_cancer", [b"image"] * 2, {}, 0.1, [late])
        asked = asyncio.create_task(batching.infer("mhist", [b"image"], {}, 5, 8, hold=left))
        async with asyncio.timeout(5):
            while toy.now < 3:  # noqa: ASYNC110 - gRPC sets no event
                await asyncio.sleep(0.005)
        asked.cancel()
        await asyncio.sleep(0)
        assert (late.users, left.users) == (1, 1)
        done.set()
        async with asyncio.timeout(5):
            while late.users or left.users:  # noqa: ASYNC110 - gRPC sets no event
                await asyncio.sleep(0.005)
        await triton.close()


async def predicted(toy, **settings):
    """What a gateway answers whose first Triton has no memory left."""
    ports = Ports(triton_grpc_port=toy.port)
    app = create_app(Settings(ports=ports, readiness_interval_seconds=60, **settings))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            await toy.probed()
            toy.failures.append(MEMORY)
            return await client.post("/api/v1/predict", content=JPEG, headers=RAW)


async def test_what_a_gpu_has_no_memory_for_is_asked_of_the_spare_triton():
    async with running(ToyTriton()) as gpu, running(ToyTriton()) as cpu:
        cpu.serve(load_spec("oral_cancer", profile="onnx"))
        answer = await predicted(gpu, spare_triton=f"127.0.0.1:{cpu.port}")
        assert answer.status_code == 200, answer.text
        # Shown by the facts of who decided.
        assert answer.json()["release"] == release_of(cpu.spec)
        assert cpu.calls == [1]


async def test_without_a_spare_triton_it_may_be_sent_again():
    async with running(ToyTriton()) as gpu:
        answer = await predicted(gpu)
        assert_problem(answer, 503, "out_of_memory")
        assert answer.headers["retry-after"] == "2"


async def test_an_answer_that_was_under_way_while_the_machine_stood_still_is_not_given(monkeypatch):
    async with running(ToyTriton()) as toy:
        triton = TritonClient(f"127.0.0.1:{toy.port}")
        triton.open()
        await triton.infer("oral_cancer", [b"image"], {}, 5)
        monkeypatch.setattr(triton._pauses, "_ended", time.monotonic())
        with pytest.raises(RefusedError, match="stood still") as refused:
            await triton.infer("oral_cancer", [b"image"], {}, 5)
        assert refused.value.code == "unavailable"
        await triton.close()
