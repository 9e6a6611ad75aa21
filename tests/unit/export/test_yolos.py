"""Opening a YOLOS and serving it: what transformers finds, in pixels of the input."""

import json
import shutil

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file

from export.detector import open_detector, parity
from export.errors import CheckpointError
from pipelines.load import load_spec
from pipelines.protocol import MEMBER_INPUT, DetectorOutput

from export.detectors.yolos import DEMO_MARK  # isort: skip - first: it lets transformers import
from transformers import YolosConfig, YolosForObjectDetection, YolosImageProcessor  # isort: skip

SPEC = load_spec("object_detection")
SIDE, TOKENS, HIDDEN = 416, 9, 24


def save(folder, image_size):
    """A small YOLOS with random weights, as transformers writes it."""
    config = YolosConfig(
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=32,
        image_size=image_size,
        patch_size=32,
        num_detection_tokens=TOKENS,
        id2label=dict(enumerate(SPEC.classes)),
        label2id={name: index for index, name in enumerate(SPEC.classes)},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = YolosForObjectDetection(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.2)
    model.save_pretrained(folder)
    return model


def photos(count):
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (SIDE, SIDE, 3), np.uint8) for _ in range(count)]


@pytest.fixture(scope="module", params=[(SIDE, SIDE), (320, 544)], ids=["416", "another size"])
def saved(request, tmp_path_factory):
    """Folder and model; the other size's position embeddings are interpolated."""
    folder = tmp_path_factory.mktemp("yolos")
    return folder, save(folder, request.param)


