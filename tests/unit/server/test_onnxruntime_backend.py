"""The stand-in for the native ONNX Runtime backend refuses what that one refuses, in its words."""

import json

import numpy as np
import onnx
import pytest

from server.backends.onnxruntime.model import TritonPythonModel
from tests.unit.server.python_backend import Received, TritonModelException, answer

pytestmark = pytest.mark.usefixtures("triton")

HEAD = '<ir_version: 8, opset_import: ["": 17]> tiny '
PAIRS = HEAD + (
    "(uint8[N, 2] INPUT__0) => (float[N, 3, 2] pairs, float[N, 2] extra) {"
    "extra = Cast <to = 1> (INPUT__0)\n one = Constant <value_ints = [1]> ()\n"
    "row = Unsqueeze (extra, one)\n pairs = Concat <axis = 1> (row, row, row)}"
)
FIXED = PAIRS.replace("[N", "[4")
TWO = HEAD + (
    "(uint8[N, 2] INPUT__0, uint8[N, 2] mask) => (float[N, 2] pairs) {"
    "both = Add (INPUT__0, mask)\n pairs = Cast <to = 1> (both)}"
)
SEQUENCE = HEAD + (
    "(uint8[N, 2] INPUT__0) => (seq(uint8[N, 2]) pairs) {pairs = SequenceConstruct (INPUT__0)}"
)


def config(**changes):
    return {
        "max_batch_size": 4,
        "input": [{"name": "INPUT__0", "data_type": "TYPE_UINT8", "dims": [2]}],
        "output": [{"name": "pairs", "data_type": "TYPE_FP32", "dims": [3, 2]}],
        "instance_group": [{"count": 1}],
        "default_model_filename": "",
        "parameters": {},
    } | changes


def opened(folder, said, graph=PAIRS):
    (folder / "1").mkdir(exist_ok=True)
    onnx.save(onnx.parser.parse_model(graph), folder / "1" / "model.onnx")
    model = TritonPythonModel()
    args = {"model_name": "tiny", "model_repository": str(folder), "model_version": "1"}
    kind = {"model_instance_kind": "CPU", "model_instance_device_id": "0"}
    model.initialize(args | kind | {"model_config": json.dumps(said)})
    return model


def parameter(name, value):
    return {"parameters": {name: {"string_value": value}}}


def given(**changes):
    return {"input": [config()["input"][0] | changes]}


def made(**changes):
    return {"output": [config()["output"][0] | changes]}


def test_what_fits_is_served_and_outputs_that_the_config_does_not_name_are_left_alone(tmp_path):
    model = opened(tmp_path, config())
    pixels = np.arange(4, dtype=np.uint8).reshape(2, 2)
    responses = model.execute([Received({"INPUT__0": pixels[:1]}), Received({"INPUT__0": pixels})])
    first, second = map(answer, responses)
    assert list(first) == ["pairs"]
    np.testing.assert_array_equal(second["pairs"], np.repeat(pixels[:, None], 3, axis=1))
    np.testing.assert_array_equal(first["pairs"], second["pairs"][:1])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            made(dims=[-1, 2]),
            (
                "model 'tiny', tensor 'pairs': the model expects 3 dimensions (shape [-1,3,2]) "
                "but the model configuration specifies 3 dimensions (an initial batch dimension "
                "because "
                "max_batch_size > 0 followed by the explicit tensor shape, making complete shape "
                "[-1,-1,2])"
            ),
        ),
        (made(dims=[3]), "specifies 2 dimensions"),
        (made(dims=[3, 4]), "making complete shape [-1,3,4]"),
        (given(dims=[3]), "tensor 'INPUT__0': the model expects 2 dimensions (shape [-1,2])"),
        (given(dims=[-1]), "making complete shape [-1,-1]"),
        (
            {"max_batch_size": 0},
            "(shape [-1,2]) but the model configuration specifies 1 dimensions (shape [2])",
        ),
        (
            made(data_type="TYPE_FP16"),
            "configuration expects datatype TYPE_FP16 for output 'pairs', model provides TYPE_FP32",
        ),
        (
            given(data_type="TYPE_INT8"),
            (
                "configuration expects datatype TYPE_INT8 for input 'INPUT__0', model provides "
                "TYPE_UINT8"
            ),
        ),
        (
            made(data_type="TYPE_BF16"),
            "unsupported datatype TYPE_BF16 for output 'pairs' for model 'tiny'",
        ),
        (
            made(name="boxes"),
            "unexpected inference output 'boxes', allowed outputs are: extra, pairs",
        ),
        (given(name="x"), "unexpected inference input 'x', allowed inputs are: INPUT__0"),
        (given(optional=True), "doesn't support optional input"),
        (given(reshape={"shape": [2]}), "reshape is not for this project's backends"),
        (parameter("intra_op_thread_count", "two"), "failed to convert 'two' to integral number"),
        (parameter("inter_op_thread_count", ""), "failed to convert '' to integral number"),
        (parameter("execution_mode", "2"), "execution_mode are 0 or 1 but got 2"),
        (parameter("enable_mem_arena", "yes"), "failed to convert 'yes' to boolean"),
        (
            parameter("cudnn_conv_algo_search", "3"),
            "unsupported cudnn_conv_algo_search value '3' is requested",
        ),
        ({"default_model_filename": "other.onnx"}, "failed to stat file "),
        (
            {
                "optimization": {
                    "execution_accelerators": {"cpu_execution_accelerator": [{"name": "xnn"}]}
                }
            },
            "unknown Execution Accelerator 'xnn' is requested",
        ),
    ],
)
def test_what_the_native_backend_refuses_is_refused_in_its_words(tmp_path, changes, words):
    with pytest.raises(TritonModelException) as refused:
        opened(tmp_path, config(**changes))
    assert words in str(refused.value)


