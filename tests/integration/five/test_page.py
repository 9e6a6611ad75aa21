"""The page before real detectors: what is drawn and said is what the API answers."""

import httpx
import pytest

from tests.chromium import Tab, launched, photo


@pytest.fixture(scope="module")
def chromium():
    with launched() as browser:
        yield browser


def told(score):
    """What is not certain never reads as if it were."""
    return "> 0.99" if 0.995 <= score < 1 else f"{score:.2f}"


def drawn(tab):
    """The boxes over the photo, in the pixels of the answer."""
    sides = "one => ['x', 'y', 'width', 'height'].map(side => Number(one.getAttribute(side)))"
    for x, y, width, height in tab.page.locator(".box-line").evaluate_all(
        f"all => all.map({sides})"
    ):
        yield [x, y, x + width, y + height]


def outlined(tab):
    """The boxes around the masks over the photo; None of one that has no pixel."""
    sides = "({ x, y, width, height }) => width * height > 0 ? { x, y, width, height } : null"
    boxes = f"all => all.map(one => one.getBBox()).map({sides})"
    return tab.page.locator("path.mask").evaluate_all(boxes)


def within(outline, box):
    """Up to the pixel around a box that a mask is pasted with, and the one that the box cuts."""
    (x1, y1, x2, y2), beyond = box, 2
    across = x1 - beyond <= outline["x"] and outline["x"] + outline["width"] <= x2 + beyond
    low, high = y1 - beyond, y2 + beyond
    return across and low <= outline["y"] and outline["y"] + outline["height"] <= high


@pytest.mark.parametrize("name", ["object_detection", "cervical_lesions"])
def test_findings_are_those_of_the_api(chromium, ready, five, name):
    tab = Tab(chromium, ready.url)
    tab.open()
    tab.page.select_option("#pipeline", name)
    files = five.photos[:6]
    tab.choose(*(photo(data, f"{at}.img") for at, data in enumerate(files)))
    tab.page.wait_for_function(
        "() => document.querySelector('.progress-words').textContent.startsWith('6 of 6')",
        timeout=120_000,
    )
    seen = 0
    for at, data in enumerate(files):
        path = f"{ready.url}/api/v1/pipelines/{name}/predict"
        answer = httpx.post(path, files={"file": data}, timeout=60).json()
        tab.page.click(f".entry:nth-child({at + 1}) button")
        tab.wait_for_text("#answer-title", f"{at}.img")
        expected = [
            f"{number} {found['class']} {told(found['score'])}"
            for number, found in enumerate(answer["predictions"], start=1)
        ]
        words = tab.text(".headline-words")
        count = len(expected)
        said = f"{count} finding{'s' if count > 1 else ''}:" if count else "Nothing found"
        assert words.startswith(said)
        tab.page.wait_for_selector(".overlay", state="attached")
        assert tab.texts(".chip") == expected
        rows = [row.split() for row in tab.texts("tbody tr")]
        assert [row[:2] for row in rows] == [text.split()[:2] for text in expected]
        for found, box in zip(answer["predictions"], drawn(tab), strict=True):
            assert box == pytest.approx(found["box"], abs=0.01)
        outlines = outlined(tab)
        assert len(outlines) == sum("mask" in found for found in answer["predictions"])
        for found, outline in zip(answer["predictions"], outlines, strict=False):
            assert outline is None or within(outline, found["box"])
        seen += count
    assert seen
    tab.close()
