"""Who comes first where images wait for Triton: people before patient callers, callers in turns."""

import asyncio

import pytest

from gateway.core.admission import Admission, ResponseTime
from gateway.core.batching import Batching

pytestmark = pytest.mark.anyio

PROMISED = ResponseTime(promised=1.0)
PATIENT = ResponseTime(promised=1.0, asked=30.0)
SMALL, LARGE = b"small", bytes(4 * 1024 * 1024)


class OneCallAtATime:
    """A Triton that answers a call each time that it is told to."""

    def __init__(self):
        self.calls = []
        self._answers = asyncio.Semaphore(0)

    async def infer(self, _model, images, _parameters, _seconds, holds=(), **_trace):
        for hold in holds:
            hold.sent()
        self.calls.append(list(images))
        await self._answers.acquire()
        for hold in holds:
            hold.returned()
        return list(images)

    async def answer(self, calls=1):
        for _ in range(calls):
            self._answers.release()
            await asyncio.sleep(0.01)


class Callers:
    """Callers of one pipeline whose images wait."""

    def __init__(self, calls=1, most=1):
        self.triton = OneCallAtATime()
        self.admission = Admission(1000, 10**9, lambda: ("p",), wait=60.0)
        self._batching = Batching(self.triton, calls)
        self._most = most
        self.tasks = []

    async def _ask(self, caller, image, wanted):
        with self.admission.enter(caller, "p", 0, wanted=wanted) as holding:
            holding.take_place()
            outputs = await self._batching.infer("p", [image], {}, 60, self._most, hold=holding)
            holding.answered(1)
            return outputs

    async def come(self, *images, caller="a", wanted=PROMISED):
        self.tasks += [asyncio.create_task(self._ask(caller, each, wanted)) for each in images]
        await asyncio.sleep(0.01)

    async def are_answered(self):
        """The images in the order in which they were sent, once all are answered."""
        while not all(task.done() for task in self.tasks):
            await self.triton.answer()
        for task in self.tasks:
            await task
        return [image for call in self.triton.calls for image in call]


def names(kind, count):
    return [b"%s %d" % (kind, number) for number in range(count)]


async def test_who_waits_at_a_screen_comes_before_patient_callers():
    callers = Callers()
    await callers.come(*names(b"night", 5), caller="archive", wanted=PATIENT)
    await callers.come(*names(b"screen", 2))
    order = await callers.are_answered()
    assert order == [b"night 0", *names(b"screen", 2), *names(b"night", 5)[1:]]


async def test_patient_callers_have_a_part_of_the_calls_however_many_others_come():
    callers = Callers()
    await callers.come(b"first")
    await callers.come(*names(b"night", 3), caller="archive", wanted=PATIENT)
    await callers.come(*names(b"screen", 30))
    order = await callers.are_answered()
    assert [order.index(image) for image in names(b"night", 3)] == [8, 17, 26]


async def test_what_patient_callers_have_in_triton_is_bounded_by_the_promise():
    callers = Callers(calls=8, most=16)
    load = callers.admission.loads["p"]
    load.enter("z", patient=False, images=8)
    load.total._since = 0.0
    for number in range(1, 9):
        load.total.answered(1, number * 0.2)
    await callers.come(*names(b"night", 40), caller="archive", wanted=PATIENT)
    # A fifth of a second an image, half of the promised second: two images.
    assert sum(map(len, callers.triton.calls)) == 2
    await callers.come(*names(b"screen", 4))
    assert sum(map(len, callers.triton.calls)) == 6
    assert len(await callers.are_answered()) == 44


async def test_patient_images_share_no_call_with_others():
    callers = Callers(calls=1, most=16)
    await callers.come(b"first")
    await callers.come(*names(b"night", 3), caller="archive", wanted=PATIENT)
    await callers.come(*names(b"screen", 3))
    await callers.are_answered()
    assert callers.triton.calls == [[b"first"], names(b"screen", 3), names(b"night", 3)]


async def test_one_caller_with_many_images_and_one_with_few_take_turns():
    callers = Callers()
    await callers.come(*names(b"engine", 10), caller="engine")
    await callers.come(*names(b"nurse", 2), caller="nurse")
    order = await callers.are_answered()
    assert order.index(b"nurse 0") <= 2
    assert order.index(b"nurse 1") <= 4
    assert [image for image in order if image.startswith(b"engine")] == names(b"engine", 10)


async def test_patient_callers_take_turns_among_themselves():
    callers = Callers()
    await callers.come(*names(b"archive", 20), caller="archive", wanted=PATIENT)
    await callers.come(*names(b"folder", 3), caller="folder", wanted=PATIENT)
    order = await callers.are_answered()
    assert order.index(b"folder 2") <= 7


@pytest.mark.parametrize("same", [True, False])
async def test_small_images_overtake_large_ones_where_both_wait(same):
    callers = Callers()
    await callers.come(b"first", caller="a")
    await callers.come(LARGE, caller="a")
    await callers.come(*names(b"small", 5), caller="a" if same else "b")
    order = await callers.are_answered()
    assert order.index(LARGE) == 6


async def test_a_large_image_is_not_overtaken_for_ever():
    callers = Callers()
    await callers.come(b"first")
    await callers.come(LARGE, caller="a")
    for number in range(40):
        await callers.come(b"small %d" % number, caller="b")
        await callers.triton.answer()
    order = await callers.are_answered()
    assert order.index(LARGE) <= 20


async def test_who_leaves_frees_its_turn():
    callers = Callers()
    await callers.come(b"first")
    await callers.come(*names(b"gone", 3), caller="gone", wanted=PATIENT)
    for task in callers.tasks[1:]:
        task.cancel()
    await asyncio.sleep(0.01)
    callers.tasks = callers.tasks[:1]
    await callers.come(b"last")
    assert await callers.are_answered() == [b"first", b"last"]
    assert callers.admission.in_flight == {"p": 0}
    assert callers.admission.loads["p"].total.images == 0
