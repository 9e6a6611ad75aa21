"""What the YAML may say of `fast` decoding."""

import copy

import pytest
import yaml

from pipelines.definition import PipelineDefinition
from pipelines.enums import Decoding
from pipelines.load import FOLDER, load_definition


def facts(name):
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))


def test_artefacts_serve_both_ways_of_decoding():
    whole = load_definition("oral_cancer")
    fast = whole.resolve("fast")
    assert fast.preprocessing.decoding is Decoding.FAST
    assert fast.preprocessing.reserve == whole.preprocessing.reserve
    without = copy.deepcopy(facts("oral_cancer"))
    del without["preprocessing"]["reserve"]
    for profile in ("fast", "onnx_fast"):
        del without["profiles"][profile]
    hashes = {
        pipeline.member_hash("vgg16")
        for pipeline in (fast, PipelineDefinition.model_validate(without))
    }
    assert hashes == {whole.member_hash("vgg16")}


def test_fast_needs_its_reserve():
    without = facts("oral_cancer")
    del without["preprocessing"]["reserve"]
    with pytest.raises(ValueError, match="reserve: is needed"):
        PipelineDefinition.model_validate(without)


@pytest.mark.parametrize("reserve", [0, 9, 1.5])
def test_a_reserve_out_of_bounds_is_refused(reserve):
    wrong = facts("oral_cancer")
    wrong["preprocessing"]["reserve"] = reserve
    with pytest.raises(ValueError, match=r"preprocessing\.reserve"):
        PipelineDefinition.model_validate(wrong)


@pytest.mark.parametrize("name", ["object_detection", "cervical_lesions"])
def test_a_detector_decodes_exactly(name):
    fast = facts(name)
    fast["preprocessing"]["reserve"] = 2
    fast["profiles"] = {"fast": {"preprocessing": "fast"}}
    with pytest.raises(ValueError, match="fast is for classifications"):
        PipelineDefinition.model_validate(fast)
