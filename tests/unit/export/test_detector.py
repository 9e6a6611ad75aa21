"""The parity gate of detectors."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from export.architectures import UnknownArchitectureError
from export.checkpoint import Loaded
from export.detector import Detector, open_detector, parity
from export.errors import ParityError
from export.read_options import Weights
from pipelines.load import load_spec
from pipelines.manifest import ClassOrder, OrderKnownFrom
from pipelines.protocol import MEMBER_INPUT, DetectorOutput

SPEC = load_spec("cervical_lesions")
ORDER = ClassOrder(known_from=OrderKnownFrom.USER, place=None, trained=SPEC.classes)
LOADED = Loaded(Weights.RAW, "", ())
BATCHED = load_spec("object_detection")
PHOTO = np.zeros((4, 5, 3), np.uint8)
BOXES = [[0, 0, 9, 9], [3, 3, 6, 6], [1, 2, 3, 4]]
SCORES = [0.9, 0.8, 0.7]
CLASSES = [0, 1, 1]


class Fixed(nn.Module):
    """Answers the same to every photo; a batch's images alike."""

    def __init__(self, *outputs):
        super().__init__()
        self.outputs = outputs

    def forward(self, pixels):
        if pixels.ndim == 3:
            return self.outputs
        return tuple(output.expand(len(pixels), *output.shape) for output in self.outputs)


def answers(boxes=BOXES, scores=SCORES, classes=CLASSES, masks=0.5, features=(1.0, 20.0)):
    return (
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(scores, dtype=torch.float32),
        torch.tensor(classes, dtype=torch.int64),
        torch.full((len(scores), 2, 2), masks),
        torch.tensor(features),
    )


def written(path, outputs):
    """An artefact that gives constants."""
    masks = len(outputs) == len(DetectorOutput)
    names = [*DetectorOutput.of_candidates(masks=masks), DetectorOutput.FEATURES]
    nodes = [
        helper.make_node("Constant", [], [str(name)], value=numpy_helper.from_array(value.numpy()))
        for name, value in zip(names, outputs, strict=True)
    ]
    # The input has to be used, or it is no input.
    nodes.append(helper.make_node("Shape", [MEMBER_INPUT], ["shape"]))
    inputs = [helper.make_tensor_value_info(MEMBER_INPUT, TensorProto.UINT8, None)]
    given = [
        helper.make_tensor_value_info(
            str(name), helper.np_dtype_to_tensor_dtype(value.numpy().dtype), None
        )
        for name, value in zip(names, outputs, strict=True)
    ]
    given.append(helper.make_tensor_value_info("shape", TensorProto.INT64, None))
    graph = helper.make_graph(nodes, "constants", inputs, given)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, path)
    return path


def detector(outputs):
    def write(_path):
        raise NotImplementedError

    return Detector(
        module=Fixed(*outputs),
        sha256="",
        weights="trained",
        loaded=LOADED,
        order=ORDER,
        write=write,
    )


def compared(tmp_path, expected, found, photos=(PHOTO,)):
    return parity(detector(expected), written(tmp_path / "a.onnx", found), photos, SPEC)


def test_equal_answers_differ_by_nothing(tmp_path):
    difference = compared(tmp_path, answers(), answers())
    assert (difference.scores, difference.boxes) == (0, 0)


def test_the_worst_of_boxes_scores_and_masks_is_told(tmp_path):
    moved = [[0, 0, 9, 9], [3, 3.25, 6, 6], [1, 2, 3, 4]]
    difference = compared(tmp_path, answers(), answers(boxes=moved, scores=[0.9, 0.8, 0.69]))
    assert difference.boxes == pytest.approx(0.25)
    assert difference.scores == pytest.approx(0.01, abs=1e-6)
    assert compared(tmp_path, answers(), answers(masks=0.75)).scores == pytest.approx(0.25)


def test_features_are_compared_as_a_share_of_the_largest(tmp_path):
    difference = compared(tmp_path, answers(), answers(features=(1.5, 20.0)))
    assert difference.features == pytest.approx(0.5 / 20)
    with pytest.raises(ParityError, match="features are not all finite"):
        compared(tmp_path, answers(), answers(features=(float("nan"), 20.0)))
    with pytest.raises(ParityError, match=r"features \[3\], in torch \[2\]"):
        compared(tmp_path, answers(), answers(features=(1.0, 20.0, 3.0)))


def test_things_of_almost_equal_score_may_stand_in_either_order(tmp_path):
    order = [1, 0, 2]
    swapped = answers(
        boxes=[BOXES[i] for i in order],
        scores=[0.8000001, 0.8, 0.7],
        classes=[CLASSES[i] for i in order],
    )
    expected = answers(scores=[0.8000001, 0.8, 0.7])
    difference = compared(tmp_path, expected, swapped)
    assert difference.boxes == 0
    assert difference.scores < 1e-6


def test_equal_boxes_are_told_apart_by_their_scores(tmp_path):
    same = [BOXES[0]] * 3
    expected = answers(boxes=same, classes=[1, 1, 1])
    found = answers(boxes=same, classes=[1, 1, 1], scores=SCORES[::-1])
    assert compared(tmp_path, expected, found).scores == 0


def test_nothing_found_in_both_is_no_difference(tmp_path):
    nothing = answers([], [], [])
    difference = compared(tmp_path, nothing, nothing)
    assert (difference.scores, difference.boxes) == (0, 0)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (answers(BOXES[:2], SCORES[:2], CLASSES[:2]), r"boxes \[2, 4\], in torch \[3, 4\]"),
        (answers(classes=[0, 1, 2]), "finds class 2 more often"),
        (answers(classes=[0, 0, 1]), "finds class 0 more often"),
        (answers(scores=[0.9, float("nan"), 0.7]), "scores are not all finite"),
        (answers(masks=float("inf")), "masks are not all finite"),
    ],
)
def test_other_things_are_refused_and_told(tmp_path, found, told):
    with pytest.raises(ParityError, match=told):
        compared(tmp_path, answers(), found)


def test_numbers_that_are_not_finite_never_pass_even_where_both_agree(tmp_path):
    broken = answers(scores=[0.9, float("nan"), 0.7])
    with pytest.raises(ParityError, match="scores are not all finite"):
        compared(tmp_path, broken, broken)


def test_no_photos_prove_nothing(tmp_path):
    with pytest.raises(ParityError, match="no photos"):
        compared(tmp_path, answers(), answers(), photos=())


def test_a_batched_artefact_is_asked_with_three_photos_too(tmp_path):
    boxes, scores, classes, _, features = answers()
    every = (boxes, scores, classes, features)
    one = tuple(output[None] for output in every)
    path = written(tmp_path / "fixed.onnx", one)
    # It answers one image whatever it is asked: the batch of three shows it.
    with pytest.raises(ParityError, match="for a batch of 3"):
        parity(detector(every), path, [PHOTO], BATCHED)


def test_an_unknown_detector_lists_the_known_ones(tmp_path):
    with pytest.raises(UnknownArchitectureError, match="are: mask_rcnn, yolos"):
        open_detector("resnet", tmp_path, SPEC)


def test_the_gate_is_imported_without_the_detectors_libraries():
    code = (
        "import sys, export.detector\n"
        "sys.exit(any(name in sys.modules for name in ('torchvision', 'transformers')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