@pytest.fixture
def folder(saved, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(saved[0], tmp_path / "checkpoint")


@pytest.fixture(scope="module")
def detector(saved):
    return open_detector("yolos", saved[0], SPEC)


@pytest.fixture(scope="module")
def artefact(detector, tmp_path_factory):
    path = tmp_path_factory.mktemp("artefact") / "model.onnx"
    assert detector.write(path) == 20
    return path


def edit(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


def test_it_answers_what_transformers_post_processing_finds(saved, detector):
    pixels = np.stack(photos(2))
    shape = SPEC.preprocessing
    image = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (shape.mean, shape.std))
    with torch.inference_mode():
        expected = YolosImageProcessor().post_process_object_detection(
            saved[1]((image - mean) / std), threshold=0, target_sizes=[(SIDE, SIDE)] * 2
        )
        boxes, scores, classes, _ = detector.module(torch.from_numpy(pixels))
    for index, found in enumerate(expected):
        torch.testing.assert_close(boxes[index], found["boxes"], atol=1e-2, rtol=0)
        torch.testing.assert_close(scores[index], found["scores"], atol=1e-5, rtol=0)
        assert torch.equal(classes[index], found["labels"])
    assert len(set(classes.flatten().tolist())) > 1


def test_the_artefact_agrees_with_the_checkpoint_for_one_image_and_for_several(detector, artefact):
    difference = parity(detector, artefact, photos(3), SPEC)
    assert difference.scores <= SPEC.parity.tolerance
    assert difference.boxes <= SPEC.parity.boxes


def test_the_artefact_takes_batches_of_any_size(artefact):
    session = onnxruntime.InferenceSession(artefact, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    assert names == [name for name in DetectorOutput if name is not DetectorOutput.MASKS]
    for count in (1, 2, 5):
        pixels = np.stack(photos(count))
        boxes, scores, classes, features = session.run(None, {MEMBER_INPUT: pixels})
        assert (boxes.shape, boxes.dtype) == ((count, TOKENS, 4), np.float32)
        assert (scores.shape, scores.dtype) == ((count, TOKENS), np.float32)
        assert (classes.shape, classes.dtype) == ((count, TOKENS), np.int64)
        assert (features.shape, features.dtype) == ((count, HIDDEN), np.float32)


def test_a_file_of_the_folder_stands_for_the_folder(saved, detector):
    for name in ("model.safetensors", "config.json"):
        assert open_detector("yolos", saved[0] / name, SPEC).sha256 == detector.sha256


def test_the_hash_covers_weights_and_configuration(folder, detector):
    edit(folder, layer_norm_eps=1e-6)
    one = open_detector("yolos", folder, SPEC).sha256
    state = load_file(folder / "model.safetensors")
    state["class_labels_classifier.layers.2.bias"] += 1
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    assert len({detector.sha256, one, open_detector("yolos", folder, SPEC).sha256}) == 3


def test_demo_weights_say_so(folder, detector):
    assert detector.weights == "trained"
    edit(folder, **{DEMO_MARK: "demo"})
    assert open_detector("yolos", folder, SPEC).weights == "demo"


def test_a_checkpoint_trained_in_another_order_finds_the_same(folder, detector, artefact, tmp_path):
    order = (2, 0, 3, 1)
    state = load_file(folder / "model.safetensors")
    last = "class_labels_classifier.layers.2"
    rows = [*order, len(order)]
    state |= {f"{last}.{part}": state[f"{last}.{part}"][rows] for part in ("weight", "bias")}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    names = [SPEC.classes[index] for index in order]
    edit(
        folder,
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
    )
    other = open_detector("yolos", folder, SPEC)
    assert other.order.trained == tuple(names)
    with torch.inference_mode():
        boxes, scores, classes, _ = detector.module(torch.from_numpy(np.stack(photos(2))))
        found = other.module(torch.from_numpy(np.stack(photos(2))))
    assert torch.equal(boxes, found[0])
    torch.testing.assert_close(scores, found[1])
    assert torch.equal(classes, found[2])
    assert len(set(classes.flatten().tolist())) > 1
    path = tmp_path / "model.onnx"
    other.write(path)
    # The artefact agrees with the checkpoint of the YAML's order too.
    assert parity(detector, path, photos(2), SPEC).scores <= SPEC.parity.tolerance


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        # label2id still says the former order.
        ({"id2label": dict(enumerate(SPEC.classes[::-1]))}, r"\[star, .*\[circle, "),
        ({"id2label": dict(enumerate(SPEC.classes, 1))}, "id2label numbers the classes from 1"),
        ({"id2label": dict(enumerate([*SPEC.classes, "no object"]))}, "tells 5 classes"),
        ({"id2label": dict(enumerate(SPEC.classes[:3]))}, "id2label"),
        ({"id2label": {"1": "circle", "2": "square"}}, "id2label: the model tells 2 classes"),
        ({"model_type": "detr"}, "model_type: is 'detr'"),
        ({"hidden_size": "wide"}, "is not the config of a YOLOS"),
        ({"hidden_size": 25}, "is not the config of a YOLOS"),
        ({"hidden_size": 48}, "of another shape"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(folder, changes, message):
    edit(folder, **changes)
    with pytest.raises(CheckpointError, match=message):
        open_detector("yolos", folder, SPEC)


def test_a_configuration_that_is_no_json_is_refused(folder):
    (folder / "config.json").write_text("{", "utf-8")
    with pytest.raises(CheckpointError, match=r"config\.json: not valid JSON"):
        open_detector("yolos", folder, SPEC)


def test_a_missing_configuration_is_named(folder):
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"config\.json: no such file"):
        open_detector("yolos", folder, SPEC)


def test_pickled_weights_are_refused_with_the_remedy(folder):
    state = load_file(folder / "model.safetensors")
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"save_pretrained.*safetensors"):
        open_detector("yolos", folder, SPEC)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda state: state.pop("vit.layernorm.bias"), r"1 missing:\s+vit\.layernorm\.bias"),
        (lambda state: state.update(extra=torch.zeros(1)), r"1 unexpected:\s+extra"),
        (lambda state: state["vit.layernorm.bias"].fill_(torch.nan), "NaN"),
    ],
)
def test_weights_that_do_not_fit_are_refused(folder, spoil, message):
    state = load_file(folder / "model.safetensors")
    spoil(state)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=message):
        open_detector("yolos", folder, SPEC)
