"""What a checkpoint says of its preprocessing: compared with the YAML; a difference is refused."""

import argparse
import json
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from export import checkpoint
from export.detector import open_detector
from export.errors import CheckpointError
from export.read_options import ReadOptions
from export.repository import ModelRepository
from export.stated_preprocessing import compare
from export.versions import export
from pipelines.load import load_spec
from tests.unit.export.test_yolos import save as save_yolos

WANTED = load_spec("oral_cancer").preprocessing  # 224 x 224, stretched, bilinear, ImageNet's mean
MEAN, STD = list(WANTED.mean), list(WANTED.std)
HALF = [0.5, 0.5, 0.5]
CAFFE = [123.675, 116.28, 103.53]
SPREAD = [58.395, 57.12, 57.375]
SAME = {
    "nothing": {"epoch": 3},
    "0 to 1": {"mean": MEAN, "std": STD},
    "0 to 255": {"mean": CAFFE, "std": SPREAD},
    "rounded": {"mean": [124, 116, 104], "std": [58, 57, 57]},
    "tensors": {"mean": torch.tensor(MEAN), "std": torch.tensor(STD)},
    "rescaled": {"image_mean": MEAN, "do_rescale": True, "rescale_factor": 1 / 255},
    "not rescaled": {"image_mean": CAFFE, "image_std": SPREAD, "do_rescale": False},
    "size": {"input_size": (3, 224, 224), "img_size": 224, "image_size": [224, 224]},
    "size by name": {"size": {"height": 224, "width": 224}},
    "whole image": {"crop_pct": 1.0, "crop_mode": "squash"},
    "interpolation": {"interpolation": "InterpolationMode.BILINEAR", "resample": 2},
    "unset arguments": {"args": argparse.Namespace(mean=None, img_size=None, interpolation="")},
    "chance in training": {"args": {"interpolation": "random"}},
    "RGB": {"channel_order": "RGB", "to_rgb": True, "bgr": False},
    "of something else": {"noise": {"mean": 0.0, "std": 0.1}, "metrics": {"mean": [1, 2, 3]}},
    "annotations": {"format": "coco_detection", "do_pad": True},
    "printed": {"transforms": f"Compose(Normalize(mean={MEAN}, std={STD}, inplace=False))"},
}
OTHER = {
    "mean": ({"mean": HALF}, "mean [0.5, 0.5, 0.5] in weights.pt, [0.485, 0.456, 0.406] in the"),
    "std": ({"mean": MEAN, "std": HALF}, "std [0.5, 0.5, 0.5] in"),
    "one number": ({"mean": 0.5, "std": 0.5}, "mean [0.5, 0.5, 0.5] in"),
    "BGR": ({"mean": CAFFE[::-1], "std": SPREAD[::-1]}, "(the order BGR)"),
    "no division by std": ({"mean": CAFFE, "std": [1.0] * 3}, "std [1.0, 1.0, 1.0] of pixels of"),
    "nearly": ({"mean": [0.481, 0.457, 0.408], "std": STD}, "mean [0.481, 0.457, 0.408]"),
    "not normalised": ({"do_normalize": False}, "std [1.0, 1.0, 1.0] in"),
    "not rescaled": (
        {"image_mean": MEAN, "image_std": STD, "do_rescale": False},
        "of pixels of [0, 255]",
    ),
    "rescaled otherwise": ({"rescale_factor": 1 / 127.5}, "pixels of [0, 2]"),
    "channels and size": ({"input_size": (3, 299, 299)}, "input_size 299 x 299 in weights.pt, 224"),
    "size": ({"img_size": 384}, "img_size 384 x 384"),
    "edges": ({"size": {"shortest_edge": 256}}, "shortest_edge 256 in weights.pt, stretch to 224"),
    "crop": ({"crop_pct": 0.875}, "crop_pct 0.875 in weights.pt, stretch of the whole image"),
    "crop of the centre": ({"do_center_crop": True}, "a crop of the centre"),
    "crop mode": ({"crop_mode": "center"}, "crop_mode center"),
    "not resized": ({"do_resize": False}, "do_resize False"),
    "interpolation": (
        {"interpolation": "bicubic"},
        "interpolation bicubic in weights.pt, bilinear",
    ),
    "Pillow's number": ({"resample": 3}, "resample bicubic"),
    "order": ({"channel_order": "bgr"}, "channel_order BGR in weights.pt, RGB in the YAML"),
    "flag": ({"do_flip_channel_order": True}, "(BGR)"),
    "to_rgb": ({"to_rgb": False}, "(BGR)"),
    "printed": (
        {"transforms": "Compose(Normalize(mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5]))"},
        "mean [0.5, 0.5, 0.5] in transforms",
    ),
    "printed crop": ({"val_transform": "CenterCrop(size=(224, 224))"}, "a crop of the centre"),
}
PLACES = ["args", "hyper_parameters", "config", "pretrained_cfg", "default_cfg"]
CONFIRMED = ReadOptions(preprocessing_confirmed=True)


def said(tmp_path, **data):
    path = tmp_path / "weights.pt"
    torch.save({"state_dict": {"head.weight": torch.ones(2, 2)}, **data}, path)
    return checkpoint.read(path).file


