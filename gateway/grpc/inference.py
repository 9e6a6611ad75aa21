"""The method ModelInfer: from a gRPC request to the dataplane and back, with Triton's tensors."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from gateway.audit.idempotency import Answer
from gateway.core.admission import Admission, ResponseTime
from gateway.core.catalog import Catalog
from gateway.dataplane import Dataplane, InferenceRequest
from gateway.errors import RefusedError
from gateway.grpc.call import Call
from gateway.grpc.infer_messages import infer_request, infer_response
from gateway.grpc.reception import Reception
from gateway.identity.authentication import Authenticator
from gateway.identity.principal import Role
from gateway.kserve.inference import inference_request, shown
from gateway.replays import Replays
from gateway.telemetry.recorder import Outcome

_OK, _REFUSED = "OK", "refused"


@dataclass(frozen=True, slots=True)
class Inference:
    """Answers requests that bring images."""

    authenticator: Authenticator
    reception: Reception
    admission: Admission
    catalog: Catalog
    dataplane: Dataplane
    replays: Replays
    seconds: float
    """How long a request may take."""

    async def infer(self, call: Call) -> bytes:
        """A ModelInferResponse.

        Raises:
            RefusedError: why there is none.
        """
        context = call.context
        context.principal = await self.authenticator.authenticate(call.credentials)
        await self.dataplane.check(context)
        deadline = call.deadline(self.seconds)
        with ExitStack() as held:
            with context.stage("receive"):
                async with call.message(self.reception, deadline) as message:
                    size, request = len(message), infer_request(message)
                    del message
                    context.principal.require(Role.PREDICT, request.model)
                    pipeline = await self.catalog.find(request.model, context.principal.covers)
                    context.pipeline, context.prediction = pipeline.name, True
                    context.read_wishes(call.metadata_text)
                    deadline = deadline.within(request.timeout())
                    caller, remaining = context.share_holder, deadline.remaining()
                    wanted = ResponseTime(
                        pipeline.spec.serving.respond_within, context.respond_within
                    )
                    holding = held.enter_context(
                        self.admission.enter(caller, pipeline.name, size, remaining, wanted)
                    )
                    holding.receive(size)

            def render(outcomes: Sequence[Outcome]) -> Answer:
                try:
                    with context.stage("render"):
                        return Answer(_OK, {}, infer_response(request, outcomes))
                except RefusedError as refusal:
                    refusal.forget_origin()
                    return Answer(_REFUSED, {}, refusal.detail.encode(), refusal.code)

            async def measured(asked: InferenceRequest) -> Sequence[Outcome]:
                with context.stage("infer"):
                    return await self.dataplane.infer(asked)

            asked = inference_request(context, pipeline, request, deadline, holding=holding)
            answer = await self.replays.answer(
                call.idempotency_keys, asked, measured, render, shown(request)
            )
        if answer.refusal is not None:
            raise RefusedError(answer.refusal, answer.content.decode())
        return answer.content
