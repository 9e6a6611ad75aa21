"""The method ModelInfer: from a gRPC request to the dataplane and back, with Triton's tensors."""

from dataclasses import dataclass

from gateway.core.admission import Admission
from gateway.core.catalog import Catalog
from gateway.dataplane import Dataplane, InferenceRequest
from gateway.grpc.call import Call
from gateway.grpc.infer_messages import InferRequest, infer_response
from gateway.identity.api_keys import ApiKeys
from gateway.telemetry.metrics import NO_PIPELINE


@dataclass(frozen=True, slots=True)
class Inference:
    """Answers requests that bring images."""

    keys: ApiKeys
    admission: Admission
    catalog: Catalog
    dataplane: Dataplane
    seconds: float
    """How long a request may take."""

    async def infer(self, call: Call) -> bytes:
        """A ModelInferResponse.

        Raises:
            RefusedError: why there is none.
        """
        context = call.context
        context.caller = self.keys.caller(call.key)
        deadline = call.deadline(self.seconds)
        # The pipeline and the size are not known yet, so only the number of requests is limited.
        with self.admission.admit(NO_PIPELINE, 0), context.stage("receive"):
            message = await call.message(deadline)
            size, request = len(message), InferRequest.parse(message)
            del message
        pipeline = await self.catalog.find(request.model)
        context.pipeline, context.prediction = pipeline.name, True
        deadline = deadline.within(request.timeout())
        with self.admission.admit(pipeline.name, size, deadline.remaining()):
            parameters = request.parameters(pipeline.spec)
            images = request.take_images(pipeline.spec)
            context.received(images, batch=len(images) > 1)
            asked = InferenceRequest(context, pipeline, images, parameters, deadline)
            with context.stage("infer"):
                outcomes = await self.dataplane.infer(asked)
            for outcome in outcomes:
                outcome.answered()
        with context.stage("render"):
            return infer_response(request, [o.outputs for o in outcomes if o.outputs])
