"""ModelInferRequest and ModelInferResponse: from and to what both transports share."""

from collections.abc import Mapping, Sequence

from google.protobuf.unknown_fields import UnknownFieldSet
from tritonclient.grpc import service_pb2

from gateway.errors import Code, RefusedError
from gateway.grpc.message_parts import check_parts
from gateway.grpc.messages import Message, parse, serialise
from gateway.kserve.inference import account_of, answer, rows_of
from gateway.kserve.request import InferRequest, InputTensor, RequestedOutput, Value
from gateway.telemetry.recorder import Outcome


def infer_request(raw: bytes) -> InferRequest:
    """Reads a serialised ModelInferRequest.

    Raises:
        RefusedError: with `malformed_body`.
    """
    check_parts(raw)
    message = parse(service_pb2.ModelInferRequest, raw)
    for part in (message, *message.inputs, *message.outputs):
        _check_complete(part)
    contents = message.raw_input_contents
    if contents and len(contents) != len(message.inputs):
        raise RefusedError(
            Code.MALFORMED_BODY,
            "request: raw_input_contents are not as many as inputs. Send it with a client of the "
            "protocol.",
        )
    return InferRequest(
        message.model_name,
        message.model_version,
        message.id,
        _values(message.parameters),
        [
            InputTensor(
                tensor.name,
                tensor.datatype,
                list(tensor.shape),
                _values(tensor.parameters),
                contents[index] if contents else None,
                list(tensor.contents.bytes_contents),
            )
            for index, tensor in enumerate(message.inputs)
        ],
        [RequestedOutput(output.name, _values(output.parameters)) for output in message.outputs],
    )


def infer_response(request: InferRequest, outcomes: Sequence[Outcome]) -> bytes:
    """A serialised ModelInferResponse with the tensors of each image, as Triton made them."""
    rows = rows_of(outcomes)
    response = service_pb2.ModelInferResponse(
        model_name=request.model, model_version=rows[0].model_version, id=request.id
    )
    for name, value in account_of(outcomes).items():
        response.parameters[name].string_param = value
    for name, tensor in answer(request, rows).items():
        response.outputs.add(name=name, datatype=tensor.datatype, shape=tensor.shape)
        response.raw_output_contents.append(tensor.data)
    return serialise(response)


def _check_complete(message: Message) -> None:
    """Refuses a message of which protobuf left out a field, because it has another type.

    A parameter that was left out would be answered with its default. Fields of other numbers are
    those of a later protocol, and are passed over as usual.

    Raises:
        RefusedError: with `malformed_body`.
    """
    known, unread = message.DESCRIPTOR.fields_by_number, UnknownFieldSet(message)
    if any(unread[index].field_number in known for index in range(len(unread))):
        raise RefusedError(
            Code.MALFORMED_BODY,
            "request: a field has another type than the protocol says. Send it with a client of "
            "the protocol.",
        )


def _values(parameters: Message) -> Mapping[str, Value]:
    values: dict[str, Value] = {}
    for name, parameter in parameters.items():
        choice = parameter.WhichOneof("parameter_choice")
        values[name] = None if choice is None else getattr(parameter, choice)
    return values
