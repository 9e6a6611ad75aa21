"""Boxes and masks sit on what they mean: for every orientation, device, size and zoom."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps
from pycocotools import mask as coco

from tests.chromium import PREDICT, photo
from tests.integration.browser import answers

GREEN = (0, 255, 0)
EXPLAIN = "**/predict/advanced?explain=true"


def lesions():
    """The pipeline, for photos of any size."""
    return answers.described("cervical_lesions", limits={"bytes": 10**8, "pixels": 10**8})


def with_landmark(width, height, box, orientation=1, form="JPEG"):
    """A file whose upright picture has a green box; stored as the orientation says."""
    upright = Image.new("RGB", (width, height))
    x1, y1, x2, y2 = box
    upright.paste(GREEN, (x1, y1, x2, y2))
    # What undoes each orientation is its own inverse but for the two quarter turns.
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    tagged = upright.copy()
    tagged.getexif()[0x0112] = inverse
    stored = ImageOps.exif_transpose(tagged)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = io.BytesIO()
    stored.save(
        data, form, exif=exif, **({"quality": 100, "subsampling": 0} if form == "JPEG" else {})
    )
    return data.getvalue()


def rle(width, height, box):
    filled = np.zeros((height, width), np.uint8, order="F")
    x1, y1, x2, y2 = box
    filled[y1:y2, x1:x2] = 1
    packed = coco.encode(filled)
    return {"size": packed["size"], "counts": packed["counts"].decode()}


def shown(tab, data, width, height, box):
    polygon = [box[0], box[1], box[2], box[1], box[2], box[3], box[0], box[3]]
    object_ = answers.found(
        [float(v) for v in box], mask=rle(width, height, box), polygons=[polygon]
    )
    tab.answer(PREDICT, answers.detections(object_, width=width, height=height))
    tab.choose(photo(data))
    tab.page.wait_for_selector(".stage[data-ready=yes] .overlay")
    tab.page.evaluate("() => document.querySelector('.stage img').decode()")


def landmark(tab):
    """Where the green is on the screen, in device pixels, without the overlay."""
    tab.page.evaluate(
        "() => document.querySelectorAll('.overlay, .chip').forEach((e) => { e.style.opacity = 0 })"
    )
    picture = tab.page.locator(".frame").screenshot(animations="disabled")
    tab.page.evaluate(
        "() => document.querySelectorAll('.overlay, .chip').forEach((e) => { e.style.opacity = 1 })"
    )
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)
    # Halfway between black and green is the edge, however much the photo is enlarged.
    green = pixels[..., 1] - pixels[..., 0] > 127
    ys, xs = np.nonzero(green)
    assert xs.size, "the landmark is not in sight"
    return np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])


def drawn(tab, selector, ratio):
    """Where a shape of the overlay is within the frame, in device pixels, without its line."""
    edges = tab.page.evaluate(
        """(selector) => {
            const frame = document.querySelector(".frame").getBoundingClientRect();
            const shape = document.querySelector(selector);
            const { x, y, width, height } = shape.getBBox();
            const matrix = shape.getScreenCTM();
            const corners = [[x, y], [x + width, y + height]].map(([left, top]) =>
                new DOMPoint(left, top).matrixTransform(matrix));
            return corners.flatMap((corner) => [corner.x - frame.x, corner.y - frame.y]);
        }""",
        selector,
    )
    return np.array(edges) * ratio


def assert_on_the_landmark(tab, ratio=1):
    expected = landmark(tab)
    for selector in (".box-line", ".mask", ".outline"):
        found = drawn(tab, selector, ratio)
        assert np.abs(found - expected).max() <= 1 + 1e-6, (selector, found, expected)


@pytest.mark.parametrize("ratio", [1, 2, 3])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_at_every_device_ratio(open_tab, orientation, ratio):
    tab = open_tab(lesions(), device_scale_factor=ratio)
    box = (40, 30, 180, 90)
    shown(tab, with_landmark(640, 400, box, orientation), 640, 400, box)
    assert_on_the_landmark(tab, ratio)


@pytest.mark.parametrize("form", ["PNG", "AVIF"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_orientations_of_other_formats(open_tab, form, orientation):
    tab = open_tab(lesions())
    box = (40, 30, 180, 90)
    data = with_landmark(640, 400, box, orientation, form)
    shown(tab, data, 640, 400, box)
    assert_on_the_landmark(tab)


@pytest.mark.parametrize("orientation", [2, 3, 6])
def test_a_webp_that_chromium_does_not_turn_has_nothing_drawn_over_it(open_tab, orientation):
    tab = open_tab(lesions())
    box = (40, 30, 180, 90)
    data = with_landmark(640, 400, box, orientation, "WEBP")
    tab.answer(
        PREDICT, answers.detections(answers.found([40.0, 30.0, 180.0, 90.0]), width=640, height=400)
    )
    tab.choose(photo(data, media_type="image/webp"))
    tab.wait_for_text("[role=alert]", "turns the photo otherwise")
    assert tab.page.locator(".overlay, .chip").count() == 0


def test_a_webp_that_needs_no_turning_is_drawn_over(open_tab):
    tab = open_tab(lesions())
    box = (40, 30, 180, 90)
    shown(tab, with_landmark(640, 400, box, 1, "WEBP"), 640, 400, box)
    assert_on_the_landmark(tab)


@pytest.mark.parametrize("size", [(333, 777), (1999, 1501)])
def test_odd_sizes_on_a_phone_and_zoomed(open_tab, size):
    tab = open_tab(lesions(), viewport={"width": 360, "height": 740}, device_scale_factor=3)
    width, height = size
    box = (width // 3, height // 3, width // 3 + 97, height // 3 + 61)
    shown(tab, with_landmark(width, height, box), width, height, box)
    tab.page.locator(".frame").scroll_into_view_if_needed()
    assert_on_the_landmark(tab, 3)
    for _ in range(2):
        tab.page.click(".tools [aria-label=Closer]")
    assert tab.text(".zoom") == "225%"
    # Zooming keeps the middle; the landmark is brought into sight by scrolling, as a finger does.
    tab.page.evaluate(
        """() => {
            const frame = document.querySelector(".frame");
            const line = document.querySelector(".box-line").getBoundingClientRect();
            const { x, y } = frame.getBoundingClientRect();
            frame.scrollBy(line.x - x - 40, line.y - y - 40);
        }"""
    )
    tab.page.wait_for_timeout(100)
    assert_on_the_landmark(tab, 3)


def test_a_photo_of_fifty_megapixels(open_tab):
    tab = open_tab(lesions())
    width, height = 8660, 5774
    box = (1000, 800, 2600, 2000)
    shown(tab, with_landmark(width, height, box), width, height, box)
    assert_on_the_landmark(tab)


def test_a_mask_has_its_holes(open_tab):
    tab = open_tab(lesions())
    filled = np.zeros((60, 80), np.uint8, order="F")
    filled[10:50, 10:70] = 1
    filled[20:40, 30:50] = 0
    packed = coco.encode(filled)
    mask = {"size": packed["size"], "counts": packed["counts"].decode()}
    tab.answer(
        PREDICT,
        answers.detections(answers.found([10.0, 10.0, 70.0, 50.0], mask=mask), width=80, height=60),
    )
    tab.choose(photo(with_landmark(80, 60, (0, 0, 5, 5))))
    tab.page.wait_for_selector(".mask")
    inside = tab.page.evaluate(
        """() => {
            const path = document.querySelector(".mask");
            const rows = [];
            for (let y = 0; y < 60; y += 1)
                for (let x = 0; x < 80; x += 1)
                    rows.push(path.isPointInFill(new DOMPoint(x + 0.5, y + 0.5)) ? 1 : 0);
            return rows;
        }"""
    )
    assert np.array_equal(np.array(inside).reshape(60, 80), filled)


def test_a_photo_that_the_browser_turns_otherwise_has_nothing_drawn_over_it(open_tab):
    tab = open_tab(lesions())
    box = (40, 30, 180, 90)
    tab.answer(
        PREDICT, answers.detections(answers.found([40.0, 30.0, 90.0, 90.0]), width=400, height=640)
    )
    tab.choose(photo(with_landmark(640, 400, box)))
    tab.wait_for_text("[role=alert]", "turns the photo otherwise")
    assert tab.page.locator(".overlay, .chip").count() == 0
    assert tab.text(".headline-words").startswith("1 finding")


def test_a_format_that_the_browser_cannot_show_has_its_answer_all_the_same(open_tab):
    tab = open_tab(lesions())
    tab.answer(
        PREDICT, answers.detections(answers.found([40.0, 30.0, 90.0, 90.0]), width=400, height=640)
    )
    tab.choose(photo(b"II*\0 a TIFF, or HEIC", "photo.heic", "image/heic"))
    tab.wait_for_text(".unseen", "cannot show this format")
    assert tab.text(".headline-words").startswith("1 finding: acetowhite 0.93")
    assert tab.texts(".chip") == ["1 acetowhite 0.93"]


def test_the_photo_alone_is_seen_on_request(open_tab):
    tab = open_tab(lesions())
    box = (40, 30, 180, 90)
    shown(tab, with_landmark(640, 400, box), 640, 400, box)
    tab.page.click("text=Photo alone")
    assert tab.page.locator(".overlay, .chip").count() == 0
    tab.page.click("text=Photo alone")
    assert tab.page.locator(".chip").count() == 1


def cell(row, column, width, height):
    """A cell of a map of 7 x 7, in pixels of the photo."""
    edges = (column * width, row * height, (column + 1) * width, (row + 1) * height)
    return tuple(edge // 7 for edge in edges)


def test_a_map_lies_over_a_turned_photo_and_says_in_words_what_it_shows(open_tab):
    tab = open_tab(answers.described())
    tab.answer(PREDICT, answers.decision())
    # Kept in the file as orientation 6 has it: the browser turns it, as the service does.
    box = cell(1, 5, 700, 420)
    tab.choose(photo(with_landmark(700, 420, box, 6)))
    tab.page.wait_for_selector(".headline")
    assert tab.page.locator(".heat").count() == 0
    looked = "section:has(#looked-title)"
    assert "a request of its own, which is recorded and counts as 55 images" in tab.text(looked)

    tab.answer(EXPLAIN, answers.problem(429, "busy"), 429, retry_after="5")
    go = tab.page.locator(f"{looked} button")
    go.focus()
    tab.page.keyboard.press("Enter")
    tab.wait_for_text(looked, "The service is busy")
    tab.answer(EXPLAIN, answers.explained((1, 5), (4, 0)))
    tab.page.click(f"{looked} >> text=Try again")
    tab.page.wait_for_selector(".heat")

    expected = landmark(tab)
    assert np.abs(drawn(tab, ".heat .is-hottest", 1) - expected).max() <= 1 + 1e-6
    words = tab.text(looked)
    assert "vgg16 gives cancer 0.97" in words
    assert "upper right (0.56)" in words
    assert (
        "Hiding the hottest tenth lowers cancer from 0.97 to 0.41; hiding a random tenth to 0.95"
        in words
    )
    assert "Do not rely on this map" not in words
    assert "Asked again" not in words
    first, other = [each for each in tab.asked() if "/predict/" in each.url][0::2][:2]
    assert "explain" not in first.url
    assert other.headers["idempotency-key"] != first.headers["idempotency-key"]

    tab.page.check(f"{looked} input >> nth=1")
    tab.wait_for_text(looked, "regnet gives cancer 0.93")
    tab.wait_for_text(looked, "middle left (0.56)")
    tab.page.click(f"{looked} >> text=Map over the photo")
    tab.page.wait_for_selector(".heat", state="detached")


def test_a_map_that_is_not_faithful_and_another_answer_are_said_so(open_tab):
    tab = open_tab(answers.described(), locale="de-DE")
    tab.answer(PREDICT, answers.decision())
    tab.choose(photo(with_landmark(700, 420, (0, 0, 100, 60))))
    tab.page.wait_for_selector(".headline")
    found = answers.explained((0, 0), (0, 0), faithful=False, release="2-00000000")
    tab.answer(EXPLAIN, found)
    looked = "section:has(#looked-title)"
    tab.page.click(f"{looked} button")
    tab.wait_for_text(f"{looked} .notice", "Verlassen Sie sich nicht auf diese Karte")
    tab.wait_for_text(f"{looked} .notice", "2-00000000")


def test_who_cannot_be_explained_has_no_such_button(open_tab):
    described = answers.described()
    del described["explanation"]
    tab = open_tab(described)
    tab.answer(PREDICT, answers.decision())
    tab.choose(photo(with_landmark(700, 420, (0, 0, 100, 60))))
    tab.page.wait_for_selector(".headline")
    assert tab.page.locator("#looked-title").count() == 0
