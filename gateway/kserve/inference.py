"""One inference of the protocol: from a request to the dataplane and back, as tensors."""

from collections.abc import Mapping, Sequence

from gateway.core.admission import Holding
from gateway.core.catalog import Pipeline
from gateway.core.request import Deadline
from gateway.dataplane import Dataplane, InferenceRequest
from gateway.kserve.request import InferRequest, check_version
from gateway.telemetry.recorder import RequestContext
from gateway.triton.outputs import Outputs, Tensor


async def infer(
    dataplane: Dataplane,
    context: RequestContext,
    pipeline: Pipeline,
    request: InferRequest,
    deadline: Deadline,
    *,
    holding: Holding,
) -> list[Outputs]:
    """The outputs of each image of a request that was admitted; it no longer holds its images.

    Raises:
        RefusedError: why there are none.
    """
    check_version(request.version)
    parameters = request.request_parameters(pipeline.spec)
    images = request.take_images(pipeline.spec)
    context.received(images, batch=len(images) > 1)
    asked = InferenceRequest(context, holding, pipeline, images, parameters, deadline)
    with context.stage("infer"):
        outcomes = await dataplane.infer(asked)
    for outcome in outcomes:
        outcome.answered()
    return [outcome.outputs for outcome in outcomes if outcome.outputs]


def answer(request: InferRequest, rows: Sequence[Outputs]) -> Mapping[str, Tensor]:
    """The tensors of all images together, those that the request asks for, by name."""
    wanted = {output.name for output in request.outputs}
    return {
        name: Tensor(
            b"".join(row.tensors[name].data for row in rows),
            tensor.datatype,
            tensor.shape if len(rows) == 1 else (len(rows), *tensor.shape[1:]),
        )
        for name, tensor in rows[0].tensors.items()
        if not wanted or name in wanted
    }