@pytest.mark.parametrize("settings", SAME.values(), ids=SAME.keys())
def test_the_same_preprocessing_is_taken_however_it_is_written(tmp_path, settings):
    assert compare(said(tmp_path, **settings), WANTED, ReadOptions()) == ()


@pytest.mark.parametrize(("settings", "says"), OTHER.values(), ids=OTHER.keys())
def test_another_preprocessing_is_refused_with_both_values(tmp_path, settings, says):
    file = said(tmp_path, **settings)
    with pytest.raises(CheckpointError) as refused:
        compare(file, WANTED, ReadOptions())
    message = str(refused.value)
    assert says in message
    assert "change `preprocessing` in the YAML, or give --preprocessing-confirmed" in message
    assert "\n" not in message
    assert len(message) < 700
    (note,) = compare(file, WANTED, CONFIRMED)
    assert says in note


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", [dict, argparse.Namespace])
def test_settings_are_found_where_training_scripts_keep_them(tmp_path, place, kind):
    file = said(tmp_path, **{place: kind(mean=HALF, std=HALF)})
    with pytest.raises(CheckpointError, match=rf"mean \[0\.5, 0\.5, 0\.5\] in {place}, "):
        compare(file, WANTED, ReadOptions())


def test_settings_are_found_within_others(tmp_path):
    file = said(tmp_path, hyper_parameters={"data": {"transforms": {"crop_pct": 0.9}}})
    with pytest.raises(CheckpointError, match=r"in hyper_parameters\.data\.transforms, "):
        compare(file, WANTED, ReadOptions())


@pytest.mark.parametrize(
    "metadata",
    [
        {"mean": "[0.5, 0.5, 0.5]"},
        {"img_size": "384"},
        {"interpolation": "bicubic"},
        {"pretrained_cfg": json.dumps({"mean": HALF})},
    ],
)
def test_the_metadata_of_safetensors_is_read(tmp_path, metadata):
    path = tmp_path / "weights.safetensors"
    save_file({"head.weight": torch.ones(2, 2)}, path, metadata=metadata)
    with pytest.raises(CheckpointError, match="another preprocessing"):
        compare(checkpoint.read(path).file, WANTED, ReadOptions())


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("preprocessor_config.json", {"image_mean": HALF}, True),
        ("config.json", {"architecture": "regnety_002", "pretrained_cfg": {"mean": HALF}}, True),
        ("config.json", {"model_type": "yolos", "image_size": [512, 864]}, False),
    ],
)
def test_a_file_beside_the_checkpoint_is_read(tmp_path, name, content, found):
    file = said(tmp_path)
    (tmp_path / name).write_text(json.dumps(content))
    if not found:
        assert compare(file, WANTED, ReadOptions()) == ()
        return
    with pytest.raises(CheckpointError, match=name):
        compare(file, WANTED, ReadOptions())


def test_a_broken_file_beside_the_checkpoint_is_named(tmp_path):
    file = said(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"preprocessor_config\.json: .* not valid JSON"):
        compare(file, WANTED, ReadOptions())


def test_a_classifier_is_published_only_with_its_own_preprocessing(spec, tiny, tmp_path):
    said = {"classes": list(spec.classes), "pretrained_cfg": {"mean": HALF, "std": HALF}}
    data = {"state_dict": tiny.state_dict(), **said}
    torch.save(data, tmp_path / "weights.pt")
    repository = ModelRepository(tmp_path / "model_repository")
    with pytest.raises(CheckpointError, match="another preprocessing"):
        export(spec, {"vgg16": tmp_path / "weights.pt"}, repository)
    assert not list(repository.root.rglob("*"))
    files = {"vgg16": tmp_path / "weights.pt"}
    (done,) = export(spec, files, repository, options=CONFIRMED)
    (note,) = done.manifest.notes
    assert "was declared wrong: mean [0.5, 0.5, 0.5] in pretrained_cfg" in note


@pytest.fixture(scope="module")
def yolos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("yolos")
    save_yolos(folder, (416, 416))
    return SimpleNamespace(folder=folder, spec=load_spec("object_detection"))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"size": {"longest_edge": 416}, "image_mean": MEAN, "image_std": STD}, None),
        ({"size": {"height": 416, "width": 416}, "do_rescale": True, "resample": 2}, None),
        ({"size": {"shortest_edge": 800, "longest_edge": 1333}}, "shortest_edge 800, longest_edge"),
        ({"image_mean": HALF}, "mean"),
        ({"do_normalize": False}, "std"),
        ({"resample": 3}, "bicubic"),
    ],
)
def test_the_preprocessor_beside_a_yolos_is_compared(yolos, settings, says):
    (yolos.folder / "preprocessor_config.json").write_text(json.dumps(settings))
    if says is None:
        open_detector("yolos", yolos.folder, yolos.spec)
        return
    with pytest.raises(CheckpointError, match=f"{says}.*in preprocessor_config.json"):
        open_detector("yolos", yolos.folder, yolos.spec)
    opened = open_detector("yolos", yolos.folder, yolos.spec, CONFIRMED)
    assert any(says in note for note in opened.loaded.notes)