def test_openvino_does_not_change_what_is_refused(tmp_path):
    accelerated = {"execution_accelerators": {"cpu_execution_accelerator": [{"name": "openvino"}]}}
    said = config(**made(dims=[-1, 2]), **parameter("tolerance", "1e-4"), optimization=accelerated)
    with pytest.raises(TritonModelException, match=r"making complete shape \[-1,-1,2\]"):
        opened(tmp_path, said)


def test_what_fits_is_served_by_openvino_too(tmp_path):
    graph = HEAD + (
        "(uint8[N, 4, 4, 3] INPUT__0) => (float[N, 3] means) {"
        "pixels = Cast <to = 1> (INPUT__0)\n"
        "means = ReduceMean <axes = [1, 2], keepdims = 0> (pixels)}"
    )
    accelerated = {"execution_accelerators": {"cpu_execution_accelerator": [{"name": "openvino"}]}}
    said = config(
        **given(dims=[4, 4, 3]),
        **made(name="means", dims=[3]),
        **parameter("tolerance", "1e-3"),
        optimization=accelerated,
    )
    pixels = np.arange(96, dtype=np.uint8).reshape(2, 4, 4, 3)
    (response,) = opened(tmp_path, said, graph).execute([Received({"INPUT__0": pixels})])
    np.testing.assert_allclose(answer(response)["means"], pixels.mean(axis=(1, 2)), atol=1e-3)


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (
            FIXED,
            (
                "model 'tiny', tensor 'INPUT__0': for the model to support batching the shape "
                "should have at least 1 dimension and the first dimension must be -1; but shape "
                "expected by the model is [4,2]"
            ),
        ),
        (TWO, "unable to load model 'tiny', configuration expects 1 inputs, model provides 2"),
        (SEQUENCE, "Unsupported ONNX Type 'ONNX_TYPE_SEQUENCE' for I/O 'pairs'"),
    ],
)
def test_an_artefact_of_another_form_is_refused(tmp_path, graph, words):
    with pytest.raises(TritonModelException) as refused:
        opened(tmp_path, config(), graph)
    assert words in str(refused.value)


@pytest.mark.parametrize("threads", ["-1", "0", "+1", " 1"])
def test_numbers_are_read_as_the_native_backend_reads_them(tmp_path, threads):
    assert opened(tmp_path, config(**parameter("intra_op_thread_count", threads)))


def test_accelerators_for_a_gpu_are_no_concern_of_a_cpu(tmp_path):
    groups = {"execution_accelerators": {"gpu_execution_accelerator": [{"name": "openvino"}]}}
    opened(tmp_path, config(optimization=groups))


def test_an_unknown_level_of_graph_optimization_is_all_of_it(tmp_path):
    opened(tmp_path, config(optimization={"graph": {"level": 3}}))
