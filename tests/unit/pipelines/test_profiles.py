"""Profiles: what they change, what stays, and what they may not say."""

import copy

import pytest
import yaml

from pipelines.definition import PipelineDefinition
from pipelines.enums import Decoding, Kind
from pipelines.load import FOLDER, SpecError, available, load_definition, load_spec, require_profile
from pipelines.spec import PipelineSpec

FACTS = yaml.safe_load((FOLDER / "oral_cancer.yaml").read_text("utf-8"))


def whole(**profiles):
    """The shipped facts of oral_cancer with other profiles."""
    return PipelineDefinition.model_validate(copy.deepcopy(FACTS) | {"profiles": profiles})


@pytest.mark.parametrize("name", available())
def test_every_profile_of_every_shipped_pipeline_can_be_served(name):
    for profile in load_definition(name).profiles:
        spec = load_spec(name, profile=profile)
        assert spec.profile == profile
        assert sum(spec.weights) == pytest.approx(1)
        assert PipelineSpec.model_validate_json(spec.model_dump_json()) == spec


def test_the_default_profile_serves_the_members_that_have_a_weight():
    spec = load_spec("oral_cancer")
    assert spec.profile == "default"
    assert list(spec.members) == ["vgg16", "regnet"]
    assert spec == load_definition("oral_cancer").resolve("default")


def test_a_substitute_takes_place_and_weight():
    spec = load_spec("oral_cancer", profile="onnx")
    assert list(spec.members) == ["vgg16", "regnet_onnx"]
    assert spec.weights == load_spec("oral_cancer").weights
    assert (
        spec.members["regnet_onnx"].architecture
        == load_spec("oral_cancer").members["regnet"].architecture
    )
    assert spec.origin("regnet_onnx") == "regnet"


def test_a_substitute_that_is_an_alternative_by_default_is_none_any_more():
    facts = yaml.safe_load((FOLDER / "snake_species.yaml").read_text("utf-8"))
    facts["profiles"] = {"small": {"instead": {"fp32": "int8"}}}
    spec = PipelineDefinition.model_validate(facts).resolve("small")
    assert spec.answering_members == tuple(spec.members) == ("int8",)
    assert spec.origin("int8") == "fp32"


def test_what_a_profile_does_not_say_stays_and_what_it_says_is_changed():
    pipeline = whole(
        wide={
            "preprocessing": "fast",
            "members": {"vgg16": {"instances": 2, "threads": 1}, "regnet_onnx": {"weight": 0}},
            "serving": {"max_batch": 32, "decode": {"threads": 4}},
        }
    )
    base, wide = pipeline.resolve("default"), pipeline.resolve("wide")
    assert wide.preprocessing.decoding is Decoding.FAST
    assert wide.members["vgg16"].instances == 2
    assert wide.members["vgg16"].weight == base.members["vgg16"].weight
    assert list(wide.members) == ["vgg16", "regnet", "regnet_onnx"]
    assert wide.answering_members == base.answering_members
    assert wide.serving.max_batch == 32
    assert wide.serving.queue_delay_us == base.serving.queue_delay_us
    assert wide.serving.decode.threads == 4
    assert wide.serving.decode.instances == base.serving.decode.instances


def test_a_member_has_a_gpu_only_where_it_says_so():
    pipeline = whole(one={"members": {"regnet": {"kind": "gpu"}}}, other={})
    kinds = {
        profile: [member.kind for member in pipeline.resolve(profile).members.values()]
        for profile in ("default", "one", "other")
    }
    cpu, gpu = Kind.CPU, Kind.GPU
    assert kinds == {"default": [cpu, cpu], "one": [cpu, gpu], "other": [cpu, cpu]}


def test_a_profile_may_leave_a_member_out():
    spec = whole(alone={"members": {"regnet": {"weight": None}}}).resolve("alone")
    assert list(spec.members) == ["vgg16"]
    assert spec.typicality.member is None
    assert spec.weights == (1.0,)


def test_the_models_of_a_pipeline_are_loaded_before_their_ensemble():
    spec = whole(more={"members": {"regnet_onnx": {"weight": 0}}}).resolve("more")
    assert spec.models == (
        "oral_cancer_decode",
        "oral_cancer_vgg16",
        "oral_cancer_regnet",
        "oral_cancer_regnet_onnx",
        "oral_cancer_decision",
        "oral_cancer",
    )
    assert set(spec.models) - set(spec.answering_models) == {"oral_cancer_regnet_onnx"}


def test_one_process_takes_the_place_of_all_models_but_the_ensemble():
    together = {"instead": {"regnet": "regnet_onnx"}, "serving": {"one_process": True}}
    spec = whole(together=together).resolve("together")
    assert spec.models == spec.answering_models == ("oral_cancer_decision", "oral_cancer")


def test_a_profile_does_not_change_what_artefacts_are_made_from():
    pipeline = whole(fast={"preprocessing": "fast"}, same={})
    specs = [pipeline.resolve(profile) for profile in ("default", "fast", "same")]
    assert len({spec.member_hash("vgg16") for spec in specs}) == 1


def test_a_profile_more_does_not_change_the_facts_of_the_others():
    before, after = whole(), whole(more={"preprocessing": "fast"})
    assert before.resolve("default") == after.resolve("default")


