"""The stand-in for the native PyTorch backend refuses what that one refuses, in its words."""

import json

import numpy as np
import pytest
import torch

from export.quiet import quiet
from server.backends.pytorch.model import TritonPythonModel
from tests.unit.server.python_backend import Received, TritonModelException, answer

pytestmark = pytest.mark.usefixtures("triton")


class Pair(torch.nn.Module):
    def forward(self, pixels: torch.Tensor):
        return pixels.float(), pixels.long() * 2


class Difference(torch.nn.Module):
    def forward(self, first: torch.Tensor, second: torch.Tensor):
        return first.float() - second.float()


class Listed(torch.nn.Module):
    def forward(self, pixels: torch.Tensor):
        return [pixels.float()]


class Scalar(torch.nn.Module):
    def forward(self, pixels: torch.Tensor):
        return pixels.float().sum()


class Counted(torch.nn.Module):
    def forward(self, pixels: torch.Tensor, times: int):
        return pixels.float() * times


def tensor(name, data_type):
    return {"name": name, "data_type": data_type, "dims": [2]}


def opened(folder, module, inputs, outputs, *, training=False, **changes):
    (folder / "1").mkdir(exist_ok=True)
    with quiet():
        torch.jit.save(torch.jit.script(module.train(training)), folder / "1" / "model.pt")
    config = {
        "max_batch_size": 4,
        "input": [tensor(name, "TYPE_UINT8") for name in inputs],
        "output": [tensor(name, data_type) for name, data_type in outputs.items()],
        "instance_group": [{"count": 1}],
        "default_model_filename": "model.pt",
        "parameters": {},
    } | changes
    model = TritonPythonModel()
    args = {"model_name": "tiny", "model_repository": str(folder), "model_version": "1"}
    kind = {"model_instance_kind": "CPU", "model_instance_device_id": "0"}
    with quiet():
        model.initialize(args | kind | {"model_config": json.dumps(config)})
    return model


def asked(model, **inputs):
    (response,) = model.execute([Received(inputs)])
    return response


ROWS = np.array([[1, 2], [3, 4]], np.uint8)
ONE, FP32 = ["INPUT__0"], {"OUTPUT__0": "TYPE_FP32"}


def test_an_output_is_the_one_that_its_index_says(tmp_path):
    model = opened(tmp_path, Pair(), ONE, {"OUTPUT__1": "TYPE_INT64", "OUTPUT__0": "TYPE_FP32"})
    found = answer(asked(model, INPUT__0=ROWS))
    np.testing.assert_array_equal(found["OUTPUT__1"], ROWS * 2)
    np.testing.assert_array_equal(found["OUTPUT__0"], ROWS)
    only = opened(tmp_path, Pair(), ONE, {"OUTPUT__1": "TYPE_INT64"})
    assert list(answer(asked(only, INPUT__0=ROWS))) == ["OUTPUT__1"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("first", "second"), ("a__0", "b__1"), ("a", "b")],
    ids=["arguments", "indices", "order"],
)
@pytest.mark.parametrize("turned", [False, True])
def test_inputs_go_to_arguments_by_name_by_index_or_in_order(tmp_path, one, other, turned):
    names = [other, one] if turned else [one, other]
    model = opened(tmp_path, Difference(), names, FP32)
    found = answer(asked(model, **{one: ROWS, other: ROWS * 2}))["OUTPUT__0"]
    swapped = turned and (one, other) == ("a", "b")
    np.testing.assert_array_equal(found, ROWS.astype(float) * (1 if swapped else -1))


@pytest.mark.parametrize(
    ("module", "inputs", "outputs", "words"),
    [
        (Pair(), ["a", "b"], FP32, "configuration expects 2 inputs, model provides 1"),
        (Pair(), ["INPUT__1"], FP32, "its inputs are arguments [1] of 1: number them from 0"),
        (Difference(), ["a__0", "b__0"], FP32, "its inputs are arguments [0, 0] of 2"),
        (Counted(), ["a__0", "b__1"], FP32, "An input of type 'int' was detected"),
        (Pair(), [], FP32, "configuration expects 0 inputs, model provides 1"),
        (Pair(), ONE, {}, "must contain at least one output, none were specified"),
        (Pair(), ONE, {"OUTPUT__0": "TYPE_UINT32"}, "unsupported datatype TYPE_UINT32 for output"),
    ],
)
def test_what_the_native_backend_refuses_is_refused_in_its_words(
    tmp_path, module, inputs, outputs, words
):
    with pytest.raises(TritonModelException) as refused:
        opened(tmp_path, module, inputs, outputs)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("INTRA_OP_THREAD_COUNT", "many", "failed to convert 'many' to integral number"),
        ("INTER_OP_THREAD_COUNT", "", "failed to convert '' to integral number"),
        ("DISABLE_OPTIMIZED_EXECUTION", "no", "failed to convert 'no' to boolean"),
        ("INFERENCE_MODE", "2", "failed to convert '2' to boolean"),
    ],
)
def test_a_parameter_that_cannot_be_read_is_refused(tmp_path, name, value, words):
    with pytest.raises(TritonModelException) as refused:
        opened(tmp_path, Pair(), ONE, FP32, parameters={name: {"string_value": value}})
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("module", "outputs", "words"),
    [
        (Pair(), {"OUTPUT__2": "TYPE_FP32"}, "This model has 2 outputs"),
        (
            Pair(),
            {"OUTPUT__0": "TYPE_FP16"},
            (
                "configuration expects datatype TYPE_FP16 for output 'OUTPUT__0', model provides "
                "TYPE_FP32"
            ),
        ),
        (Listed(), FP32, "It should not be a List / Dictionary of Tensors or a Scalar"),
        (Scalar(), FP32, "output 'OUTPUT__0' is a scalar which is not supported."),
    ],
)
def test_a_pass_that_answers_otherwise_than_the_config_says_fails(tmp_path, module, outputs, words):
    response = asked(opened(tmp_path, module, ONE, outputs), INPUT__0=ROWS)
    assert words in response.error().message()


def test_a_module_in_training_mode_is_refused_as_its_answers_would_be_random(tmp_path):
    with pytest.raises(TritonModelException, match="in training mode: call eval"):
        opened(tmp_path, Pair(), ONE, FP32, training=True)
