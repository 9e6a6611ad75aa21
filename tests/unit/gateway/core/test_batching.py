"""Images that wait for Triton together share a call."""

import asyncio

import grpc
import numpy as np
import pytest

from gateway.errors import Code, RefusedError
from gateway.triton.outputs import BYTES, Outputs, Tensor
from pipelines.protocol import COSTLY, COSTLY_APART, Output, Refusal, refusal
from tests.unit.gateway.samples import JPEG, RAW, assert_problem
from tests.unit.gateway.toy_answers import encoded
from tests.unit.gateway.toy_triton import Failure

pytestmark = pytest.mark.anyio


async def ask(client, image=JPEG, **parameters):
    url = "/api/v1/predict"
    return await client.post(url, content=image, headers=RAW, params=parameters)


@pytest.fixture
async def client(start):
    return await start(triton_calls=1)


@pytest.fixture
def gate(client, triton):
    return triton.hold()


async def under_way(triton, images):
    while triton.now < images:  # noqa: ASYNC110 - gRPC sets no event
        await asyncio.sleep(0.005)


async def held(client, triton, gate, *more):
    """The answers to requests that came while the only call was taken, and to the first."""
    first = asyncio.create_task(ask(client))
    await under_way(triton, 1)
    rest = [asyncio.create_task(each) for each in more]
    await asyncio.sleep(0.05)
    gate.set()
    return await asyncio.gather(first, *rest)


async def test_what_comes_while_a_call_is_under_way_shares_the_next(client, triton, gate):
    answers = await held(client, triton, gate, *(ask(client) for _ in range(7)))
    assert {answer.status_code for answer in answers} == {200}
    assert triton.calls == [1, 7]


async def test_no_call_has_more_images_than_the_ensemble_takes(client, triton, gate):
    most = triton.spec.serving.max_batch
    answers = await held(client, triton, gate, *(ask(client) for _ in range(most + 3)))
    assert {answer.status_code for answer in answers} == {200}
    assert triton.calls == [1, most, 3]


async def test_free_calls_share_what_waits(start, triton):
    client = await start(triton_calls=2)
    gate = triton.hold()
    first = [asyncio.create_task(ask(client)) for _ in range(2)]
    await under_way(triton, 2)
    rest = [asyncio.create_task(ask(client)) for _ in range(6)]
    await asyncio.sleep(0.05)
    gate.set()
    await asyncio.gather(*first, *rest)
    assert sum(triton.calls) == 8
    assert max(triton.calls) >= 3


async def test_other_choices_are_asked_apart(client, triton, gate):
    answers = await held(
        client,
        triton,
        gate,
        ask(client, threshold="0.1"),
        ask(client, threshold="0.9"),
        ask(client),
    )
    assert [answer.json()["threshold"] for answer in answers] == [0.5, 0.1, 0.9, 0.5]
    assert triton.calls == [1, 1, 1, 1]


async def test_a_refused_image_does_not_harm_those_it_shared_a_call_with(client, triton, gate):
    async def refuse(image, _parameters):
        if image.endswith(b"broken"):
            text = refusal(Refusal.IMAGE_UNDECODABLE, "it is broken. Send it again.")
            raise Failure(grpc.StatusCode.INVALID_ARGUMENT, text)

    triton.rules.append(refuse)
    good, bad = [ask(client) for _ in range(3)], ask(client, JPEG + b"broken")
    *answers, refused = await held(client, triton, gate, *good, bad)
    assert {answer.status_code for answer in answers} == {200}
    assert_problem(refused, 422, "image_undecodable")
    assert triton.calls == [1, 4, 1, 1, 1, 1]


async def test_images_sent_again_after_a_refused_one_keep_to_the_limit_of_calls(start, triton):
    client = await start(triton_calls=2)
    gate = triton.hold()

    async def refuse(image, _parameters):
        await asyncio.sleep(0.02)
        if image.endswith(b"broken"):
            text = refusal(Refusal.IMAGE_UNDECODABLE, "it is broken. Send it again.")
            raise Failure(grpc.StatusCode.INVALID_ARGUMENT, text)

    triton.rules.append(refuse)
    first = [asyncio.create_task(ask(client)) for _ in range(2)]
    await under_way(triton, 2)
    rest = [asyncio.create_task(ask(client, JPEG + b"broken" * (n < 2))) for n in range(10)]
    await asyncio.sleep(0.05)
    gate.set()
    answers = await asyncio.gather(*first, *rest)
    assert sorted(answer.status_code for answer in answers) == [200] * 10 + [422] * 2
    assert triton.most_calls == 2


async def test_who_is_answered_before_others_of_its_call_leaves_nothing_behind(start, triton):
    client = await start(triton_calls=1, max_in_flight=3, caller_share=1)
    gate, done = triton.hold(), asyncio.Event()
    refused_before = False

    async def refuse_late(image, _parameters):
        nonlocal refused_before
        if image.endswith(b"broken"):
            if refused_before:
                await done.wait()
            refused_before = True
            text = refusal(Refusal.IMAGE_UNDECODABLE, "it is broken. Send it again.")
            raise Failure(grpc.StatusCode.INVALID_ARGUMENT, text)

    triton.rules.append(refuse_late)
    first = asyncio.create_task(ask(client))
    await under_way(triton, 1)
    good, bad = (asyncio.create_task(ask(client, JPEG + end)) for end in (b"", b"broken"))
    await asyncio.sleep(0.05)
    gate.set()
    assert {answer.status_code for answer in await asyncio.gather(first, good)} == {200}
    more = [asyncio.create_task(ask(client)) for _ in range(2)]
    await asyncio.sleep(0.05)
    done.set()
    assert {answer.status_code for answer in await asyncio.gather(*more)} == {200}
    assert_problem(await bad, 422, "image_undecodable")
    assert triton.calls == [1, 2, 1, 1, 2]


