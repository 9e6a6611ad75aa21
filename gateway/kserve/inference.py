"""One inference of the protocol: from a request to what the dataplane takes, and back."""

import json
from collections.abc import Mapping, Sequence

from gateway.core.admission import Holding
from gateway.core.catalog import Pipeline
from gateway.core.request import Deadline
from gateway.dataplane import InferenceRequest
from gateway.kserve.request import InferRequest, check_version
from gateway.telemetry.recorder import Outcome, RequestContext
from gateway.triton.outputs import Outputs, Tensor


def inference_request(
    context: RequestContext,
    pipeline: Pipeline,
    request: InferRequest,
    deadline: Deadline,
    *,
    holding: Holding,
) -> InferenceRequest:
    """What a request that was admitted asks; the request no longer holds its images.

    Raises:
        RefusedError: it asks for what there is not.
    """
    check_version(request.version)
    parameters = request.request_parameters(pipeline.spec)
    images = request.take_images(pipeline.spec)
    parameters.check_images(len(images))
    context.received(images, batch=len(images) > 1)
    return InferenceRequest(context, holding, pipeline, images, parameters, deadline)


def rows_of(outcomes: Sequence[Outcome]) -> list[Outputs]:
    """The outputs of each image.

    Raises:
        RefusedError: why there are none.
    """
    for outcome in outcomes:
        outcome.answered()
    return [outcome.outputs for outcome in outcomes if outcome.outputs]


def shown(request: InferRequest) -> list[str]:
    """What the response depends on besides images and parameters."""
    outputs = (f"{out.name} {out.binary(request.binary_output)}" for out in request.outputs)
    return [request.version, request.id, str(request.binary_output), *outputs]


def account_of(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """The parameters of a response that name the images' rows in the audit log.

    Of several images the ids are separated by commas, as is whether they were `kept` where the
    request says something of that; the receipts are a JSON array.
    """
    accounts = [outcome.account.facts() for outcome in outcomes]
    receipts = [account["receipt"] for account in accounts]
    said = {
        "prediction_id": ",".join(account["prediction_id"] for account in accounts),
        "receipt": json.dumps(receipts[0] if len(receipts) == 1 else receipts),
    }
    kept = [outcome.kept for outcome in outcomes]
    if None not in kept:
        said["kept"] = ",".join("true" if each else "false" for each in kept)
    return said


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
