"""Batches images that wait at the same time into shared calls to Triton."""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType

from gateway.errors import Code, RefusedError
from gateway.triton.client import Hold, TritonClient
from gateway.triton.outputs import Outputs
from gateway.triton.triton_errors import CostlyImageError
from pipelines.protocol import COSTLY_APART, Refusal

_REFUSALS = {Code(refusal) for refusal in Refusal}


@dataclass(eq=False, slots=True)
class _PendingImages:
    """The images of one request, which stay together in one call, and who waits for them."""

    images: Sequence[bytes]
    until: float
    """On the event loop's clock, in seconds."""
    answer: asyncio.Future[list[Outputs]]
    hold: Hold | None
    trace: Mapping[str, str]
    """Headers of its trace; none where it is not traced."""
    queue: "_Queue"
    """In which they wait."""
    alone: bool = False
    """They were refused in a shared call, and share no other."""


_Batch = list[_PendingImages]


@dataclass(eq=False, slots=True)
class _Queue:
    """What may share calls: requests to one ensemble with the same parameters."""

    model: str
    parameters: Mapping[str, str]
    most: int
    """Images in one call."""
    calls: int
    """Under way, at most."""
    costly: bool = False
    """Whether Triton is to decode costly images; if not, it refuses them at once."""
    waiting: deque[_PendingImages] = field(default_factory=deque)
    under_way: int = 0
    """Calls."""
    scheduled: bool = False
    """Whether calls are formed as soon as the event loop has read what came in."""

    def batches(self) -> Iterator[_Batch]:
        """What waits, shared out evenly over the calls that are free."""
        free = self.calls - self.under_way
        while free and (batch := self._batch(free)):
            free -= 1
            yield batch

    def _batch(self, free: int) -> _Batch:
        images = sum(len(pending.images) for pending in self.waiting)
        size = min(self.most, -(-images // free))
        batch: _Batch = []
        taken = 0
        while self.waiting and taken < size:
            pending = self.waiting[0]
            fits = not pending.alone and taken + len(pending.images) <= self.most
            if batch and not fits:
                break
            self.waiting.popleft()
            if pending.answer.done():
                # The caller left.
                continue
            batch.append(pending)
            taken += len(pending.images)
            if pending.alone:
                break
        return batch


class Batching:
    """Asks Triton about images; where all calls are taken, what waits shares the next ones.

    No image waits for others to come: while a call is free, it is sent at once. Triton forms its
    own batches of these calls. Images that are costly to decode have calls of their own, so that
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
        hold: Hold | None = None,
        trace: Mapping[str, str] = MappingProxyType({}),
    ) -> list[Outputs]:
        """Asks an ensemble about encoded images, all in one call.

        Args:
            model: the ensemble.
            images: the encoded images, as many as the ensemble takes at most.
            parameters: the request's parameters.
            seconds: how long the caller waits.
            most: images that may share a call.
            hold: retained while Triton works on the images.
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
                pending.queue.waiting.remove(pending)
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
        queue.waiting.append(pending)
        if not queue.scheduled:
            queue.scheduled = True
            asyncio.get_running_loop().call_soon(self._send, queue)

    def _send(self, queue: _Queue) -> None:
        queue.scheduled = False
        for batch in queue.batches():
            queue.under_way += 1
            task = asyncio.ensure_future(self._call(queue, batch))
            self._under_way[task] = (queue, batch)
            task.add_done_callback(self._over)
        if not queue.under_way and not queue.waiting:
            key = (queue.model, frozenset(queue.parameters.items()), queue.costly)
            self._queues.pop(key, None)

    def _over(self, task: asyncio.Task[_Batch]) -> None:
        queue, batch = self._under_way.pop(task)
        queue.under_way -= 1
        if task.cancelled():
            # The gateway shuts down.
            for pending in batch:
                pending.answer.cancel()
        else:
            queue.waiting.extendleft(reversed(task.result()))
        self._send(queue)

    async def _call(self, queue: _Queue, batch: _Batch) -> _Batch:
        """Answers or refuses the requests of a batch; returns those to send again, each alone."""
        seconds = max(pending.until for pending in batch) - asyncio.get_running_loop().time()
        images = [image for pending in batch for image in pending.images]
        holds = [pending.hold for pending in batch if pending.hold]
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
