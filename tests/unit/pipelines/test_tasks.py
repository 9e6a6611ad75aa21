"""What a pipeline of each task may say, and what it may not."""

import copy

import pytest
import yaml

from pipelines.definition import PipelineDefinition
from pipelines.enums import Method, Task
from pipelines.load import FOLDER, SpecError, load_spec
from pipelines.spec import PipelineSpec


def facts_of(name):
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))


def changed(name, **sections):
    """A pipeline's facts with some keys of some sections replaced; a value replaces a section."""
    facts = copy.deepcopy(facts_of(name))
    for section, value in sections.items():
        if isinstance(value, dict) and isinstance(facts.get(section), dict):
            facts[section] |= value
        else:
            facts[section] = value
    return facts


def test_the_five_systems_have_their_tasks():
    tasks = {name: load_spec(name).task for name in ("oral_cancer", "snake_species", "mhist")}
    assert set(tasks.values()) == {Task.CLASSIFICATION}
    assert load_spec("object_detection").task is Task.DETECTION
    assert load_spec("cervical_lesions").task is Task.SEGMENTATION


def test_an_int8_member_is_what_its_original_is():
    spec = load_spec("snake_species")
    original, quantised = spec.members["fp32"], spec.members["int8"]
    assert quantised.architecture == original.architecture
    assert quantised.format == original.format
    assert quantised.quantisation is not None
    assert quantised.quantisation.method is Method.STATIC
    assert spec.member_hash("int8") != spec.member_hash("fp32")


def test_one_word_changes_the_architecture_of_both_precisions():
    facts = changed("snake_species")
    facts["members"]["fp32"]["architecture"] = "efficientnet_b0"
    whole = PipelineDefinition.model_validate(facts)
    assert {member.architecture for member in whole.members.values()} == {"efficientnet_b0"}


def test_openvino_is_refused_where_images_keep_their_sizes():
    name = "cervical_lesions"
    assert load_spec(name).preprocessing.size is None
    member = next(iter(facts_of(name)["members"]))
    facts = changed(name)
    facts["members"][member]["acceleration"] = "openvino"
    with pytest.raises(ValueError, match=f"members.{member}: openvino needs images of one size"):
        PipelineDefinition.model_validate(facts)


def test_a_member_of_weight_0_is_an_alternative():
    spec = load_spec("mhist")
    assert spec.answering_members == ("vit", "mlp")
    assert spec.weights == (0.7, 0.3, 0.0)


def test_members_of_mhist_give_one_logit_and_those_of_snake_species_one_a_class():
    mhist, snakes = load_spec("mhist"), load_spec("snake_species")
    assert {mhist.logits(member) for member in mhist.members} == {1}
    assert {snakes.logits(member) for member in snakes.members} == {len(snakes.classes)}


@pytest.mark.parametrize("name", ["snake_species", "mhist", "cervical_lesions"])
def test_facts_travel_as_json_without_a_loss(name):
    spec = load_spec(name)
    assert PipelineSpec.model_validate_json(spec.model_dump_json()) == spec


ANOTHER = {"architecture": "a", "format": "onnx", "weight": 1}
INT8 = {"quantisation": {"of": "fp32", "method": "static"}, "weight": 0}


@pytest.mark.parametrize(
    ("facts", "complaint"),
    [
        (
            changed("snake_species", members={"int8": INT8 | {"weight": 1}, "fp32": INT8}),
            "members.fp32",
        ),
        (
            changed(
                "snake_species",
                members={"int8": INT8 | {"quantisation": {"of": "other", "method": "static"}}},
            ),
            "no member 'other'",
        ),
        (changed("snake_species", members={"int8": INT8 | {"format": "torchscript"}}), "ONNX"),
        (
            changed(
                "snake_species",
                members={"fp32": ANOTHER | {"one_logit": True}},
            ),
            "one_logit",
        ),
        (
            changed("snake_species", members={"fp32": ANOTHER | {"queries": 9}}),
            "members.fp32.queries: is for detectors",
        ),
        (changed("object_detection", members={"yolos": ANOTHER | {"queries": 0}}), "queries"),
        (changed("snake_species", classes=["only"]), "two or more"),
        (changed("object_detection", positive="circle"), "only a classification"),
        (changed("object_detection", threshold=None), "the score from which"),
        (changed("object_detection", parity={"boxes": None}), "parity.boxes"),
        (changed("object_detection", preprocessing={"fill": None}), "letterbox"),
        (changed("object_detection", preprocessing={"height": None}), "letterbox needs height"),
        (changed("cervical_lesions", preprocessing={"height": 800}), "none takes no height"),
        (changed("cervical_lesions", serving={"max_batch": 4}), "max_batch"),
        (
            changed("cervical_lesions", members={"second": ANOTHER}),
            "one detector answers",
        ),
        (changed("cervical_lesions", limits={"aspect": 0.5}), "limits.aspect"),
    ],
)
def test_what_does_not_fit_the_task_is_refused(facts, complaint, tmp_path):
    path = tmp_path / f"{facts['name']}.yaml"
    path.write_text(yaml.safe_dump(facts, sort_keys=False), "utf-8")
    with pytest.raises(SpecError, match=complaint):
        load_spec(facts["name"], tmp_path)
