"""What a YAML says of typicality, and what it may not say."""

import copy

import pytest
import yaml
from pydantic import ValidationError

from pipelines.definition import PipelineDefinition
from pipelines.load import FOLDER, available, load_definition, load_spec
from pipelines.release import Release
from pipelines.typicality import ReferenceOrigin, ReleasedReference

FACTS = yaml.safe_load((FOLDER / "oral_cancer.yaml").read_text("utf-8"))
SHA = "a" * 64


def whole(**typicality):
    facts = copy.deepcopy(FACTS)
    facts["typicality"] |= typicality
    return PipelineDefinition.model_validate(facts)


@pytest.mark.parametrize("name", available())
def test_every_shipped_pipeline_judges_by_a_member_that_answers_under_every_profile(name):
    definition = load_definition(name)
    for profile in ["default", *definition.profiles]:
        spec = definition.resolve(profile)
        assert spec.typicality is not None
        assert spec.typicality.member in spec.answering_members


@pytest.mark.parametrize(
    ("profile", "member"), [("onnx", "regnet_onnx"), ("int8", "regnet_int8"), ("fast", "regnet")]
)
def test_a_member_that_takes_the_place_of_another_is_compared_in_its_place(profile, member):
    assert load_spec("oral_cancer", profile=profile).typicality.member == member


@pytest.mark.parametrize(
    ("typicality", "message"),
    [
        ({"member": "nobody"}, "no member 'nobody' with a weight above 0"),
        ({"member": "regnet_onnx"}, "no member 'regnet_onnx' with a weight above 0"),
        ({"member": "vgg16"}, "vgg16.features: needed"),
        ({"false_alarms": 0.001}, "greater than or equal to 0.002"),
        ({"false_alarms": float("nan")}, "finite"),
        ({"false_alarms": 0.5}, "less than or equal to 0.2"),
        ({"recommendation": ""}, "at least 1 character"),
        ({"views": 2}, "not permitted"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(typicality, message):
    with pytest.raises(ValidationError, match=message):
        whole(**typicality)


def test_without_a_member_the_picture_alone_is_compared():
    assert whole(member=None).resolve("int8").typicality.member is None


def test_thresholds_and_bands_change_nothing_of_what_the_statistics_are():
    spec = load_spec("oral_cancer")
    faster = load_spec("oral_cancer", profile="fast")
    other = spec.model_copy(
        update={"preprocessing": spec.preprocessing.model_copy(update={"height": 256})}
    )

    assert faster.picture_hash == spec.picture_hash
    assert other.picture_hash != spec.picture_hash


def test_a_release_without_typicality_has_no_reference():
    origin = ReferenceOrigin(
        pipeline="oral_cancer", photos=1000, photos_sha256=SHA, preprocessing_sha256=SHA
    )
    spec = load_spec("oral_cancer").model_copy(update={"typicality": None})
    members = {
        name: {
            "version": 1,
            "weights": "demo",
            "files": {spec.members[name].format.filename: SHA},
        }
        for name in spec.members
    }
    reference = ReleasedReference(sha256=SHA, origin=origin)
    with pytest.raises(ValidationError, match="the spec has no typicality"):
        Release(spec=spec, members=members, configs={}, reference=reference)
