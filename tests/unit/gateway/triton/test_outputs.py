import pytest

from gateway.errors import Code, RefusedError
from gateway.triton.outputs import Outputs, Tensor
from tests.unit.gateway.toy_answers import encoded


def test_elements_of_a_bytes_tensor_come_apart_as_they_were_put_together():
    elements = [b"one", b"", b"\x00\x01\x00\x00\x00"]
    assert Outputs({"x": Tensor(encoded(elements))}).strings("x", 3) == elements
    assert Outputs({"x": Tensor(b"")}).strings("x") == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda outputs: outputs.floats("absent"),
        lambda outputs: outputs.floats("five bytes"),
        lambda outputs: outputs.ints("eight bytes", 1),
        lambda outputs: outputs.strings("five bytes"),
        lambda outputs: outputs.strings("eight bytes"),
        lambda outputs: outputs.text("no text"),
    ],
)
def test_what_is_not_there_or_of_another_type_is_refused(ask):
    raw = {
        "five bytes": encoded([b""]) + b"\x00",
        "eight bytes": encoded([b"longer than 8 bytes"])[:8],
        "no text": encoded([b"\xff"]),
    }
    with pytest.raises(RefusedError) as caught:
        ask(Outputs({name: Tensor(data) for name, data in raw.items()}))
    assert caught.value.code is Code.MODEL_OUTPUT
