import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from lab.bench.ensemble import Ensemble
from lab.bench.plan import VARIABLE, Member, Plan
from pipelines.load import load_spec


def constant(path, logits):
    """A model that gives each image the same logits."""
    pixels = helper.make_tensor_value_info("INPUT__0", TensorProto.UINT8, ["n", 2, 2, 3])
    output = helper.make_tensor_value_info("OUTPUT__0", TensorProto.FLOAT, ["n", 2])
    nodes = [
        helper.make_node("Cast", ["INPUT__0"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Unsqueeze", ["nothing", "one"], ["column"]),
        helper.make_node("Add", ["column", "logits"], ["OUTPUT__0"]),
    ]
    constants = {
        "axes": np.array([1, 2, 3], np.int64),
        "zero": np.zeros(1, np.float32),
        "one": np.array([1], np.int64),
        "logits": np.array([logits], np.float32),
    }
    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "constant", [pixels], [output], tensors)
    opsets = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return str(path)


@pytest.fixture
def plan(tmp_path):
    certain, undecided = (
        constant(tmp_path / "a.onnx", [0, 50]),
        constant(tmp_path / "b.onnx", [3, 3]),
    )
    members = (Member(certain, 0.2), Member(undecided, 0.6))
    return Plan(members, load_spec("oral_cancer").model_dump(mode="json"))


def test_probabilities_are_the_weighted_mean_of_softmaxes(plan):
    pixels = np.zeros((2, 2, 3), np.uint8)
    found = Ensemble(plan, threads=1).probabilities([pixels] * 3)
    # Weights 1/4 and 3/4 of [0, 1] and [1/2, 1/2].
    assert found == pytest.approx(np.array([[0.375, 0.625]] * 3), abs=1e-6)


def test_an_answer_names_the_classes(plan):
    answer = Ensemble(plan, threads=1).answer(np.array([0.25, 0.75], np.float32))
    assert answer == {"probabilities": {"healthy": 0.25, "cancer": 0.75}}


def test_a_plan_is_read_as_it_was_written(plan, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(plan.write(tmp_path / "plans" / "plan.json")))
    assert Plan.of_environment() == plan
