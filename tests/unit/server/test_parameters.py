"""Parameters of requests: what is read, and how others are refused."""

import pytest

from inference.errors import RefusedError
from pipelines.protocol import COSTLY_APART, Parameter, Refusal, parse_refusal, refusal
from server.backends.parameters import ParameterRules, RequestParameters, costly_apart, parse

BINARY = ParameterRules(("vgg16", "regnet"), bounds=(0.05, 0.95))
MANY = ParameterRules(("only",), top_k=5)
FLAGS = (Parameter.VISUALIZATION, Parameter.POLYGONS)
MASKS = ParameterRules(("mask_rcnn",), bounds=(0.05, 0.95), flags=FLAGS)
BOXES = ParameterRules(("yolos",), bounds=(0.05, 0.95), flags=FLAGS[:1])


@pytest.mark.parametrize("value", [0.37, "0.37", " 0.37 ", "3.7e-1", ".37"])
def test_a_threshold_may_be_a_number_or_the_text_of_one(value):
    assert BINARY.read({"threshold": value}) == RequestParameters(threshold=0.37)


@pytest.mark.parametrize("value", [0.05, 0.95, "0.05", 0.949999988079071, 0.05000000074505806])
def test_the_bounds_themselves_are_allowed_also_as_fp32(value):
    assert BINARY.read({"threshold": value}).threshold == pytest.approx(float(value))


@pytest.mark.parametrize(
    "value",
    [7, -1, 0, 0.04, 0.96, "nan", "inf", float("nan"), float("inf"), True, None, "", "x", "0_5",
     "\u0660.\u0665", "0x1", "1e999", [0.5], {"a": 1}],
)  # fmt: skip
def test_any_other_threshold_is_refused_and_the_bounds_named(value):
    with pytest.raises(
        RefusedError, match=r"threshold must be a number from 0.05 to 0.95"
    ) as error:
        BINARY.read({"threshold": value})
    assert error.value.code is Refusal.PARAMETER_INVALID


@pytest.mark.parametrize("value", [1, 5, "3", 2.0])
def test_top_k_of_a_multi_class_pipeline_is_checked_and_changes_no_decision(value):
    assert MANY.read({"top_k": value}) == RequestParameters()


@pytest.mark.parametrize("value", [0, 6, 1.5, "two", -1, True])
def test_any_other_top_k_is_refused(value):
    with pytest.raises(RefusedError, match="top_k must be a whole number from 1 to 5"):
        MANY.read({"top_k": value})


@pytest.mark.parametrize("name", ["visualization", "polygons"])
@pytest.mark.parametrize(
    ("value", "read"),
    [
        (True, True), ("true", True), ("1", True), (1, True), ("True", True), (" TRUE ", True),
        (False, False), ("false", False), ("0", False), (0, False), ("FALSE", False),
    ],
)  # fmt: skip
def test_a_flag_may_be_a_bool_a_bit_or_its_text(name, value, read):
    assert getattr(MASKS.read({name: value}), name) is read


@pytest.mark.parametrize("value", ["yes", "", 2, -1, 1.0, None, [True], {"true": 1}, "truefalse"])
def test_any_other_flag_is_refused(value):
    with pytest.raises(RefusedError, match="visualization must be true or false") as error:
        BOXES.read({"visualization": value})
    assert error.value.code is Refusal.PARAMETER_INVALID


def test_a_member_is_found_by_name():
    assert BINARY.read({"member": "regnet"}) == RequestParameters(member=1)


@pytest.mark.parametrize("value", ["resnet", 1, None, ["vgg16"]])
def test_an_unknown_member_is_refused_and_the_known_ones_named(value):
    with pytest.raises(RefusedError, match="vgg16, regnet") as error:
        BINARY.read({"member": value})
    assert error.value.code is Refusal.MEMBER_UNKNOWN


@pytest.mark.parametrize(
    ("choices", "name"),
    [
        (BINARY, "top_k"),
        (MANY, "threshold"),
        (BINARY, "weights"),
        (BINARY, "visualization"),
        (BOXES, "polygons"),
        (MASKS, "top_k"),
    ],
)
def test_a_parameter_that_the_pipeline_has_not_is_refused(choices, name):
    with pytest.raises(RefusedError, match="there is no parameter") as error:
        choices.read({name: 1})
    assert error.value.code is Refusal.PARAMETER_UNKNOWN


def test_a_hostile_parameter_name_cannot_break_the_message():
    with pytest.raises(RefusedError) as error:
        BINARY.read({"a\n[image_empty] b" * 99: 1})
    message = refusal(error.value.code, error.value.text)
    code, text = parse_refusal(f"in ensemble 'x', {message}") or pytest.fail("not found")
    assert code is Refusal.PARAMETER_UNKNOWN
    assert len(text) < 200
    assert text.endswith("member, threshold.")


@pytest.mark.parametrize("text", ["", "{}"])
def test_no_parameters_choose_nothing(text):
    assert BINARY.read(parse(text)) == RequestParameters()


def test_whether_costly_images_are_wanted_apart_is_no_choice_of_the_caller():
    text = f'{{"{COSTLY_APART}": "true", "threshold": "0.3"}}'
    assert costly_apart(text)
    assert parse(text) == {"threshold": "0.3"}
    assert not any(map(costly_apart, ("", "{}", f'{{"threshold": "{COSTLY_APART}"}}')))
