"""The way into Triton: so many images of a pipeline at a time; the others wait here.

What waits here can be let go when its caller hangs up or its deadline passes, and Triton's own
queues stay short.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial

from gateway.catalog import Pipeline
from gateway.deadline import Deadline
from gateway.translation import LATE
from gateway.triton import Outputs, Triton

Timekeeper = Callable[[str, float], None]
"""Takes the name of a stage (`queue`, `infer`) and its seconds."""
_BATCHES = 2
"""One that a model runs and one that forms meanwhile."""
_PATIENCE_SECONDS = 30.0


class Passage:
    """Asks Triton for all pipelines."""

    def __init__(self, triton: Triton, *, cancel: bool) -> None:
        """Prepares the way.

        Args:
            triton: whom to ask.
            cancel: whether work that nobody waits for is cancelled in Triton, too. Triton 2.51
                crashes on a cancelled ensemble whose members run side by side, so that it is
                safe with later ones only; else Triton finishes it, and the answer is dropped.
        """
        self._triton = triton
        self._cancel = cancel
        self._places: dict[tuple[str, int], asyncio.Semaphore] = {}

    async def infer(
        self,
        pipeline: Pipeline,
        image: bytes,
        parameters: Mapping[str, str],
        deadline: Deadline,
        took: Timekeeper = lambda _stage, _seconds: None,
    ) -> Outputs:
        """Asks a pipeline about one encoded image, once there is a place.

        Raises:
            RefusedError: whatever kept Triton from answering.
        """
        places = self._places_of(pipeline)
        start = time.perf_counter()
        async with deadline.enforce(LATE):
            await places.acquire()
            took("queue", time.perf_counter() - start)
            start = time.perf_counter()
            left = deadline.remaining()
            patience = left if self._cancel else left + _PATIENCE_SECONDS
            work = asyncio.create_task(
                self._triton.infer(pipeline.name, image, parameters, queue=left, answer=patience)
            )
            work.add_done_callback(partial(_leave, places))
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                if self._cancel:
                    work.cancel()
                raise
            finally:
                took("infer", time.perf_counter() - start)

    def _places_of(self, pipeline: Pipeline) -> asyncio.Semaphore:
        spec = pipeline.spec
        instances = max(member.instances for member in spec.members.values())
        count = _BATCHES * spec.serving.max_batch * instances
        return self._places.setdefault((pipeline.name, count), asyncio.Semaphore(count))


def _leave(places: asyncio.Semaphore, work: asyncio.Task[Outputs]) -> None:
    """Frees the place only now: work that was given up still kept Triton busy."""
    places.release()
    if not work.cancelled():
        # Whoever gave it up does not ask what became of it.
        work.exception()
