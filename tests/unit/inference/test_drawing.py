"""The picture of what was found: where things are drawn, how large, and in which colours."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from inference.detections import Detections
from inference.drawing import LONGEST, SHORTEST, draw, picture_size
from inference.labels import place
from inference.palette import BLACK, WHITE, colour, text_on

CLASSES = ("circle", "square", "star")
GREY = (128, 128, 128)


def photograph(size, orientation=None):
    file = BytesIO()
    exif = Image.Exif()
    if orientation:
        exif[274] = orientation
    Image.new("RGB", size, GREY).save(file, "PNG", exif=exif)
    return file.getvalue()


def found(*boxes, classes=None, mask=None):
    array = np.array(boxes, np.float32).reshape(-1, 4)
    masks = None if mask is None else np.repeat(mask[None].astype(np.float32), len(array), 0)
    scores = np.linspace(0.9, 0.5, len(array), dtype=np.float32)
    labels = np.array(classes or [0] * len(array), np.int32)
    return Detections(array, scores, labels, masks, array)


def drawn(size, detections, orientation=None):
    with Image.open(BytesIO(draw(photograph(size, orientation), detections, CLASSES))) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def covered(pixels, rgb):
    """Left, top, right, bottom of where a colour is."""
    rows, columns = np.nonzero((pixels == rgb).all(axis=-1))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize(
    ("size", "picture"),
    [
        ((1920, 1080), (1920, 1080)),
        ((4000, 3000), (2048, 1536)),
        ((300, 500), (448, 747)),
        ((1, 1), (448, 448)),
        ((448, 448), (448, 448)),
        ((40, 2000), (41, 2048)),
        ((50000, 1), (2048, 1)),
    ],
)
def test_large_photographs_are_reduced_and_small_ones_enlarged(size, picture):
    assert picture_size(size) == picture
    assert max(picture) <= LONGEST or min(picture) <= SHORTEST


@pytest.mark.parametrize("size", [(1920, 1080), (300, 500), (4000, 3000), (60, 48)])
def test_a_box_is_drawn_where_it_is(size):
    width, height = size
    box = (width * 0.25, height * 0.5, width * 0.75, height * 0.9)
    pixels = drawn(size, found(box))
    scale = pixels.shape[1] / width
    x1, y1, x2, y2 = covered(pixels[int(box[1] * scale) - 1 :], colour(0))
    y1, y2 = y1 + int(box[1] * scale) - 1, y2 + int(box[1] * scale) - 1
    assert (x1, y1, x2, y2) == pytest.approx(np.array(box) * scale, abs=2)


def test_a_photograph_is_turned_before_it_is_drawn_on():
    pixels = drawn((600, 500), found((100, 400, 300, 550)), orientation=6)
    assert pixels.shape == (600, 500, 3)
    assert covered(pixels[398:], colour(0))[:1] + covered(pixels[398:], colour(0))[2:3] == (
        pytest.approx(100, abs=2),
        pytest.approx(300, abs=2),
    )


def test_a_mask_tints_what_lies_under_it_and_nothing_else():
    inner = np.zeros((28, 28))
    inner[7:21, 7:21] = 1
    pixels = drawn((800, 600), found((200, 100, 600, 500), mask=inner))
    assert tuple(pixels[300, 400]) != GREY
    assert not np.array_equal(pixels[300, 400], colour(0))  # the photograph shines through
    assert tuple(pixels[140, 580]) == GREY  # in the box, not in the mask
    assert tuple(pixels[50, 700]) == GREY


def test_nothing_found_is_the_photograph_itself():
    assert (drawn((640, 480), found()) == GREY).all()
    assert (drawn((640, 480), found(mask=np.zeros((28, 28)))) == GREY).all()


@pytest.mark.parametrize("size", [(1, 1), (3, 800), (800, 3), (20, 30)])
def test_photographs_of_any_shape_can_be_drawn_on(size):
    box = (0, 0, *size)
    pixels = drawn(size, found(box, box, mask=np.ones((28, 28))))
    assert pixels.shape[:2] == picture_size(size)[::-1]


def test_classes_have_colours_of_their_own():
    pixels = drawn((800, 600), found((50, 200, 300, 500), (450, 200, 750, 500), classes=[0, 2]))
    assert (pixels[:, :400] == colour(0)).all(axis=-1).any()
    assert (pixels[:, 400:] == colour(2)).all(axis=-1).any()
    assert not (pixels[:, 400:] == colour(0)).all(axis=-1).any()


def test_labels_of_a_crowd_do_not_cover_each_other():
    taken = []
    for index in range(12):
        box = (300.0 + index, 200.0 + index, 500.0, 400.0)
        taken.append(place((120, 24), box, (1000, 700), taken))
    for index, (left, top, right, bottom) in enumerate(taken):
        assert 0 <= left < right <= 1000
        assert 0 <= top < bottom <= 700
        for other in taken[:index]:
            apart = left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]
            assert apart


@pytest.mark.parametrize("box", [(0, 0, 30, 30), (980, 690, 1000, 700), (0, 690, 20, 700)])
def test_a_label_at_the_edge_stays_within_the_picture(box):
    left, top, right, bottom = place((120, 24), box, (1000, 700), [])
    assert left >= 0
    assert top >= 0
    assert right <= 1000
    assert bottom <= 700


def test_text_stands_out_from_every_colour():
    assert text_on(WHITE) == BLACK
    assert text_on(BLACK) == WHITE
    assert {text_on(colour(index)) for index in range(7)} == {BLACK, WHITE}
    assert len({colour(index) for index in range(7)}) == 7
    assert colour(7) == colour(0)
