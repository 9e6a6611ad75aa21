"""Opening a Mask R-CNN and serving it: torchvision's own, without pasted masks."""

import numpy as np
import onnxruntime
import pytest
import torch

from export.detector import open_detector, parity
from export.detectors import mask_rcnn_config
from export.detectors.mask_rcnn_model import build
from export.errors import CheckpointError
from pipelines.protocol import MEMBER_INPUT, DetectorOutput
from tests.unit.export import mask_rcnn_checkpoint
from tests.unit.export.mask_rcnn_checkpoint import SPEC, config, photo

import torchvision  # isort: skip - importable once the lines above have been run
from torchvision.models.detection.roi_heads import paste_masks_in_image  # isort: skip

# In single precision the resize would come out a pixel short in the last two.
SIZES = [(240, 320), (500, 300), (77, 610), (333, 500), (900, 601)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return mask_rcnn_checkpoint.write(tmp_path_factory.mktemp("mask_rcnn"), config())


@pytest.fixture(scope="module")
def detector(checkpoint):
    return open_detector("mask_rcnn", checkpoint, SPEC)


@pytest.fixture(scope="module")
def artefact(detector, tmp_path_factory):
    path = tmp_path_factory.mktemp("artefact") / "model.onnx"
    assert detector.write(path) == 17
    return path


@pytest.fixture(scope="module")
def plain(checkpoint):
    """torchvision's own model with the checkpoint's weights."""
    model = build(config(), SPEC.preprocessing).eval()
    model.load_state_dict(torch.load(checkpoint, weights_only=True)["model"])
    for pool in (model.roi_heads.box_roi_pool, model.roi_heads.mask_roi_pool):
        pool.scales = None
    with torch.inference_mode():
        # Scales are inferred from the first image, in training a large one.
        model([torch.from_numpy(photo(0, 240, 320)).permute(2, 0, 1) / 255])
    return model


def run(artefact, pixels):
    session = onnxruntime.InferenceSession(artefact, providers=["CPUExecutionProvider"])
    return session.run([str(name) for name in DetectorOutput], {MEMBER_INPUT: pixels})


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_it_finds_what_torchvisions_model_finds(detector, plain, height, width):
    pixels = photo(1, height, width)
    with torch.inference_mode():
        (expected,) = plain([torch.from_numpy(pixels).permute(2, 0, 1) / 255])
        boxes, scores, classes, masks, _ = detector.module(torch.from_numpy(pixels))
        pasted = paste_masks_in_image(masks[:, None], boxes, (height, width))
    assert len(boxes) >= 5
    torch.testing.assert_close(boxes, expected["boxes"], atol=0, rtol=0)
    torch.testing.assert_close(scores, expected["scores"], atol=0, rtol=0)
    assert torch.equal(classes + 1, expected["labels"])
    torch.testing.assert_close(pasted, expected["masks"], atol=0, rtol=0)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_artefact_finds_the_same_at_any_size(detector, artefact, height, width):
    photos = [photo(seed, height, width) for seed in (1, 2)]
    difference = parity(detector, artefact, photos, SPEC)
    assert difference.scores <= SPEC.parity.tolerance
    assert difference.boxes <= SPEC.parity.boxes
    boxes, scores, classes, masks, features = run(artefact, photos[0])
    assert len(boxes) >= 5
    assert (boxes.dtype, scores.dtype, classes.dtype, masks.dtype) == ("f4", "f4", "i8", "f4")
    assert masks.shape == (len(boxes), 28, 28)
    assert (features.shape, features.dtype) == ((4 * config().fpn_channels,), "f4")
    assert difference.features <= SPEC.parity.tolerance
    assert set(classes) <= {0, 1, 2}


def test_a_checkpoint_trained_in_another_order_finds_the_same(checkpoint, detector, tmp_path):
    order = (2, 0, 1)
    state = torch.load(checkpoint, weights_only=True)["model"]
    rows = torch.tensor([0, *(index + 1 for index in order)])  # the background stays the first
    box = "roi_heads.box_predictor."
    for part in ("weight", "bias"):
        for key in (f"{box}cls_score.{part}", f"roi_heads.mask_predictor.mask_fcn_logits.{part}"):
            state[key] = state[key][rows]
        boxes = state[f"{box}bbox_pred.{part}"]
        state[f"{box}bbox_pred.{part}"] = boxes.unflatten(0, (-1, 4))[rows].flatten(0, 1)
    names = [SPEC.classes[index] for index in order]
    config(classes=names).write(tmp_path)
    path = tmp_path / mask_rcnn_checkpoint.NAME
    labels = {"__background__": 0} | {name: index for index, name in enumerate(names, 1)}
    torch.save({"model": state, "class_to_idx": labels}, path)
    other = open_detector("mask_rcnn", path, SPEC)
    assert other.order.trained == tuple(names)
    assert other.order.place == "mask_rcnn_config.yaml: classes"
    artefact = tmp_path / "model.onnx"
    other.write(artefact)
    found = parity(detector, artefact, [photo(1, 240, 320)], SPEC)
    assert found.scores <= SPEC.parity.tolerance
    assert found.boxes <= SPEC.parity.boxes
    assert len(set(run(artefact, photo(1, 240, 320))[2])) > 1
    labels = {name: index for index, name in enumerate(SPEC.classes, 1)}
    torch.save({"model": state, "class_to_idx": labels}, path)
    with pytest.raises(CheckpointError, match=r"classes says the order \[mosaic, .*class_to_idx"):
        open_detector("mask_rcnn", path, SPEC)


def test_nothing_found_is_an_empty_answer(checkpoint, tmp_path):
    facts = config(score_threshold=0.05)
    path = mask_rcnn_checkpoint.write(tmp_path, facts)
    saved = torch.load(path, weights_only=True)
    saved["model"]["roi_heads.box_predictor.cls_score.bias"][0] = 100  # all is background
    torch.save(saved, path)
    detector = open_detector("mask_rcnn", path, SPEC)
    detector.write(tmp_path / "model.onnx")
    pixels = photo(1, 300, 200)
    with torch.inference_mode():
        in_torch = detector.module(torch.from_numpy(pixels))
    shapes = [(0, 4), (0,), (0,), (0, 28, 28), (4 * facts.fpn_channels,)]
    assert [tuple(tensor.shape) for tensor in in_torch] == shapes
    assert [tensor.shape for tensor in run(tmp_path / "model.onnx", pixels)] == shapes
    assert parity(detector, tmp_path / "model.onnx", [pixels], SPEC).boxes == 0


@pytest.mark.parametrize("norm", ["batch", "frozen_batch"])
def test_resnet50_fpn_has_the_keys_and_shapes_of_torchvisions(norm):
    facts = mask_rcnn_config.MaskRcnnConfig(
        classes=SPEC.classes, backbone="resnet50_fpn", norm=norm, norm_eps=1e-5
    )
    with torch.device("meta"):
        ours = build(facts, SPEC.preprocessing)
        theirs = torchvision.models.detection.maskrcnn_resnet50_fpn(
            weights=None, weights_backbone=None, num_classes=len(SPEC.classes) + 1
        )
    # From its pretrained weights torchvision builds frozen normalisations, which do not count.
    expected = {
        key: value.shape
        for key, value in theirs.state_dict().items()
        if norm == "batch" or not key.endswith("num_batches_tracked")
    }
    assert {key: value.shape for key, value in ours.state_dict().items()} == expected


def test_torchvisions_resnet50_fpn_is_exported_and_finds_the_same(tmp_path):
    facts = mask_rcnn_config.MaskRcnnConfig(
        classes=SPEC.classes,
        backbone="resnet50_fpn",
        norm="batch",
        norm_eps=1e-5,
        min_size=128,
        max_size=224,
        rpn_pre_nms_top_n=100,
        rpn_post_nms_top_n=50,
    )
    path = mask_rcnn_checkpoint.write(tmp_path, facts)
    detector = open_detector("mask_rcnn", path, SPEC)
    artefact = tmp_path / "model.onnx"
    assert detector.write(artefact) == 17
    assert artefact.stat().st_size == pytest.approx(176e6, rel=0.01)
    pixels = photo(1, 200, 300)
    assert len(run(artefact, pixels)[0]) >= 5
    difference = parity(detector, artefact, [pixels], SPEC)
    # Random layers enlarge rounding errors more than trained ones.
    assert difference.scores <= 10 * SPEC.parity.tolerance
    assert difference.boxes <= SPEC.parity.boxes


def test_names_from_before_torchvision_0_13_are_understood(checkpoint, detector, tmp_path):
    new = torch.load(checkpoint, weights_only=True)["model"]
    old = {}
    for key, value in new.items():
        renamed = key.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        renamed = renamed.replace("roi_heads.mask_head.0.0.", "roi_heads.mask_head.mask_fcn1.")
        if renamed.startswith("backbone.fpn."):
            renamed = renamed.replace(".0.weight", ".weight").replace(".0.bias", ".bias")
        old[renamed] = value
    assert len(set(old) - set(new)) == 8 * 2 + 2 + 2
    torch.save(old, tmp_path / "old.pth")
    config().write(tmp_path)
    opened = open_detector("mask_rcnn", tmp_path / "old.pth", SPEC)
    expected = detector.module.state_dict()
    assert opened.module.state_dict().keys() == expected.keys()
    assert all(torch.equal(v, expected[k]) for k, v in opened.module.state_dict().items())


def test_the_hash_covers_the_configuration_too(checkpoint, detector):
    assert open_detector("mask_rcnn", checkpoint, SPEC).sha256 == detector.sha256
    other = config(nms_threshold=0.4)
    path = mask_rcnn_checkpoint.write(checkpoint.parent / "other", other)
    assert path.read_bytes() == checkpoint.read_bytes()
    assert open_detector("mask_rcnn", path, SPEC).sha256 != detector.sha256


def test_weights_say_that_they_are_a_demo(checkpoint, detector, tmp_path):
    assert detector.weights == "trained"
    saved = torch.load(checkpoint, weights_only=True)
    torch.save(saved | {"weights": "demo"}, tmp_path / "demo.pth")
    config().write(tmp_path)
    assert open_detector("mask_rcnn", tmp_path / "demo.pth", SPEC).weights == "demo"


def test_the_wrong_norm_is_named(checkpoint, tmp_path):
    path = tmp_path / "a.pth"
    path.write_bytes(checkpoint.read_bytes())
    config(norm="frozen_batch").write(tmp_path)
    with pytest.raises(CheckpointError, match=r"norm: is frozen_batch, but a.pth has .* of batch"):
        open_detector("mask_rcnn", path, SPEC)


def test_another_architecture_is_told_by_its_keys(checkpoint, tmp_path):
    path = tmp_path / "a.pth"
    path.write_bytes(checkpoint.read_bytes())
    config(fpn_channels=24).write(tmp_path)
    with pytest.raises(CheckpointError, match=r"(?s)does not fit.*of another shape.*backbone"):
        open_detector("mask_rcnn", path, SPEC)


def test_masks_are_probabilities_of_the_class_that_is_answered(detector):
    with torch.inference_mode():
        *_, masks, _ = detector.module(torch.from_numpy(photo(3, 200, 200)))
    assert 0 <= float(masks.min()) < float(masks.max()) <= 1
    assert np.isfinite(masks.numpy()).all()
