"""A run of lab.typicality that was interrupted goes on where it ended."""

import numpy as np
import pytest

from lab.typicality.kept import Kept, Measured


@pytest.fixture
def draw():
    """Draws an image as its number in words, and counts what was drawn."""

    def drawn(number):
        drawn.numbers.append(number)
        return f"image {number}".encode()

    drawn.numbers = []
    return drawn


def measured(features):
    return Measured(np.ones((3, 34), np.float32), features)


def test_a_drawing_is_drawn_once_also_by_a_resumed_run(tmp_path, draw):
    kept = Kept.begin(tmp_path / "kept", resume=False)
    first = [kept.drawing("own", draw)(number) for number in (0, 1, 0)]
    again = Kept.begin(tmp_path / "kept", resume=True).drawing("own", draw)(1)

    assert first == [b"image 0", b"image 1", b"image 0"]
    assert again == b"image 1"
    assert draw.numbers == [0, 1]


@pytest.mark.parametrize("features", [None, np.arange(6, dtype=np.float32).reshape(3, 2)])
def test_a_resumed_run_finds_what_was_measured(tmp_path, features):
    Kept.begin(tmp_path / "kept", resume=False).keep("a-network", "own", measured(features))
    kept = Kept.begin(tmp_path / "kept", resume=True)

    found = kept.measured("a-network", "own")
    assert found.pictures.tolist() == measured(None).pictures.tolist()
    np.testing.assert_array_equal(found.features, features)
    assert kept.measured("another-network", "own") is None
    assert kept.measured("a-network", "noise") is None


def test_a_run_from_the_start_keeps_nothing(tmp_path, draw):
    kept = Kept.begin(tmp_path / "kept", resume=False)
    kept.drawing("own", draw)(0)
    kept.keep("a-network", "own", measured(None))

    kept = Kept.begin(tmp_path / "kept", resume=False)
    assert kept.measured("a-network", "own") is None
    kept.drawing("own", draw)(0)
    assert draw.numbers == [0, 0]
