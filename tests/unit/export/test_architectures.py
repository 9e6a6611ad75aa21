"""The architectures a pipeline may name."""

import subprocess
import sys

import pytest
import torch

from export import architectures, torchvision_ops
from export.errors import ExportError
from export.vgg import vgg16_small_head


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("efficientnet_b0", 4_010_110),
        ("mlp_150528", 360_270_836),
        ("mobilenetv3_small_100", 1_519_906),
        ("regnety_002", 2_794_734),
        ("regnety_320", 141_341_196),
        ("vgg16_small_head", 14_846_530),
        ("vit_base_patch16_224", 85_800_194),
    ],
)
def test_an_architecture_has_its_known_size(name, parameters):
    with torch.device("meta"):
        model = architectures.build(name, 2)
    assert sum(weight.numel() for weight in model.parameters()) == parameters


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("vgg16_small_head", 64),
        ("regnety_002", 64),
        ("mobilenetv3_small_100", 320),
        ("efficientnet_b0", 320),
        ("vit_base_patch16_224", 224),
        ("mlp_150528", 224),
    ],
)
@pytest.mark.parametrize("logits", [1, 5])
def test_there_is_one_row_an_image_and_one_column_a_logit(name, side, logits):
    with torch.device("meta"):
        model = architectures.build(name, logits).eval()
        assert model(torch.empty(3, 3, side, side)).shape == (3, logits)


def test_the_perceptrons_layers_are_those_of_its_name():
    with torch.device("meta"):
        weights = architectures.build("mlp_150528", 1).state_dict()
    assert {key: tuple(value.shape) for key, value in weights.items() if "weight" in key} == {
        "1.weight": (2352, 150528),
        "3.weight": (2352, 2352),
        "5.weight": (294, 2352),
        "7.weight": (1, 294),
    }


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ExportError, match=r"are: efficientnet_b0, .*, vit_base_patch16_224"):
        architectures.build("resnet99", 2)


@pytest.mark.parametrize(("batch_norm", "timm_name"), [(False, "vgg16"), (True, "vgg16_bn")])
def test_vgg_features_take_the_weights_of_timms(batch_norm, timm_name):
    torchvision_ops.ensure_declared()
    import timm  # noqa: PLC0415 - it imports torchvision, which needs the line above

    with torch.device("meta"):
        theirs = timm.create_model(timm_name, pretrained=False).features.state_dict()
        ours = vgg16_small_head(2, batch_norm=batch_norm)[0].state_dict()
    assert {key: value.shape for key, value in ours.items()} == {
        key: value.shape for key, value in theirs.items()
    }


def test_naming_the_architectures_does_not_import_torch():
    code = "import sys, export.architectures; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_declaring_the_operators_twice_changes_nothing():
    torchvision_ops.ensure_declared()
    torchvision_ops.ensure_declared.__wrapped__()
    assert hasattr(torch.ops.torchvision, "nms")
