"""The method ModelInfer: from a gRPC request to the dataplane and back, with Triton's tensors."""

from dataclasses import dataclass

from gateway.core.admission import Admission
from gateway.core.catalog import Catalog
from gateway.dataplane import Dataplane
from gateway.grpc.call import Call
from gateway.grpc.infer_messages import infer_request, infer_response
from gateway.identity.api_keys import ApiKeys
from gateway.kserve.inference import infer
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
            size, request = len(message), infer_request(message)
            del message
        pipeline = await self.catalog.find(request.model)
        context.pipeline, context.prediction = pipeline.name, True
        deadline = deadline.within(request.timeout())
        with self.admission.admit(pipeline.name, size, deadline.remaining()):
            rows = await infer(self.dataplane, context, pipeline, request, deadline)
        with context.stage("render"):
            return infer_response(request, rows)
