"""KServe's protocol over HTTP: JSON requests and responses, with tensors in JSON or behind it.

An image in JSON is base64. Of a response in JSON, numbers that are not finite are null, and the
picture of `visualization` is base64.
"""

import base64
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from starlette.responses import Response

from gateway.errors import Code, RefusedError
from gateway.http.json_reader import JsonReader
from gateway.kserve.inference import account_of, answer, rows_of
from gateway.kserve.request import BINARY_SIZE, InferRequest, InputTensor, RequestedOutput, Value
from gateway.telemetry.recorder import Outcome
from gateway.triton.outputs import BYTES, Outputs, Tensor, invalid_model_output
from pipelines.protocol import Detected
from pipelines.spec import PipelineSpec

HEADER_LENGTH = "inference-header-content-length"
"""Header that says how long the JSON object is, where tensors follow it."""
WRAPPING = 64 * 1024
"""Bytes that JSON around images may have."""
_OBJECTS = 1024
"""Objects in the JSON of a request, at most: tensors and parameters are few."""
_DIGITS = 10


class _Closed(BaseModel):
    # A key written wrongly would be passed over, and its default answered.
    model_config = ConfigDict(extra="forbid", strict=True)


class _Input(_Closed):
    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, JsonValue] | None = None
    data: list[str | list[str]] | None = None


class _Output(_Closed):
    name: str
    parameters: dict[str, JsonValue] | None = None


class _Request(_Closed):
    id: str = ""
    # KServe's client sends these, which the path says too.
    model_name: str | None = None
    model_version: str | None = None
    parameters: dict[str, JsonValue] | None = None
    inputs: list[_Input]
    outputs: list[_Output] | None = None


