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
    [("vgg16_small_head", 14_846_530), ("regnety_002", 2_794_734), ("regnety_320", 141_341_196)],
)
def test_an_architecture_has_its_known_size(name, parameters):
    with torch.device("meta"):
        model = architectures.build(name, 2)
    assert sum(weight.numel() for weight in model.parameters()) == parameters


@pytest.mark.parametrize("name", ["vgg16_small_head", "regnety_002"])
@pytest.mark.parametrize("classes", [2, 5])
def test_logits_are_one_row_an_image_and_one_column_a_class(name, classes):
    model = architectures.build(name, classes).eval()
    with torch.inference_mode():
        assert model(torch.zeros(3, 3, 64, 64)).shape == (3, classes)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ExportError, match="are: regnety_002, regnety_320, vgg16_small_head"):
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
