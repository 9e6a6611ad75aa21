"""What an explanation finds in members whose answer depends on one known part of the image."""

import io

import numpy as np
import pytest
from PIL import Image

from inference.decode import decode
from inference.explanation import ExplanationRules, explain
from inference.rules import DecodeRules
from pipelines.derived import explained_views
from pipelines.load import load_spec
from pipelines.protocol import Faithfulness

SPEC = load_spec("oral_cancer")
DECODING = DecodeRules.from_spec(SPEC.model_dump(mode="json"))
RULES = ExplanationRules(grid=7, colour=(124, 116, 104), seconds=20)
SIZE = 224
CELL = SIZE // RULES.grid
ORIENTATION = 0x0112
TURNED_BACK = {
    1: [],
    2: [Image.Transpose.FLIP_LEFT_RIGHT],
    3: [Image.Transpose.ROTATE_180],
    4: [Image.Transpose.FLIP_TOP_BOTTOM],
    5: [Image.Transpose.TRANSPOSE],
    6: [Image.Transpose.ROTATE_90],
    7: [Image.Transpose.TRANSVERSE],
    8: [Image.Transpose.ROTATE_270],
}
"""How an upright picture is stored, so that its EXIF orientation makes it upright again."""


class Looks:
    """A member whose score is the share of white in one cell, from `low` up to `high`."""

    def __init__(self, row, column, low=0.05, high=0.95):
        self.row, self.column, self.low, self.high = row, column, low, high

    def __call__(self, views):
        rows = slice(self.row * CELL, (self.row + 1) * CELL)
        columns = slice(self.column * CELL, (self.column + 1) * CELL)
        white = (views[:, rows, columns] > 200).mean(axis=(1, 2, 3))
        return self.low + (self.high - self.low) * white


def asked(*members, sizes=None):
    """What asks members, and notes how many views each call has."""

    def score(views):
        if sizes is not None:
            sizes.append({len(each) for each in views})
        return np.stack([member(each) for member, each in zip(members, views, strict=True)])

    return score


def explained(pixels, *members, rules=RULES, together=4, sizes=None):
    whole = np.array([member(pixels[None])[0] for member in members])
    return explain(pixels, whole, rules, asked(*members, sizes=sizes), together)


def with_white(row, column, size=(SIZE, SIZE)):
    """A dark picture with one white cell of the grid."""
    picture = Image.new("RGB", size, (40, 30, 30))
    width, height = size[0] / RULES.grid, size[1] / RULES.grid
    box = (column * width, row * height, (column + 1) * width, (row + 1) * height)
    picture.paste((255, 255, 255), tuple(map(round, box)))
    return picture


def test_a_map_finds_the_one_cell_that_a_member_looks_at():
    pixels = np.asarray(with_white(1, 5))
    found = explained(pixels, Looks(1, 5), Looks(6, 0))

    assert found.cells.shape == (2, 7, 7)
    assert found.cells.dtype == np.float32
    expected = np.zeros((7, 7), np.float32)
    expected[1, 5] = 0.9
    np.testing.assert_allclose(found.cells[0], expected, atol=1e-6)
    # The other member looks at a cell that is dark anyway.
    np.testing.assert_allclose(found.cells[1], 0, atol=1e-6)


@pytest.mark.parametrize("orientation", TURNED_BACK)
def test_the_cell_is_found_where_the_upright_photo_has_it(orientation):
    picture = with_white(2, 4, (7 * 60, 7 * 40))
    for turn in TURNED_BACK[orientation]:
        picture = picture.transpose(turn)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = io.BytesIO()
    picture.save(file, "PNG", exif=exif)
    pixels = decode(file.getvalue(), DECODING).pixels

    found = explained(pixels, Looks(2, 4))

    assert np.unravel_index(found.cells[0].argmax(), (7, 7)) == (2, 4)
    assert (found.cells[0] > 0.1).sum() == 1


def test_hiding_what_a_member_looks_at_is_faithful_and_hiding_anything_is_not():
    pixels = np.asarray(with_white(3, 3))

    def dislikes_paint(views):
        """Falls the further the more of the view is painted over."""
        painted = (views == RULES.colour).all(axis=3).mean(axis=(1, 2))
        return 0.9 - 4 * painted

    def steady(views):
        return np.full(len(views), 0.97)

    found = explained(pixels, Looks(3, 3), dislikes_paint, steady).faithfulness

    assert found[:, Faithfulness.FAITHFUL].tolist() == [1, 0, 0]
    np.testing.assert_allclose(found[0, :3], [0.95, 0.05, 0.95], atol=1e-6)
    hidden = 0.9 - 4 * 5 / 49
    np.testing.assert_allclose(found[1, :3], [0.9, hidden, hidden], atol=1e-6)
    np.testing.assert_allclose(found[2, :3], 0.97, atol=1e-6)


@pytest.mark.parametrize(("high", "faithful"), [(0.11, 1), (0.09, 0)])
def test_a_score_that_hardly_moves_is_not_faithful(high, faithful):
    pixels = np.asarray(with_white(0, 0))
    found = explained(pixels, Looks(0, 0, low=0.05, high=high))
    assert found.faithfulness[0, Faithfulness.FAITHFUL] == faithful


def test_a_cell_that_speaks_against_the_class_is_below_zero():
    pixels = np.asarray(with_white(5, 2))
    found = explained(pixels, Looks(5, 2, low=0.8, high=0.3))
    assert found.cells[0, 5, 2] == pytest.approx(-0.5)
    assert (found.cells[0] >= -0.5 - 1e-6).all()


def test_members_are_asked_in_small_calls_and_as_often_as_is_counted():
    for grid in (3, 7, 16):
        sizes = []
        rules = ExplanationRules(grid=grid, colour=RULES.colour, seconds=20)
        explained(
            np.zeros((SIZE, SIZE, 3), np.uint8), Looks(0, 0), Looks(1, 1), rules=rules, sizes=sizes
        )
        views = [next(iter(each)) for each in sizes if len(each) == 1]
        assert max(views) <= 4
        assert sum(views) == explained_views(grid)


def test_cells_cover_each_pixel_once_where_sides_do_not_divide_evenly():
    pixels = np.zeros((50, 33, 3), np.uint8)
    painted = []

    def all_of(views):
        painted.extend((view == RULES.colour).all(axis=2) for view in views)
        return np.full(len(views), 0.5)

    explained(pixels, all_of)
    # The first is the whole image.
    np.testing.assert_array_equal(np.sum(painted[1 : 1 + 49], axis=0), 1)


def test_the_same_photo_has_the_same_explanation():
    pixels = np.asarray(with_white(4, 4))
    one, other = explained(pixels, Looks(4, 4)), explained(pixels, Looks(4, 4), together=1)
    np.testing.assert_array_equal(one.cells, other.cells)
    np.testing.assert_array_equal(one.faithfulness, other.faithfulness)


def test_the_colour_that_hides_is_training_s_mean():
    assert ExplanationRules.from_spec(SPEC.model_dump(mode="json")) == RULES
    none = SPEC.model_copy(update={"explanation": None}).model_dump(mode="json")
    assert ExplanationRules.from_spec(none) is None
