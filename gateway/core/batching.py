"""Batches images that wait at the same time into shared calls to Triton."""

import asyncio
from bisect import insort
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from operator import attrgetter
from types import MappingProxyType

from gateway.core.admission import Holding
from gateway.errors import Code, RefusedError
from gateway.triton.client import TritonClient
from gateway.triton.outputs import Outputs
from gateway.triton.triton_errors import CostlyImageError
from pipelines.protocol import COSTLY_APART, Refusal

_REFUSALS = {Code(refusal) for refusal in Refusal}


_PATIENT_SHARE = 8
"""After so many images of callers who are not patient come some of those who are."""
_BYTES = 256 * 1024
"""Of an image, that take about as long to decode as a small image takes altogether."""


@dataclass(eq=False, slots=True)
class _PendingImages:
    """The images of one request, which stay together in one call, and who waits for them."""

    images: Sequence[bytes]
    until: float
    """On the event loop's clock, in seconds."""
    answer: asyncio.Future[list[Outputs]]
    hold: Holding | None
    trace: Mapping[str, str]
    """Headers of its trace; none where it is not traced."""
    queue: "_Queue"
    """In which they wait."""
    alone: bool = False
    """They were refused in a shared call, and share no other."""
    turn: float = 0.0
    """Those of lower turns come first."""

    @property
    def caller(self) -> str:
        """Whose they are."""
        return self.hold.caller if self.hold else ""

    @property
    def patient(self) -> bool:
        """Whether others come first."""
        return self.hold is not None and self.hold.patient

    @property
    def weight(self) -> float:
        """What they cost, in small images."""
        return sum(1 + len(image) / _BYTES for image in self.images)


_Batch = list[_PendingImages]


class _Line:
    """The images that wait, of callers who are patient or of those who are not.

    Callers take turns: an image comes after as many others as its caller has waiting before it,
    and later the larger it is. Turns only grow, so that none is overtaken for ever.
    """

    def __init__(self) -> None:
        self._waiting: list[_PendingImages] = []
        self._callers = Counter[str]()
        """Images that wait."""
        self._turn = 0.0
        """Of those that were taken last."""

    def __len__(self) -> int:
        return self._callers.total()

    def put(self, pending: _PendingImages) -> None:
        """Images wait; those that come again keep their turn."""
        if not pending.turn:
            pending.turn = self._turn + self._callers[pending.caller] + pending.weight
        insort(self._waiting, pending, key=attrgetter("turn"))
        self._callers[pending.caller] += len(pending.images)

    def remove(self, pending: _PendingImages) -> None:
        """They wait no longer.

        Raises:
            ValueError: they do not wait.
        """
        self._waiting.remove(pending)
        self._callers[pending.caller] -= len(pending.images)
        if not self._callers[pending.caller]:
            del self._callers[pending.caller]

    def first(self) -> _PendingImages | None:
        """Those that come first, of callers who have not left."""
        while self._waiting and self._waiting[0].answer.done():
            self.remove(self._waiting[0])
        return self._waiting[0] if self._waiting else None

    def take(self, size: int, most: int) -> _Batch:
        """Requests for one call: until it has `size` images, and never more than `most`."""
        batch: _Batch = []
        taken = 0
        while taken < size and (pending := self.first()):
            fits = not pending.alone and taken + len(pending.images) <= most
            if batch and not fits:
                break
            self.remove(pending)
            self._turn = max(self._turn, pending.turn)
            batch.append(pending)
            taken += len(pending.images)
            if pending.alone:
                break
        return batch