def test_a_pipeline_without_the_profile_is_served_as_by_default():
    assert whole().resolve_or_default("int8") == whole().resolve("default")
    assert load_definition("oral_cancer").resolve_or_default("onnx").profile == "onnx"


def test_a_profile_that_no_pipeline_has_is_an_error_with_those_that_there_are():
    pipelines = [whole(one={}), whole(two={}, one={})]
    require_profile("default", pipelines)
    require_profile("two", pipelines)
    with pytest.raises(SpecError, match="'three'; there are: default, one, two"):
        require_profile("three", pipelines)
    with pytest.raises(SpecError, match="no profile 'three'; there are: default, onnx"):
        load_spec("oral_cancer", profile="three")


@pytest.mark.parametrize(
    ("profile", "complaint"),
    [
        ({"instead": {"vgg16": "absent"}}, "profiles.new: there is no member 'absent'"),
        ({"members": {"absent": {"weight": 1}}}, "there is no member 'absent'"),
        ({"instead": {"regnet_onnx": "vgg16"}}, "regnet_onnx is not served by default"),
        (
            {"instead": {"vgg16": "regnet_onnx", "regnet": "regnet_onnx"}},
            "one member replaces two others",
        ),
        ({"members": {"regnet_onnx": {"threads": 1}}}, "regnet_onnx: is not served"),
        ({"members": {"vgg16": {"weight": 0}, "regnet": {"weight": 0}}}, "a weight above 0"),
        ({"members": {"vgg16": {"format": "onnx"}}}, "members.vgg16.format"),
        ({"members": {"vgg16": {"threads": 0}}}, "members.vgg16.threads"),
        ({"preprocessing": "faster"}, "profiles.new.preprocessing"),
        ({"serving": {"max_batch": 0}}, "profiles.new: serving.max_batch"),
        ({"serving": {"batch": 4}}, "profiles.new: serving.batch"),
        ({"serving": {"decode": 4}}, "profiles.new: serving.decode"),
        ({"members": {"vgg16": {"acceleration": "tensorrt"}}}, "members.vgg16.acceleration"),
        ({"members": {"regnet": {"acceleration": "openvino"}}}, "acceleration: only for ONNX"),
        (
            {"members": {"vgg16": {"acceleration": "openvino", "kind": "gpu"}}},
            "acceleration: openvino is for kind cpu",
        ),
        (
            {
                "instead": {"vgg16": "vgg16_int8"},
                "members": {"vgg16_int8": {"acceleration": "openvino"}},
            },
            "acceleration: openvino is for FP32",
        ),
        (
            {
                "instead": {"regnet": "regnet_onnx"},
                "members": {"vgg16": {"kind": "gpu"}},
                "serving": {"one_process": True},
            },
            "serving.one_process: vgg16 runs on a GPU",
        ),
        ({"serving": {"one_process": True}}, "serving.one_process: regnet is not in ONNX format"),
        ({"classes": ["a", "b"]}, "profiles.new.classes"),
        ({"members": {"vgg16": {"kind": None}}}, "members.vgg16.kind"),
    ],
)
def test_a_wrong_profile_is_refused_with_its_name(tmp_path, profile, complaint):
    refused(tmp_path, FACTS | {"profiles": {"new": profile}}, complaint)


def test_the_default_is_no_profile_to_be_written(tmp_path):
    refused(tmp_path, FACTS | {"profiles": {"default": {}}}, "profiles.default")
    refused(tmp_path, FACTS | {"profiles": {"embedded": {}}}, "profiles.embedded")


def test_one_profile_at_most_is_the_embedded_tritons():
    assert whole().embedded == "default"
    assert whole(a={}, b={"embedded": "twice as fast"}).embedded == "b"
    with pytest.raises(ValueError, match=r"profiles.b.embedded: a has it"):
        whole(a={"embedded": "twice as fast"}, b={"embedded": "thrice"})


@pytest.mark.parametrize(
    ("member", "complaint"),
    [
        ({"checkpoint": "absent", "format": "onnx"}, "no member 'absent'"),
        ({"checkpoint": "other", "format": "onnx"}, "is made from itself"),
        ({"checkpoint": "vgg16", "architecture": "regnety_002"}, "architecture of vgg16"),
        ({"quantisation": {"of": "regnet", "method": "static"}}, "must be ONNX, made from ONNX"),
    ],
)
def test_another_form_of_a_checkpoint_must_fit_it(tmp_path, member, complaint):
    refused(tmp_path, FACTS | {"members": FACTS["members"] | {"other": member}}, complaint)


def test_an_int8_member_of_another_form_has_the_checkpoint_of_the_first():
    facts = copy.deepcopy(FACTS)
    facts["members"]["int8"] = {"quantisation": {"of": "regnet_onnx", "method": "static"}}
    assert PipelineDefinition.model_validate(facts).origin("int8") == "regnet"


def refused(folder, facts, complaint):
    (folder / "oral_cancer.yaml").write_text(yaml.safe_dump(facts, sort_keys=False), "utf-8")
    with pytest.raises(SpecError) as raised:
        load_spec("oral_cancer", folder)
    assert complaint in str(raised.value)
