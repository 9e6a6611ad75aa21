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


@pytest.mark.parametrize("name", ["object_detection", "cervical_lesions"])
def test_findings_are_those_of_the_api(chromium, everything, five, name):
    tab = Tab(chromium, everything.url)
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
        path = f"{everything.url}/api/v1/pipelines/{name}/predict"
        answer = httpx.post(path, files={"file": data}, timeout=60).json()
        tab.page.click(f".entry:nth-child({at + 1}) button")
        expected = [
            f"{number} {found['class']} {told(found['score'])}"
            for number, found in enumerate(answer["predictions"], start=1)
        ]
        words = tab.text(".headline-words")
        count = len(expected)
        said = f"{count} finding{'s' if count > 1 else ''}:" if count else "Nothing found"
        assert words.startswith(said)
        if tab.page.locator(".unseen").count() == 0:
            tab.page.wait_for_selector(".overlay")
        assert tab.texts(".chip") == expected
        seen += count
    assert seen
    tab.close()
