"""`mask_rcnn_config.yaml`: what it may say, and what it is told when it may not."""

import pytest
import yaml

from export.detectors.mask_rcnn_config import FILENAME, MaskRcnnConfig, read
from export.errors import CheckpointError
from pipelines.load import load_spec

SPEC = load_spec("cervical_lesions")
FACTS = {
    "classes": list(SPEC.classes),
    "backbone": "resnet50_fpn",
    "norm": "frozen_batch",
    "norm_eps": 0.0,
}


def written(folder, facts):
    path = folder / FILENAME
    path.write_text(yaml.safe_dump(facts), "utf-8")
    return path


def test_what_is_left_out_is_as_torchvision_has_it(tmp_path):
    config = read(written(tmp_path, FACTS), SPEC)
    assert (config.min_size, config.max_size) == (800, 1333)
    assert config.anchor_sizes == ((32,), (64,), (128,), (256,), (512,))
    assert (config.score_threshold, config.nms_threshold) == (0.05, 0.5)
    assert (config.rpn_pre_nms_top_n, config.rpn_post_nms_top_n) == (1000, 1000)


def test_what_was_written_is_read(tmp_path):
    config = MaskRcnnConfig.model_validate(FACTS | {"min_size": 256, "aspect_ratios": [1.0]})
    config.write(tmp_path)
    assert read(tmp_path / FILENAME, SPEC) == config


def test_a_missing_file_is_answered_with_an_example_that_is_valid(tmp_path):
    with pytest.raises(CheckpointError) as failure:
        read(tmp_path / FILENAME, SPEC)
    message = str(failure.value)
    assert str(tmp_path / FILENAME) in message
    example = "\n".join(line for line in message.splitlines() if line.startswith("  "))
    assert MaskRcnnConfig.model_validate(yaml.safe_load(example)).classes == SPEC.classes


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"min_szie": 800}, "min_szie: Extra inputs"),
        ({"norm_eps": -1}, "norm_eps: "),
        ({"backbone": "vgg"}, "backbone: .*resnet50_fpn"),
        ({"anchor_sizes": [[32], [64]]}, "anchor_sizes: needs 5 lists"),
        ({"anchor_sizes": [[32], [64], [128], [256], [512, 600]]}, "anchor_sizes: each level"),
        ({"aspect_ratios": []}, "aspect_ratios: needs one"),
        ({"min_size": 900, "max_size": 800}, "min_size: needs min_size <= max_size"),
        ({"score_threshold": 0.3}, "score_threshold: 0.3 is above .*minimum 0.05"),
    ],
)
def test_a_wrong_key_is_named_with_its_file(tmp_path, change, key):
    path = written(tmp_path, FACTS | change)
    with pytest.raises(CheckpointError, match=key) as failure:
        read(path, SPEC)
    assert str(path) in str(failure.value)


@pytest.mark.parametrize("missing", FACTS)
def test_what_the_weights_cannot_tell_has_to_be_said(tmp_path, missing):
    facts = {key: value for key, value in FACTS.items() if key != missing}
    with pytest.raises(CheckpointError, match=f"{missing}: Field required"):
        read(written(tmp_path, facts), SPEC)


def test_a_file_that_is_no_yaml_is_refused(tmp_path):
    (tmp_path / FILENAME).write_text("classes: [", "utf-8")
    with pytest.raises(CheckpointError, match="not valid YAML"):
        read(tmp_path / FILENAME, SPEC)