class InferBody:
    """The body of a request: the JSON object, and the tensors that follow it."""

    def __init__(self, length: str | None, spec: PipelineSpec) -> None:
        """Sets the limits.

        Args:
            length: the header `Inference-Header-Content-Length`, if there is one.
            spec: says how many images a request may have, and how large they may be.

        Raises:
            RefusedError: the header is no size of a JSON object.
        """
        self._object = JsonReader(spec.serving.max_batch, spec.limits.bytes, _OBJECTS)
        self._missing = None if length is None else _size(length)
        """Bytes of the object that have not come yet; None where tensors do not follow it."""
        self._tensors = bytearray()

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes.

        Raises:
            RefusedError: the object is not JSON, or has more in it than a request needs.
        """
        if self._missing is None:
            self._object.feed(chunk)
            return
        if self._missing:
            self._object.feed(chunk[: self._missing])
        self._tensors += memoryview(chunk)[self._missing :]
        self._missing = max(0, self._missing - len(chunk))

    def request(self, model: str, version: str) -> InferRequest:
        """The request.

        Args:
            model: the path's model.
            version: the path's version, or "".

        Raises:
            RefusedError: the body is no request of the protocol, or of another model than the
                path.
        """
        if self._missing:
            raise _wrong_length()
        parsed = _parsed(self._object.close())
        said = parsed.model_version or version
        if parsed.model_name not in {None, model} or (version and said != version):
            raise RefusedError(
                Code.PARAMETER_INVALID,
                "model_name: the body names another model or version than the path. Send one of "
                "them.",
            )
        inputs = self._inputs(parsed.inputs)
        self._object.check_texts()
        outputs = [
            RequestedOutput(out.name, _values(out.parameters)) for out in parsed.outputs or ()
        ]
        parameters = _values(parsed.parameters)
        return InferRequest(model, said, parsed.id, parameters, inputs, outputs)

    def _inputs(self, tensors: Sequence[_Input]) -> list[InputTensor]:
        view, start = memoryview(self._tensors), 0
        inputs = []
        for tensor in tensors:
            parameters = _values(tensor.parameters)
            raw: memoryview | None = None
            typed: list[bytes] = []
            if BINARY_SIZE in parameters and tensor.data is None:
                count = parameters[BINARY_SIZE]
                end = start + count if isinstance(count, int) and count >= 0 else start
                raw, start = view[start:end], end
            else:
                typed = [
                    self._object.image(text, f"inputs: element {index}")
                    for index, text in _texts(tensor.data)
                ]
            inputs.append(
                InputTensor(tensor.name, tensor.datatype, tensor.shape, parameters, raw, typed)
            )
        if start != len(view):
            raise _malformed("its tensors are not as long as their binary_data_size says")
        return inputs


def infer_response(request: InferRequest, outcomes: Sequence[Outcome]) -> Response:
    """The response with the tensors of each image, as Triton made them."""
    rows = rows_of(outcomes)
    binary = {output.name: output.binary(request.binary_output) for output in request.outputs}
    outputs, following = [], []
    for name, tensor in answer(request, rows).items():
        described: dict[str, Any] = {
            "name": name,
            "datatype": tensor.datatype,
            "shape": tensor.shape,
        }
        if binary.get(name, request.binary_output):
            described["parameters"] = {BINARY_SIZE: len(tensor.data)}
            following.append(tensor.data)
        else:
            described["data"] = _json_data(name, tensor)
            if name == Detected.VISUALIZATION:
                described["parameters"] = {"content_type": "base64"}
        outputs.append(described)
    content = {
        "model_name": request.model,
        "model_version": rows[0].model_version,
        **({"id": request.id} if request.id else {}),
        "parameters": account_of(outcomes),
        "outputs": outputs,
    }
    header = json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
    if not following:
        return Response(header, media_type="application/json")
    return Response(
        b"".join((header, *following)),
        headers={HEADER_LENGTH: str(len(header))},
        media_type="application/octet-stream",
    )


def _size(length: str) -> int:
    size = int(length) if length.isascii() and length.isdigit() and len(length) < _DIGITS else -1
    if not 0 <= size <= WRAPPING:
        raise _wrong_length()
    return size


def _wrong_length() -> RefusedError:
    return _malformed(
        f"Inference-Header-Content-Length must be the size of the JSON object, {WRAPPING} at most"
    )


def _parsed(content: bytes) -> _Request:
    try:
        return _Request.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        raise _malformed("it is not valid JSON, with tensors behind it where the header says so")
    # What the caller wrote is not repeated.
    steps = [str(step) for step in first["loc"] if isinstance(step, int) or step in _FIELDS]
    what = {"missing": "missing", "extra_forbidden": "a key that is not known"}
    where = ".".join(steps) or "body"
    raise _malformed(f"{where}: {what.get(first['type'], 'of another type, or an unknown form')}")


_FIELDS = {*_Request.model_fields, *_Input.model_fields}


def _malformed(problem: str) -> RefusedError:
    return RefusedError(
        Code.MALFORMED_BODY,
        f"body: it is no inference request of KServe's protocol: {problem}. Send it with a client "
        "of the protocol.",
    )


def _values(parameters: Mapping[str, JsonValue] | None) -> dict[str, Value]:
    return {
        name: value if isinstance(value, str | int | float | bool) else None
        for name, value in (parameters or {}).items()
    }


def _texts(data: list[str | list[str]] | None) -> list[tuple[int, str]]:
    """The elements of a tensor in JSON, which may be nested as its shape is."""
    flat: list[str] = []
    for entry in data or ():
        flat += [entry] if isinstance(entry, str) else entry
    return list(enumerate(flat))


def _json_data(name: str, tensor: Tensor) -> list[Any]:
    outputs = Outputs({name: tensor})
    if tensor.datatype == "FP32":
        numbers = outputs.floats(name)
        return [number if math.isfinite(number) else None for number in numbers]
    if tensor.datatype == BYTES:
        elements = outputs.strings(name)
        if name == Detected.VISUALIZATION:
            return [base64.b64encode(element).decode("ascii") for element in elements]
        return [element.decode("utf-8") for element in elements]
    if tensor.datatype == "INT32":
        return list(outputs.ints(name))
    raise invalid_model_output()
