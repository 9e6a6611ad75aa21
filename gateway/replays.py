"""Requests with an idempotency key: asked once, answered again from what is stored."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from sqlalchemy import Connection

from gateway.audit.audit_log import IN_A_THREAD
from gateway.audit.idempotency import (
    RENEWAL_SECONDS,
    Answer,
    Claim,
    Idempotency,
    Scope,
    is_final,
    keyed_digest,
    read_key,
)
from gateway.core.request import Image
from gateway.dataplane import InferenceRequest
from gateway.errors import Code, RefusedError
from gateway.telemetry.recorder import Outcome
from pipelines.protocol import Parameter

Infer = Callable[[InferenceRequest], Awaitable[Sequence[Outcome]]]
Render = Callable[[Sequence[Outcome]], Answer]
_REMOVAL_SECONDS = 60.0
_DRAIN_SECONDS = 5.0


class Replays:
    """Has requests answered, those with a key by the answer of the first one.

    A request with a key is worked on to its end also where its caller leaves: the answer is there
    when the caller comes again.
    """

    def __init__(self, idempotency: Idempotency) -> None:
        self._idempotency = idempotency
        self._tasks: set[asyncio.Task[Answer]] = set()

    async def answer(
        self,
        keys: Iterable[str],
        asked: InferenceRequest,
        infer: Infer,
        render: Render,
        shown: Iterable[str] = (),
    ) -> Answer:
        """The answer to a request that holds no place yet.

        Args:
            keys: values of the header `Idempotency-Key`.
            asked: what is asked.
            infer: asks it.
            render: makes the answer of the outcomes. With a key it runs in the thread that writes.
            shown: what else the answer depends on.

        Raises:
            RefusedError: why there is none.
        """
        key = read_key(keys)
        if key is None:
            _take_place(asked)
            return render(await infer(asked))
        if asked.parameters.values.get(Parameter.VISUALIZATION, "false") != "false":
            raise RefusedError(
                Code.PARAMETER_INVALID,
                "Idempotency-Key: an answer with a picture is not stored, as no image is. Send "
                "visualization=false, or no key.",
            )
        scope = Scope(asked.context.principal.id, asked.context.route, asked.pipeline.name, key)
        digest = await self._digest(asked, tuple(shown))
        # From the claim on: one that nobody works on would block its key.
        task = asyncio.ensure_future(self._once(scope, digest, asked, infer, render))
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return await asyncio.shield(task)

    async def watch(self) -> None:
        """Renews claims, and removes what is no longer kept, for as long as the gateway runs."""
        removed = -math.inf
        while True:
            # The next round does what this one cannot.
            with suppress(RefusedError):
                await self._idempotency.renew()
                if time.monotonic() - removed > _REMOVAL_SECONDS:
                    await self._idempotency.remove_expired()
                    removed = time.monotonic()
            await asyncio.sleep(RENEWAL_SECONDS)

    async def drain(self) -> None:
        """Gives those whose callers left some seconds, then frees their keys."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_DRAIN_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _once(
        self, scope: Scope, digest: bytes, asked: InferenceRequest, infer: Infer, render: Render
    ) -> Answer:
        found = await self._idempotency.claim(scope, digest)
        if isinstance(found, Answer):
            # Its row is that of the first request.
            asked.context.replayed = asked.context.accounted = True
            if found.refusal is not None:
                asked.context.refuse(RefusedError(found.refusal, "as answered before"))
            return found
        return await self._work(found, asked, infer, render)

    async def _work(
        self, claim: Claim, asked: InferenceRequest, infer: Infer, render: Render
    ) -> Answer:
        made: list[Answer] = []

        def finish(connection: Connection, outcomes: Sequence[Outcome]) -> None:
            """Stores the answer in the transaction of the outcomes' rows."""
            answer = render(outcomes)
            if _is_final(outcomes):
                claim.store(connection, answer)
            else:
                claim.release(connection)
            made[:] = [answer]

        answered = False
        asked.holding.retain()
        try:
            _take_place(asked)
            await infer(replace(asked, finish=finish))
            answered = True
        finally:
            asked.holding.release()
            # Where that fails, the claim ends by itself.
            with suppress(RefusedError):
                await self._idempotency.end(claim, answered=answered)
        return made[0]

    async def _digest(self, asked: InferenceRequest, shown: Sequence[str]) -> bytes:
        parameters = (f"{name}={value}" for name, value in sorted(asked.parameters.values.items()))
        context = asked.context
        # Said only where it is asked for: so keys of older gateways keep their answers.
        wishes = str(context.keep_image) + " signed" * context.signed_receipt
        if context.release is not None:
            wishes += f" by {context.release}"
        said = (wishes, *shown, "", *parameters, "")
        parts = [text.encode() for text in said]
        for image in asked.images:
            parts += _parts(image)
        if sum(map(len, parts)) < IN_A_THREAD:
            return keyed_digest(self._idempotency.pepper, parts)
        return await asyncio.to_thread(keyed_digest, self._idempotency.pepper, parts)

    def _over(self, task: asyncio.Task[Answer]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            # Its caller may have left: then nobody else looks at it.
            task.exception()


def _take_place(asked: InferenceRequest) -> None:
    asked.holding.take_place(
        len(asked.images), asked.deadline.remaining(), explains=asked.parameters.explain
    )


def _parts(image: Image) -> tuple[bytes, ...]:
    code = image.refusal.code if image.refusal else ""
    return image.data, (image.filename or "").encode(errors="surrogatepass"), code.encode()


def _is_final(outcomes: Sequence[Outcome]) -> bool:
    results = [outcome.result for outcome in outcomes]
    refusals = [result for result in results if isinstance(result, RefusedError)]
    return len(refusals) < len(results) or all(is_final(each.code) for each in refusals)
