"""Rules are read from the JSON of a served spec, which says the same as the typed one."""

import json

import pytest
from PIL import Image

from inference.rules import Band, DecisionRules, DecodeRules, DetectionRules
from pipelines.enums import QualityWarning, Resize, Task
from pipelines.load import available, load_definition, load_spec
from pipelines.profile import DEFAULT_PROFILE

SPECS = [
    load_spec(name, profile=profile)
    for name in available()
    for profile in [DEFAULT_PROFILE, *load_definition(name).profiles]
]
CLASSIFICATIONS = [spec for spec in SPECS if spec.task is Task.CLASSIFICATION]
DETECTORS = [spec for spec in SPECS if spec.task is not Task.CLASSIFICATION]


def served(spec):
    """As it travels in a config."""
    return json.loads(spec.model_dump_json())


def named(spec):
    return f"{spec.name}-{spec.profile}"


@pytest.mark.parametrize("spec", SPECS, ids=named)
def test_decode_rules_are_those_of_the_spec(spec):
    rules, facts = DecodeRules.from_spec(served(spec)), spec.preprocessing
    assert (rules.height, rules.width) == (facts.size or (0, 0))
    assert rules.resize is facts.resize
    assert (rules.max_bytes, rules.max_pixels) == (spec.limits.bytes, spec.limits.pixels)
    assert rules.max_aspect == spec.limits.aspect
    assert rules.reserve == (facts.reserve if facts.decoding == "fast" else None)
    if facts.interpolation is not None:
        assert rules.interpolation is Image.Resampling[facts.interpolation.upper()]
    assert rules.fill == (facts.fill or 0)
    for warning, bound in zip(QualityWarning, rules.quality.bounds, strict=True):
        expected = getattr(spec.quality, warning)
        limit = getattr(expected, "above" if bound.above else "below")
        found = (bound.limit, bound.text, bound.refuse)
        assert found == (limit, expected.text, expected.refuse)
    assert rules.quality.side == spec.quality.side


@pytest.mark.parametrize("spec", CLASSIFICATIONS, ids=named)
def test_decision_rules_are_those_of_the_spec(spec):
    rules = DecisionRules.from_spec(served(spec))
    assert (rules.classes, rules.members) == (spec.classes, tuple(spec.members))
    assert rules.weights == spec.weights
    assert (
        tuple(rules.members[index] for index in rules.answering_members(None))
        == spec.answering_members
    )
    assert rules.answering_members(0) == (0,)
    low = spec.uncertainty.low
    assert rules.low == Band(low.disagreement_at_most, low.margin_at_least)
    if spec.positive is None:
        assert (rules.positive, rules.threshold, rules.bounds) == (None, None, None)
    else:
        assert rules.classes[rules.positive] == spec.positive
        assert rules.threshold == spec.threshold.default
        assert rules.bounds == (spec.threshold.minimum, spec.threshold.maximum)


@pytest.mark.parametrize("spec", DETECTORS, ids=named)
def test_detection_rules_are_those_of_the_spec(spec):
    rules = DetectionRules.from_spec(served(spec))
    assert (rules.classes, rules.members) == (spec.classes, tuple(spec.members))
    assert (rules.members[rules.default_member],) == spec.answering_members
    assert rules.threshold == spec.threshold.default
    assert rules.bounds == (spec.threshold.minimum, spec.threshold.maximum)
    assert rules.masks is (spec.task is Task.SEGMENTATION)


def test_absent_facts_are_those_that_are_null():
    limits = {"bytes": 1024, "pixels": 99}
    shape = {"decoding": "exact", "resize": "none"}
    nulls = dict.fromkeys(("height", "width", "interpolation", "fill", "reserve"))
    rules = DecodeRules.from_spec({"preprocessing": shape, "limits": limits})
    assert rules == DecodeRules(0, 0, Resize.NONE, Image.Resampling.NEAREST, 1024, 99)
    assert rules == DecodeRules.from_spec(
        {"preprocessing": shape | nulls, "limits": limits | {"aspect": None}}
    )


@pytest.mark.parametrize(
    "change", [{"decoding": "other"}, {"resize": "other"}, {"interpolation": "other"}]
)
def test_an_unknown_word_is_an_error(change):
    spec = served(load_spec("oral_cancer"))
    spec["preprocessing"] |= change
    with pytest.raises((ValueError, KeyError), match=r"other|OTHER"):
        DecodeRules.from_spec(spec)


@pytest.mark.parametrize("resize", ["letterbox", "none"])
def test_a_detectors_images_are_not_decoded_by_fast(resize):
    spec = served(load_spec("oral_cancer"))
    spec["preprocessing"] |= {"decoding": "fast", "resize": resize}
    with pytest.raises(ValueError, match=f"decoding fast cannot resize by {resize}"):
        DecodeRules.from_spec(spec)


def test_several_detectors_with_a_weight_are_an_error():
    spec = served(load_spec("object_detection"))
    spec["members"]["second"] = dict(spec["members"]["yolos"])
    with pytest.raises(ValueError, match="too many"):
        DetectionRules.from_spec(spec)
