"""ONNX compiled by OpenVINO: a real OpenVINO beside a real ONNX Runtime."""

import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from server.backends.openvino_engine import (
    OpenVinoEngine,
    OpenVinoError,
    open_engine,
    openvino,
    require_agreement,
)

SIDE, CLASSES = 16, 3
FEATURES = 8
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def artefact(tmp_path_factory):
    """A convolution and a matrix over UINT8 pixels [N, 16, 16, 3], with random weights."""
    random = np.random.default_rng(1)
    weights = {
        "kernel": random.normal(size=(FEATURES, 3, 3, 3)).astype(np.float32) / 255,
        "matrix": random.normal(size=(FEATURES, CLASSES)).astype(np.float32),
        "axes": np.array([2, 3], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["INPUT__0"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "kernel"], ["maps"]),
        helper.make_node("Relu", ["maps"], ["active"]),
        helper.make_node("ReduceMean", ["active", "axes"], ["OUTPUT__1"], keepdims=0),
        helper.make_node("MatMul", ["OUTPUT__1", "matrix"], ["OUTPUT__0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("INPUT__0", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])],
        [
            helper.make_tensor_value_info("OUTPUT__0", TensorProto.FLOAT, ["batch", CLASSES]),
            helper.make_tensor_value_info("OUTPUT__1", TensorProto.FLOAT, ["batch", FEATURES]),
        ],
        [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    path = tmp_path_factory.mktemp("small") / "1" / "model.onnx"
    path.parent.mkdir()
    opsets = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


def images(count):
    shape = (count, SIDE, SIDE, 3)
    return np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)


def expected(artefact, pixels, outputs=("OUTPUT__0",)):
    session = onnxruntime.InferenceSession(artefact, providers=["CPUExecutionProvider"])
    return session.run(outputs, {"INPUT__0": pixels})


@pytest.mark.parametrize("count", [1, 2, 5])
def test_it_answers_batches_of_any_size_as_onnx_runtime_does(artefact, count):
    engine = open_engine(artefact, TOLERANCE, threads=1)
    (found,) = engine.run(["OUTPUT__0"], {"INPUT__0": images(count)})
    assert found.shape == (count, CLASSES)
    assert found.dtype == np.float32
    assert found == pytest.approx(expected(artefact, images(count))[0], abs=TOLERANCE)


def test_an_answer_stays_as_it_is_when_the_next_one_comes(artefact):
    engine = OpenVinoEngine(artefact, threads=1)
    first, second = images(2)[:1], images(2)[1:]
    (before,) = engine.run(["OUTPUT__0"], {"INPUT__0": first})
    kept = before.copy()
    engine.run(["OUTPUT__0"], {"INPUT__0": second})
    assert (before == kept).all()


class Bent:
    """Answers as ONNX Runtime does, but for one number."""

    def __init__(self, artefact, by, output="OUTPUT__0"):
        self._artefact, self._by, self._output = artefact, by, output

    def run(self, outputs, feed):
        found = expected(self._artefact, feed["INPUT__0"], outputs)
        found[list(outputs).index(self._output)][-1, -1] += self._by
        return found


@pytest.mark.parametrize("output", ["OUTPUT__0", "OUTPUT__1"])
@pytest.mark.parametrize("by", [1e-3, -1e-3, np.nan, np.inf])
def test_what_answers_otherwise_is_refused_with_the_remedy(artefact, by, output):
    with pytest.raises(OpenVinoError, match="leave `acceleration: openvino` out"):
        require_agreement(Bent(artefact, by, output), artefact, TOLERANCE)


def test_what_differs_within_the_tolerance_is_taken(artefact):
    require_agreement(Bent(artefact, TOLERANCE / 2), artefact, TOLERANCE)


def test_the_probe_shows_different_images(artefact):
    """Images that all look alike would hide a kernel that goes wrong on others."""
    seen = []

    class Watching(Bent):
        def run(self, outputs, feed):
            seen.append(feed["INPUT__0"])
            return super().run(outputs, feed)

    require_agreement(Watching(artefact, 0), artefact, TOLERANCE)
    (pixels,) = seen
    assert pixels.dtype == np.uint8
    assert (pixels.min(axis=(1, 2, 3)) < 10).all()
    assert (pixels.max(axis=(1, 2, 3)) > 245).all()
    assert len({image.tobytes() for image in pixels}) == len(pixels)


def test_it_computes_in_fp32_on_every_cpu(artefact, monkeypatch):
    asked = []
    compile_model = openvino.Core.compile_model

    def watched(core, model, device, properties):
        compiled = compile_model(core, model, device, properties)
        asked.append(compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())
        return compiled

    monkeypatch.setattr(openvino.Core, "compile_model", watched)
    OpenVinoEngine(artefact, threads=1)
    assert asked == ["f32"]


def test_it_reports_its_use_to_nobody(tmp_path):
    """By default OpenVINO does, and keeps count in the user's home."""
    code = """
import socket, sys
def refuse(*_):
    raise SystemExit("it opened a connection")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import server.backends.openvino_engine
assert sys.modules["openvino_telemetry"] is None
from openvino.tools.ovc import telemetry_utils
assert telemetry_utils.tm.__name__ == "openvino.tools.ovc.telemetry_stub"
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"HOME": str(tmp_path), "PYTHONPATH": ":".join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "intel").exists()
