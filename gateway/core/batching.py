"""Images that wait for Triton together are sent together: one call for many is far cheaper."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gateway.errors import Code, RefusedError
from gateway.triton.client import Triton
from gateway.triton.outputs import Outputs
from pipelines.protocol import Refusal

_REFUSALS = {Code(refusal) for refusal in Refusal}


@dataclass(eq=False, slots=True)
class _Question:
    """One image, and whoever waits for its answer."""

    image: bytes
    until: float
    """On the event loop's clock, in seconds."""
    answer: asyncio.Future[Outputs]


_Batch = list[_Question]


@dataclass(eq=False, slots=True)
class _Line:
    """The questions that may share a call: to one ensemble, with the same choices."""

    model: str
    parameters: Mapping[str, str]
    most: int
    waiting: deque[_Question] = field(default_factory=deque)
    calls: int = 0
    """Under way."""
    called: bool = False
    """Whether it is looked at as soon as the event loop has read what came in."""

    def batches(self, free: int) -> Iterator[_Batch]:
        """What waits, shared out evenly over the calls that are free."""
        while self.waiting and free:
            size = min(self.most, -(-len(self.waiting) // free))
            taken = [self.waiting.popleft() for _ in range(size)]
            # Whoever left meanwhile asks no more.
            if batch := [question for question in taken if not question.answer.done()]:
                free -= 1
                yield batch


class Batching:
    """Asks Triton about images; where more wait than calls may be under way, several in one call.

    No image waits for others to come: while a call is free, it goes at once. Triton forms its own
    batches of these calls.
    """

    def __init__(self, triton: Triton, calls: int) -> None:
        self._triton = triton
        self._calls = calls
        self._lines: dict[tuple[str, frozenset[tuple[str, str]]], _Line] = {}
        self._under_way: dict[asyncio.Task[None], tuple[_Line, _Batch]] = {}

    @property
    def left_behind(self) -> Counter[str]:
        """Images of each ensemble that are in Triton and whose callers wait no longer."""
        left: Counter[str] = Counter()
        for line, batch in self._under_way.values():
            # One that is answered no longer is, though others of its call may still be.
            left[line.model] += sum(question.answer.cancelled() for question in batch)
        return left

    async def infer(
        self, model: str, image: bytes, parameters: Mapping[str, str], seconds: float, most: int
    ) -> Outputs:
        """Asks an ensemble about one encoded image.

        Args:
            model: the ensemble.
            image: the encoded image.
            parameters: the caller's choices.
            seconds: how long the caller waits.
            most: images that the ensemble takes in one call.

        Raises:
            RefusedError: whatever kept Triton from answering.
        """
        loop = asyncio.get_running_loop()
        key = (model, frozenset(parameters.items()))
        line = self._lines.get(key) or self._lines.setdefault(key, _Line(model, parameters, most))
        question = _Question(image, loop.time() + seconds, loop.create_future())
        line.waiting.append(question)
        if not line.called:
            line.called = True
            loop.call_soon(self._send, line)
        return await question.answer

    def _send(self, line: _Line) -> None:
        line.called = False
        for batch in line.batches(self._calls - line.calls):
            line.calls += 1
            task = asyncio.ensure_future(self._ask(line, batch))
            self._under_way[task] = (line, batch)
            task.add_done_callback(self._over)
        if not line.calls and not line.waiting:
            self._lines.pop((line.model, frozenset(line.parameters.items())), None)

    def _over(self, task: asyncio.Task[None]) -> None:
        line, batch = self._under_way.pop(task)
        line.calls -= 1
        for question in batch:
            if not question.answer.done():
                # Shutting down: the call itself was cancelled.
                question.answer.cancel()
        self._send(line)

    async def _ask(self, line: _Line, batch: _Batch) -> None:
        """Answers, or refuses, each question of a batch; raises nothing."""
        seconds = max(question.until for question in batch) - asyncio.get_running_loop().time()
        images = [question.image for question in batch]
        try:
            answers = await self._triton.infer(line.model, images, line.parameters, seconds)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who asked are told
            refused = isinstance(error, RefusedError) and error.code in _REFUSALS
            if refused and len(batch) > 1:
                # Triton refuses a call as a whole: each alone then, and only one's own refusal.
                await asyncio.gather(*(self._ask(line, [question]) for question in batch))
                return
            for question in batch:
                if not question.answer.done():
                    question.answer.set_exception(error)
            return
        for question, answer in zip(batch, answers, strict=True):
            if not question.answer.done():
                question.answer.set_result(answer)