@dataclass(eq=False, slots=True)
class _Queue:
    """What may share calls: requests to one ensemble with the same parameters.

    Patient callers come after the others, but have a part of the calls in any case. What they have
    in Triton at a time is bounded, as who comes then has to wait for it.
    """

    model: str
    parameters: Mapping[str, str]
    most: int
    """Images in one call."""
    calls: int
    """Under way, at most."""
    costly: bool = False
    """Whether Triton is to decode costly images; if not, it refuses them at once."""
    prompt: _Line = field(default_factory=_Line)
    patient: _Line = field(default_factory=_Line)
    under_way: int = 0
    """Calls."""
    patient_calls: int = 0
    """Of those."""
    patient_images: int = 0
    """In them."""
    since_patient: int = 0
    """Images of the others that were sent since the last call for patient callers."""
    scheduled: bool = False
    """Whether calls are formed as soon as the event loop has read what came in."""

    def line_of(self, pending: _PendingImages) -> _Line:
        """Where images wait."""
        return self.patient if pending.patient else self.prompt

    def batches(self) -> Iterator[_Batch]:
        """What waits, shared out evenly over the calls that are free; each batch is a call."""
        while (free := self.calls - self.under_way) and (batch := self._batch(free)):
            self._count(batch, 1)
            yield batch

    def over(self, batch: _Batch) -> None:
        """The call of a batch is over."""
        self._count(batch, -1)

    def _count(self, batch: _Batch, calls: int) -> None:
        images = sum(len(pending.images) for pending in batch)
        self.under_way += calls
        if batch[0].patient:
            self.patient_calls += calls
            self.patient_images += calls * images
            self.since_patient = 0
        elif calls > 0:
            self.since_patient += images

    def _batch(self, free: int) -> _Batch:
        others = self.prompt.first() is not None
        if not others or self.since_patient >= _PATIENT_SHARE:
            # Where none of these can go, the others do.
            free_calls = min(free, max(1, self.calls // 2) - self.patient_calls)
            if (first := self.patient.first()) and first.hold and free_calls > 0:
                room = first.hold.at_once - self.patient_images
                if room >= len(first.images) or not self.patient_images:
                    size = min(self.most, max(room, 1), -(-len(self.patient) // free_calls))
                    return self.patient.take(size, max(size, len(first.images)))
        return self.prompt.take(min(self.most, -(-len(self.prompt) // free)), self.most)


class Batching:
    """Asks Triton about images; where all calls are taken, what waits shares the next ones.

    No image waits for others to come: while a call is free, it is sent at once; only those of
    patient callers wait until the others leave them room. Triton forms its own batches of these
    calls. Images that are costly to decode have calls of their own, so that
    others neither share a call with them nor wait for one (docs/decisions/0044).
    """

    def __init__(self, triton: TritonClient, calls: int) -> None:
        """Limits the calls.

        Args:
            triton: is asked.
            calls: under way for each queue, at most.
        """
        self._triton = triton
        self._calls = calls
        self._queues: dict[tuple[str, frozenset[tuple[str, str]], bool], _Queue] = {}
        self._under_way: dict[asyncio.Task[_Batch], tuple[_Queue, _Batch]] = {}

    async def infer(
        self,
        model: str,
        images: Sequence[bytes],
        parameters: Mapping[str, str],
        seconds: float,
        most: int,
        *,
        hold: Holding | None = None,
        trace: Mapping[str, str] = MappingProxyType({}),
    ) -> list[Outputs]:
        """Asks an ensemble about encoded images, all in one call.

        Args:
            model: the ensemble.
            images: the encoded images, as many as the ensemble takes at most.
            parameters: the request's parameters.
            seconds: how long the caller waits.
            most: images that may share a call.
            hold: told of each image that Triton works on.
            trace: headers by which Triton goes on with a trace: of requests that share a call, with
                that of the first one that has any.

        Returns:
            The outputs of each image, in their order.

        Raises:
            RefusedError: whatever kept Triton from answering.
        """
        loop = asyncio.get_running_loop()
        queue = self._queue(model, parameters, most)
        pending = _PendingImages(
            images, loop.time() + seconds, loop.create_future(), hold, trace, queue
        )
        self._wait(pending)
        try:
            return await pending.answer
        except asyncio.CancelledError:
            with suppress(ValueError):
                # The images would be kept until a call is free.
                pending.queue.line_of(pending).remove(pending)
            raise
        finally:
            # An error that it has for an answer holds this frame by its traceback.
            del pending

    def _queue(
        self, model: str, parameters: Mapping[str, str], most: int, *, costly: bool = False
    ) -> _Queue:
        key = (model, frozenset(parameters.items()), costly)
        if (queue := self._queues.get(key)) is None:
            # A process decodes one costly image at a time; the next one is to be at hand.
            calls = -(-self._calls // 2) if costly else self._calls
            queue = self._queues[key] = _Queue(model, parameters, most, calls, costly)
        return queue

    def _wait(self, pending: _PendingImages) -> None:
        queue = pending.queue
        queue.line_of(pending).put(pending)
        if not queue.scheduled:
            queue.scheduled = True
            asyncio.get_running_loop().call_soon(self._send, queue)

    def _send(self, queue: _Queue) -> None:
        queue.scheduled = False
        for batch in queue.batches():
            task = asyncio.ensure_future(self._call(queue, batch))
            self._under_way[task] = (queue, batch)
            task.add_done_callback(self._over)
        if not queue.under_way and not queue.prompt and not queue.patient:
            key = (queue.model, frozenset(queue.parameters.items()), queue.costly)
            self._queues.pop(key, None)

    def _over(self, task: asyncio.Task[_Batch]) -> None:
        queue, batch = self._under_way.pop(task)
        queue.over(batch)
        if task.cancelled():
            # The gateway shuts down.
            for pending in batch:
                pending.answer.cancel()
        else:
            for pending in task.result():
                queue.line_of(pending).put(pending)
        self._send(queue)

    async def _call(self, queue: _Queue, batch: _Batch) -> _Batch:
        """Answers or refuses the requests of a batch; returns those to send again, each alone."""
        seconds = max(pending.until for pending in batch) - asyncio.get_running_loop().time()
        images = [image for pending in batch for image in pending.images]
        holds = [pending.hold for pending in batch if pending.hold for _ in pending.images]
        try:
            outputs = await self._triton.infer(
                queue.model,
                images,
                queue.parameters if queue.costly else {**queue.parameters, COSTLY_APART: "true"},
                seconds,
                holds,
                trace=next((pending.trace for pending in batch if pending.trace), {}),
            )
        except Exception as error:  # noqa: BLE001 - the callers are told, whatever it is
            costly = isinstance(error, CostlyImageError)
            refused = costly or (isinstance(error, RefusedError) and error.code in _REFUSALS)
            if refused and len(batch) > 1:
                # Triton refuses a call as a whole, and does not say whose image it was.
                for pending in batch:
                    pending.alone = True
                return batch
            if costly:
                (pending,) = batch
                pending.queue = self._queue(queue.model, queue.parameters, queue.most, costly=True)
                pending.turn = 0.0
                self._wait(pending)
                return []
            if isinstance(error, RefusedError):
                error.forget_origin()
            for pending in batch:
                if not pending.answer.done():
                    pending.answer.set_exception(error)
            return []
        rows = iter(outputs)
        for pending in batch:
            own = [next(rows) for _ in pending.images]
            if not pending.answer.done():
                pending.answer.set_result(own)
        return []
