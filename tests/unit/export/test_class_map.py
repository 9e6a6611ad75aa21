"""Training's class map: which forms are read, and what is refused by name."""

import pytest

from export.class_map import ClassMapError
from export.class_statements import of_class_map


@pytest.fixture
def path(tmp_path):
    return tmp_path / "class_map.json"


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
        of_class_map(path)
    assert str(path) in str(raised.value)


def test_a_missing_file_is_refused(path):
    with pytest.raises(ClassMapError, match="cannot be read"):
        of_class_map(path)