async def test_a_failure_of_triton_is_told_to_all_who_shared_the_call(client, triton, gate):
    async def fail(_image, _parameters):
        raise Failure(grpc.StatusCode.INTERNAL, "broken")

    triton.rules.append(fail)
    answers = await held(client, triton, gate, ask(client), ask(client))
    assert [answer.status_code for answer in answers] == [500, 500, 500]
    assert triton.calls == [1, 2]


async def test_the_unexpected_is_told_to_all_who_shared_the_call(client, triton, gate, monkeypatch):
    def explode(_response):
        raise ZeroDivisionError

    monkeypatch.setattr("gateway.triton.client.outputs_of", explode)
    answers = await held(client, triton, gate, ask(client), ask(client))
    for answer in answers:
        assert_problem(answer, 500, "internal")


async def test_who_left_before_its_call_is_not_asked_about(client, triton, gate):
    first = asyncio.create_task(ask(client))
    await under_way(triton, 1)
    gone, stayed = asyncio.create_task(ask(client)), asyncio.create_task(ask(client))
    await asyncio.sleep(0.05)
    gone.cancel()
    await asyncio.sleep(0.05)
    gate.set()
    assert {answer.status_code for answer in await asyncio.gather(first, stayed)} == {200}
    assert triton.calls == [1, 1]


async def test_images_left_behind_keep_their_places(start, triton):
    client = await start(triton_calls=2, deadline_seconds=1, max_in_flight=4, caller_share=1)
    gate = triton.hold()
    first = asyncio.create_task(ask(client))
    await under_way(triton, 1)
    # They share a call, which is sent at once: a busy machine could end them before it is.
    rest = [asyncio.create_task(ask(client)) for _ in range(3)]
    await under_way(triton, 4)
    for answer in await asyncio.gather(first, *rest):
        assert_problem(answer, 504, "deadline")
    assert_problem(await ask(client), 429, "busy")
    gate.set()
    while triton.now:  # noqa: ASYNC110 - gRPC sets no event
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)
    assert (await ask(client)).status_code == 200


def test_rows_are_each_image_s_own():
    numbers = np.arange(12, dtype=np.float32).reshape(3, 4)
    texts = [b"a", b"", b"long"]
    together = Outputs(
        {
            Output.PROBABILITIES: Tensor(numbers.tobytes(), "FP32", (3, 4)),
            Output.RELEASE: Tensor(encoded(texts), BYTES, (3, 1)),
        }
    )
    rows = together.rows(3)
    assert [row.floats(Output.PROBABILITIES, 4) for row in rows] == numbers.tolist()
    assert [row.strings(Output.RELEASE, 1) for row in rows] == [[text] for text in texts]
    assert {row.tensors[Output.PROBABILITIES].shape for row in rows} == {(1, 4)}


@pytest.mark.parametrize("count", [2, 5])
def test_rows_that_do_not_come_out_even_are_a_misfit(count):
    for tensor in (Tensor(bytes(9)), Tensor(encoded([b"a"] * 9), BYTES)):
        with pytest.raises(RefusedError) as caught:
            Outputs({"x": tensor}).rows(count)
        assert caught.value.code is Code.MODEL_OUTPUT


@pytest.fixture
def costly(triton):
    """Triton refuses costly images where others share their calls, and decodes them slowly."""
    gate, images = asyncio.Event(), []

    async def decode(image, parameters):
        if image.endswith(b"costly"):
            if COSTLY_APART in parameters:
                raise Failure(grpc.StatusCode.INVALID_ARGUMENT, COSTLY)
            images.append(image)
            await gate.wait()

    triton.rules.append(decode)
    gate.images = images
    return gate


async def test_others_neither_share_a_call_with_a_costly_image_nor_wait_for_one(
    client, triton, costly
):
    attack = [asyncio.create_task(ask(client, JPEG + b"%d costly" % n)) for n in range(5)]
    await asyncio.sleep(0.1)
    answers = await asyncio.gather(*(ask(client) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert not any(task.done() for task in attack)
    assert len(costly.images) == 1
    costly.set()
    answers = await asyncio.gather(*attack)
    assert {answer.status_code for answer in answers} == {200}
    assert costly.images == [JPEG + b"%d costly" % n for n in range(5)]


async def test_a_costly_image_that_shared_a_call_harms_nobody_in_it(client, triton, gate, costly):
    costly.set()
    answers = await held(
        client, triton, gate, ask(client), ask(client, JPEG + b"costly"), ask(client)
    )
    assert {answer.status_code for answer in answers} == {200}
    assert triton.calls == [1, 3, 1, 1, 1, 1]


async def test_a_costly_image_whose_caller_left_is_not_decoded(client, triton, costly):
    first, second = (asyncio.create_task(ask(client, JPEG + b"costly")) for _ in range(2))
    await asyncio.sleep(0.1)
    second.cancel()
    await asyncio.sleep(0.05)
    costly.set()
    assert (await first).status_code == 200
    assert (await ask(client)).status_code == 200
    assert len(costly.images) == 1
