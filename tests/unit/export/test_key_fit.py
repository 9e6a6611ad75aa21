"""State dicts of other networks: the refusal names the cause, not a list of keys."""

import pytest
import torch

from export import architectures, checkpoint
from export.errors import CheckpointError
from tests.unit.export.checkpoint_layouts import prefixed
from tests.unit.export.conftest import CLASSES

SMALL = "regnety_002"


def refusal(tmp_path, state, architecture, logits=2):
    """What is said of a state dict that is given for an architecture."""
    path = tmp_path / "weights.pt"
    torch.save(state, path)
    model = architectures.build(architecture, logits)
    with pytest.raises(CheckpointError) as refused:
        checkpoint.read(path).load_into(model, CLASSES, architecture=architecture)
    message = str(refused.value)
    assert "\n" not in message
    assert len(message) < 700
    return message


@pytest.mark.parametrize("prefix", ["", "model."])
@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("efficientnet_b0", SMALL),
        ("mobilenetv3_small_100", SMALL),
        (SMALL, "mobilenetv3_small_100"),
        ("regnety_002", "vgg16_small_head"),
    ],
)
def test_the_keys_of_another_architecture_are_recognised(tmp_path, given, wanted, prefix):
    state = prefixed(prefix, architectures.build(given, 2).state_dict())
    message = refusal(tmp_path, state, wanted)
    assert f"looks like the keys of {given}, the YAML says {wanted}" in message


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("layer1.0.conv1.weight", "a ResNet"),
        ("module.encoder.layers.encoder_layer_0.ln_1.weight", "torchvision's ViT"),
        ("model.features.0.0.weight", "torchvision's MobileNet, EfficientNet or ConvNeXt"),
    ],
)
def test_the_keys_of_well_known_networks_are_recognised(tmp_path, key, what):
    assert f"looks like the keys of {what}" in refusal(tmp_path, {key: torch.ones(3, 3)}, SMALL)


@pytest.mark.parametrize(
    ("given", "wanted", "says"),
    [
        (3, 2, "the head (head.fc) has 3 outputs, the pipeline has 2 classes"),
        (1000, 2, "the head (head.fc) has 1000 outputs, the pipeline has 2 classes"),
        (1, 2, "has 1 outputs, the pipeline has 2 classes: write `one_logit: true`"),
        (2, 1, "has 2 outputs, the YAML says `one_logit: true`: leave that out"),
    ],
)
def test_a_head_for_other_classes_says_how_many(tmp_path, given, wanted, says):
    state = architectures.build(SMALL, given).state_dict()
    assert says in refusal(tmp_path, state, SMALL, wanted)


def test_a_backbone_without_a_head_is_named(tmp_path):
    state = architectures.build(SMALL, 2).state_dict()
    body = {key: value for key, value in state.items() if not key.startswith("head.fc")}
    assert "it has no head (head.fc)" in refusal(tmp_path, body, SMALL)


def test_another_size_of_the_same_architecture_is_named(tmp_path):
    state = architectures.of_timm("vit_base_patch16_224", 2, embed_dim=384).state_dict()
    assert "other widths: another size" in refusal(tmp_path, state, "vit_base_patch16_224")


def test_position_embeddings_of_another_image_size_are_named(tmp_path):
    state = architectures.of_timm("vit_base_patch16_224", 2, img_size=384).state_dict()
    message = refusal(tmp_path, state, "vit_base_patch16_224")
    assert "position embeddings are for images of another size" in message
