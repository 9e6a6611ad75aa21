import struct

import pytest
from tritonclient.grpc import service_pb2

from gateway.errors import RefusedError
from gateway.grpc.infer_messages import infer_request
from tests.unit.gateway.samples import JPEG, PNG
from tests.unit.gateway.toy_triton import SPEC


def request(count, raw=(), typed=()):
    message = service_pb2.ModelInferRequest(model_name="oral_cancer", raw_input_contents=raw)
    message.inputs.add(name="image", datatype="BYTES", shape=(count, 1))
    message.inputs[0].contents.bytes_contents.extend(typed)
    return infer_request(message.SerializeToString())


def packed(*elements):
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


@pytest.mark.parametrize("sent", [{"raw": [packed(JPEG, PNG)]}, {"typed": [JPEG, PNG]}])
def test_images_come_raw_or_typed(sent):
    images = request(2, **sent).take_images(SPEC)
    assert [(image.data, image.where) for image in images] == [(JPEG, "image 0"), (PNG, "image 1")]


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"raw": [b""]},
        {"raw": [JPEG]},
        {"raw": [packed(JPEG)[:-1]]},
        {"raw": [packed(JPEG) + b"\0\0"]},
        {"raw": [packed(JPEG, JPEG)]},
        {"raw": [packed(JPEG), packed(JPEG)]},
        {"raw": [packed(JPEG)], "typed": [JPEG]},
        {"typed": [JPEG, JPEG]},
        {"raw": [struct.pack("<I", 2**32 - 1) + JPEG]},
    ],
)
def test_bytes_of_another_form_are_refused(sent):
    with pytest.raises(RefusedError, match="malformed_body"):
        request(1, **sent).take_images(SPEC)
