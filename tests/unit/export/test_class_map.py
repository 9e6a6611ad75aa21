"""Training's class map against the YAML."""

import json

import pytest

from export.class_map import ClassMapError, check, read

CLASSES = ("Vipera berus", "Natrix natrix", "Crotalus atrox")
YAML = "pipelines/snake_species.yaml"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "class_map.json"


@pytest.mark.parametrize(
    "data",
    [
        {"0": "Vipera berus", "1": "Natrix natrix", "2": "Crotalus atrox"},
        {"Crotalus atrox": 2, "Vipera berus": 0, "Natrix natrix": 1},
    ],
    ids=["index to name", "name to index"],
)
def test_either_direction_is_read(path, data):
    path.write_text(json.dumps(data))
    assert read(path) == CLASSES
    check(path, CLASSES, YAML)


def test_another_order_shows_the_differences_and_the_block_for_the_yaml(path):
    path.write_text('{"Natrix natrix": 0, "Vipera berus": 1, "Crotalus atrox": 2}')
    with pytest.raises(ClassMapError) as raised:
        check(path, CLASSES, YAML)
    message = str(raised.value)
    assert "0: 'Natrix natrix' in the class map, 'Vipera berus' in the YAML" in message
    assert "2:" not in message
    assert "classes:\n- Natrix natrix\n- Vipera berus\n- Crotalus atrox" in message
    assert str(path) in message
    assert YAML in message


def test_more_classes_than_the_yaml_are_listed_up_to_five(path):
    names = {f"species {index}": index for index in range(20)}
    path.write_text(json.dumps(names))
    with pytest.raises(ClassMapError) as raised:
        check(path, CLASSES, YAML)
    assert "3: 'species 3' in the class map, no class in the YAML" in str(raised.value)
    assert "... and 15 more" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "no class map"),
        ("{}", "no class map"),
        ("3", "no class map"),
        ('{"0": "a", "2": "b"}', "no class has the index 1"),
        ('{"0": "a", "0": "b"}', "0 is there twice"),
        ('{"0": "a", "1": "a"}', "'a' is there twice"),
        ('{"a": 0, "a": 1}', "'a' is there twice"),
        ('{"a": -1}', "is no entry"),
        ('{"a": true}', "is no entry"),
        ('{"a": "b"}', "is no entry"),
        ('{"0": null}', "is no entry"),
    ],
)
def test_what_is_no_class_map_is_refused_by_name(path, text, problem):
    path.write_text(text)
    with pytest.raises(ClassMapError, match=problem) as raised:
        read(path)
    assert str(path) in str(raised.value)


def test_a_missing_file_is_refused(path):
    with pytest.raises(ClassMapError, match="cannot be read"):
        read(path)
