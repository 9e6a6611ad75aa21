import io

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from lab.bench.ensemble import Detector, Ensemble, opened
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


def test_a_classification_is_opened_by_its_task_and_answers_photo_by_photo(plan):
    model = opened(plan, threads=1)
    assert isinstance(model, Ensemble)
    found = model.run([np.zeros((2, 2, 3), np.uint8)] * 2)
    assert [model.numbers(row) for row in found] == [pytest.approx([0.375, 0.625])] * 2


def finder(path, shape, *, boxes, scores, classes, masks=None):
    """A detector that finds the same in each image; with a batch where `shape` has one."""
    batched = len(shape) == 4
    outputs = {"boxes": boxes, "scores": scores, "classes": classes}
    if masks is not None:
        outputs["masks"] = masks
    arrays = {name: np.array(value) for name, value in outputs.items()}
    kinds = dict.fromkeys(arrays, np.float32) | {"classes": np.int64}
    tensors = [
        onnx.numpy_helper.from_array((array[None] if batched else array).astype(kinds[name]), name)
        for name, array in arrays.items()
    ]
    nodes = [helper.make_node("Identity", [name], [f"{name}_"]) for name in arrays]
    # The pixels must be used for the graph to have an input.
    nodes.append(helper.make_node("Shape", ["INPUT__0"], ["size"]))
    values = [
        helper.make_tensor_value_info(
            f"{name}_", helper.np_dtype_to_tensor_dtype(np.dtype(kinds[name])), None
        )
        for name in arrays
    ]
    for node, value, name in zip(nodes, values, arrays, strict=False):
        node.output[0] = value.name = name
        node.input[0] = f"{name}_constant"
    for tensor in tensors:
        tensor.name += "_constant"
    values.append(helper.make_tensor_value_info("size", TensorProto.INT64, None))
    pixels = helper.make_tensor_value_info("INPUT__0", TensorProto.UINT8, shape)
    graph = helper.make_graph(nodes, "finder", [pixels], values, tensors)
    opsets = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return Member(str(path), 1.0)


def photo(width, height):
    data = io.BytesIO()
    Image.new("RGB", (width, height), "grey").save(data, "JPEG")
    return data.getvalue()


def test_a_detector_answers_boxes_of_the_photo_from_the_threshold_on(tmp_path):
    """Of a photo of 832 x 416 the letterbox halves each side, with 104 pixels above and below."""
    member = finder(
        tmp_path / "yolos.onnx",
        ["n", 416, 416, 3],
        boxes=[[0, 104, 104, 208], [10, 110, 20, 120], [208, 104, 416, 312]],
        scores=[0.6, 0.4, 0.9],
        classes=[1, 0, 3],
    )
    model = opened(Plan((member,), load_spec("object_detection").model_dump(mode="json")), 1)
    assert isinstance(model, Detector)
    (found,) = model.run([model.decode(photo(832, 416))])
    answer = model.answer(found)
    assert answer["image"] == {"width": 832, "height": 416}
    assert [each["class"] for each in answer["predictions"]] == ["star", "square"]
    assert answer["predictions"][1]["box"] == [0, 0, 208, 208]
    assert answer["predictions"][1]["area"] == 208 * 208
    assert "mask" not in answer["predictions"][0]
    # How many, scores, and corners as shares of the sides.
    assert model.numbers(found) == pytest.approx([2, 0.9, 0.6, 0.5, 0, 1, 1, 0, 0, 0.25, 0.5])


def test_a_segmentation_answers_masks_and_takes_a_photo_without_a_batch(tmp_path):
    member = finder(
        tmp_path / "rcnn.onnx",
        ["h", "w", 3],
        boxes=[[10, 10, 50, 50]],
        scores=[0.8],
        classes=[2],
        masks=np.ones((1, 28, 28)),
    )
    model = opened(Plan((member,), load_spec("cervical_lesions").model_dump(mode="json")), 1)
    (found,) = model.run([model.decode(photo(64, 64))])
    (one,) = model.answer(found)["predictions"]
    assert (one["class"], one["mask"]["size"]) == ("mosaic", [64, 64])
    assert one["area"] == pytest.approx(40 * 40, rel=0.1)


def test_a_photo_in_which_nothing_is_found_has_numbers_too(tmp_path):
    member = finder(
        tmp_path / "y.onnx", ["n", 416, 416, 3], boxes=[[0, 0, 9, 9]], scores=[0.1], classes=[0]
    )
    model = opened(Plan((member,), load_spec("object_detection").model_dump(mode="json")), 1)
    (found,) = model.run([model.decode(photo(64, 64))])
    assert (model.answer(found)["predictions"], model.numbers(found)) == ([], [0.0])
