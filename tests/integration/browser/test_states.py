"""Every state of the page: no violation of accessibility, nothing cut off, in both themes."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests import photos
from tests.chromium import PIPELINES, PREDICT, SESSION, Tab, photo
from tests.integration.browser import answers

PHOTO = photos.encoded(photos.photo(3), "JPEG")
MASK = {"size": [8, 8], "counts": "08858"}


def sending(tab: Tab) -> None:
    """No answer comes; the browser says that all was sent."""
    tab.route(PREDICT, lambda _: None)
    tab.choose(photo(PHOTO), photo(PHOTO), photo(PHOTO), photo(PHOTO))
    tab.page.wait_for_selector(".entry.is-waiting")


def busy(tab: Tab) -> None:
    refused = answers.problem(429, "busy", "request: too many. Wait as Retry-After says.")
    tab.answer(PREDICT, refused, 429, retry_after="60")
    tab.choose(photo(PHOTO))
    tab.wait_for_text("[role=alert]", "Next try in")


def lesions() -> dict[str, Any]:
    return answers.described("cervical_lesions")


def lesions_found() -> dict[str, Any]:
    head = answers.found([1, 1, 40, 30.5], mask=MASK, polygons=[[1, 1, 40, 1, 20, 30.5]])
    low = answers.found([250, 190, 300, 230], "mosaic", 0.61)
    return answers.detections(head, low, width=320, height=240)


def answered(make: Callable[[], dict[str, Any]]) -> Callable[[Tab], None]:
    def show(tab: Tab) -> None:
        answer = make()
        tab.answer(PREDICT, answer)
        tab.choose(photo(PHOTO, "left cheek.jpg"))
        tab.page.wait_for_selector(".headline")
        if answer.get("predictions"):
            tab.page.wait_for_selector(".chip")
        tab.page.click(".facts summary")

    return show


def not_an_image(tab: Tab) -> None:
    tab.answer(PREDICT, answers.problem(415, "image_format"), 415)
    tab.choose(photo(b"no image", "notes.txt", "text/plain"))
    tab.page.wait_for_selector(".answer .notice")


def gone(tab: Tab) -> None:
    tab.route("**/healthz", lambda route: route.abort())
    tab.route(PREDICT, lambda route: route.abort())
    tab.choose(photo(PHOTO), photo(PHOTO))
    tab.wait_for_text("[role=alert]", "cannot be reached")


def correcting(tab: Tab) -> None:
    answered(lesions_found)(tab)
    tab.page.click("text=Say what is right")
    tab.page.wait_for_selector(".finding .box-row")


def reading_first(tab: Tab) -> None:
    tab.answer(PREDICT, answers.decision())
    tab.page.check(".mode input")
    tab.choose(photo(PHOTO, "left cheek.jpg"))
    tab.page.wait_for_selector(".finding")


def looking_back(tab: Tab) -> None:
    tab.answer("**/api/v1/feedback?*", answers.cases())
    tab.page.click("text=History")
    tab.page.wait_for_selector("tbody tr")


def operating(tab: Tab) -> None:
    tab.answer("**/api/v1/usage?*", answers.usage())
    tab.answer("**/api/v1/served", answers.served(answers.described()["release"]))
    tab.answer("**/api/v1/audit?*", {"rows": [answers.audit_row()], "next": None})
    tab.page.click("nav >> text=Operate")
    for part in ("served", "live", "usage"):
        tab.page.wait_for_selector(f"#{part}-title ~ .table-frame tbody tr")
    tab.page.click("details summary")
    tab.page.click(".sheet form button")
    tab.page.click(".is-code")
    tab.page.wait_for_selector(".whole-row")


def comparing(tab: Tab) -> None:
    tab.answer(PREDICT, lesions_found())
    tab.page.click("nav >> text=Compare")
    tab.choose(photo(PHOTO, "left cheek.jpg"))
    tab.page.click("text=Compare on left cheek.jpg")
    tab.page.wait_for_selector(".pair .chip")


def comparing_releases(tab: Tab) -> None:
    tab.answer("**/api/v1/releases", answers.loaded())
    tab.route(
        "**/api/v1/pipelines/oral_cancer", lambda route: route.fulfill(json=answers.described())
    )
    tab.route(
        PREDICT,
        lambda route: route.fulfill(
            json=answers.decision(release=route.request.headers["x-release"])
        ),
    )
    tab.page.click("nav >> text=Compare")
    tab.page.select_option("#compare-left", "oral_cancer release 1-3fa9c2d1")
    tab.page.select_option("#compare-right", "oral_cancer release 2-9c1e44d0")
    tab.choose(photo(PHOTO, "left cheek.jpg"))
    tab.page.click("text=Compare on left cheek.jpg")
    tab.page.wait_for_selector(".comparison .is-different")


def not_naming_releases(tab: Tab) -> None:
    tab.answer("**/api/v1/releases", answers.problem(403, "forbidden"), 403)
    tab.page.click("nav >> text=Compare")
    tab.wait_for_text(".note", "your key does not allow to name")


def looked(tab: Tab) -> None:
    answered(answers.decision)(tab)
    tab.answer(PREDICT, answers.explained((1, 5), (4, 0), faithful=False))
    tab.page.click("text=Show where it looked")
    tab.page.wait_for_selector(".heat")


def session_over(tab: Tab) -> None:
    tab.answer(PREDICT, answers.problem(401, "unauthorized"), 401)
    tab.choose(photo(PHOTO))
    tab.wait_for_text("form.login [role=alert]", "login is over")


def logging_in(tab: Tab) -> None:
    tab.answer(SESSION, answers.problem(401, "unauthorized"), 401)
    tab.answer("**/api/v1/session/ways", {"oidc": True, "logout": None})
    tab.page.goto("about:blank")
    tab.page.goto(f"{tab.url}/#login=stale")
    tab.wait_for_text("form.login [role=alert]", "The login took too long")


def gone_at_the_start(tab: Tab) -> None:
    tab.route(PIPELINES, lambda route: route.abort())
    tab.page.reload()
    tab.wait_for_text("[role=alert]", "cannot be reached")


def keeping(tab: Tab) -> None:
    tab.page.check("#keep")
    answered(lambda: answers.decision(kept=True))(tab)
    tab.page.wait_for_selector("text=Delete the kept photo")


def demo(tab: Tab) -> None:
    answered(lambda: answers.decision(weights="demo"))(tab)


STATES: dict[str, tuple[Callable[[], dict[str, Any]], Callable[[Tab], None]]] = {
    "empty": (answers.described, lambda _: None),
    "demo": (lambda: answers.described(weights="demo"), demo),
    "sending": (answers.described, sending),
    "busy": (answers.described, busy),
    "answered": (answers.described, answered(answers.decision)),
    "uncertain": (
        answers.described,
        answered(lambda: answers.decision("high", quality=answers.quality(answers.BLURRED))),
    ),
    "atypical": (
        answers.described,
        answered(lambda: answers.decision("high", input=answers.ATYPICAL)),
    ),
    "findings": (lesions, answered(lesions_found)),
    "nothing found": (lesions, answered(lambda: answers.detections(width=320, height=240))),
    "not an image": (answers.described, not_an_image),
    "gone": (answers.described, gone),
    "gone at the start": (answers.described, gone_at_the_start),
    "correcting": (lesions, correcting),
    "reading first": (answers.described, reading_first),
    "looking back": (answers.described, looking_back),
    "operating": (answers.described, operating),
    "looked": (answers.described, looked),
    "comparing": (lesions, comparing),
    "comparing releases": (answers.described, comparing_releases),
    "not naming releases": (answers.described, not_naming_releases),
    "keeping": (lambda: answers.described(keep_images={"days": 180}), keeping),
    "session over": (answers.described, session_over),
    "logging in": (answers.described, logging_in),
}


@pytest.mark.parametrize("state", STATES)
def test_a_state_is_accessible_at_each_width_and_theme(open_tab, axe, state):
    pipeline, show = STATES[state]
    tab = open_tab(pipeline())
    show(tab)
    found = {}
    for width in (1280, 360):
        tab.page.set_viewport_size({"width": width, "height": 900})
        across = tab.page.evaluate("() => document.scrollingElement.scrollWidth")
        assert across <= width, "it has to be scrolled sideways"
        for theme in ("light", "dark"):
            tab.page.emulate_media(color_scheme=theme)
            found[width, theme] = axe(tab)
    assert found == {shown: [] for shown in found}


@pytest.mark.parametrize("state", ["empty", "looked", "findings", "session over"])
def test_all_that_is_pressed_is_large_enough_for_a_finger(open_tab, state):
    pipeline, show = STATES[state]
    tab = open_tab(pipeline(), viewport={"width": 360, "height": 800}, has_touch=True)
    show(tab)
    sizes = tab.page.evaluate(
        """() => [...document.querySelectorAll("button, select, input:not([hidden]), summary")]
            .map((one) => [one.outerHTML.slice(0, 80), one.closest("label") ?? one])
            .map(([text, pressed]) => [text, pressed.getBoundingClientRect().height])"""
    )
    assert len(sizes) > 2
    assert [one for one, height in sizes if height < 44] == []


def test_twice_the_text_size_is_not_cut_off_at_360_pixels(open_tab):
    pipeline, show = STATES["findings"]
    tab = open_tab(pipeline(), viewport={"width": 360, "height": 800})
    show(tab)
    tab.page.evaluate("() => (document.documentElement.style.fontSize = '200%')")
    assert tab.page.evaluate("() => document.scrollingElement.scrollWidth") <= 360


def test_a_wide_screen_shows_photos_photo_and_answer_side_by_side(open_tab):
    pipeline, show = STATES["findings"]
    tab = open_tab(pipeline(), viewport={"width": 3840, "height": 2160})
    show(tab)
    lefts = [tab.page.locator(part).bounding_box()["x"] for part in (".side", ".viewer", ".answer")]
    assert lefts == sorted(set(lefts))
    assert tab.page.evaluate("() => document.scrollingElement.scrollWidth") <= 3840


def test_the_demo_banner_cannot_be_closed(open_tab):
    pipeline, show = STATES["demo"]
    tab = open_tab(pipeline())
    assert "mean nothing clinically" in tab.text(".demo")
    show(tab)
    assert "mean nothing clinically" in tab.text(".demo")
    assert tab.page.locator(".demo button, .demo a, .demo input").count() == 0


def test_without_demo_weights_there_is_no_banner(open_tab):
    assert open_tab().page.locator(".demo").count() == 0


def test_what_was_found_is_said_in_words_and_drawn(open_tab):
    pipeline, show = STATES["findings"]
    tab = open_tab(pipeline())
    show(tab)
    words = "2 findings: acetowhite 0.93, upper left; mosaic 0.61, lower right"
    assert tab.text(".headline-words") == words
    assert tab.texts(".chip") == ["1 acetowhite 0.93", "2 mosaic 0.61"]
    assert tab.texts("tbody th, tbody td")[:4] == ["1", "acetowhite", "0.93", "upper left"]
    assert tab.texts(".distribution li") == ["acetowhite 1", "punctation 0", "mosaic 1"]
    # Dashes tell the classes apart where colours do not.
    lines = tab.page.locator(".box-line")
    dashes = [lines.nth(at).get_attribute("stroke-dasharray") for at in range(2)]
    assert len(set(dashes)) == 2


def test_many_findings_are_counted_in_the_list_and_none_reads_as_certain(open_tab):
    tab = open_tab(lesions())
    objects = [answers.found([250.0, 20.0 + at, 300.0, 60.0], score=0.9996) for at in range(5)]
    answered(lambda: answers.detections(*objects, width=320, height=240))(tab)
    assert tab.texts(".entry-state") == ["✓ 5 findings: acetowhite 5"]
    assert tab.texts(".chip")[0] == "1 acetowhite > 0.99"
    assert "acetowhite > 0.99, upper right" in tab.text(".headline-words")
    frame = tab.page.locator(".frame").bounding_box()
    for chip in tab.page.locator(".chip").all():
        box = chip.bounding_box()
        assert box["x"] + box["width"] <= frame["x"] + frame["width"]


def test_the_slider_of_findings_hides_some_and_says_that_the_record_stays(open_tab):
    pipeline, show = STATES["findings"]
    tab = open_tab(pipeline())
    show(tab)
    before = len(tab.asked())
    tab.page.fill("#threshold", "0.7")
    assert tab.texts(".chip") == ["1 acetowhite 0.93"]
    note = tab.text("#threshold-note")
    assert "1 finding below it is hidden." in note
    assert "not the recorded decision" in note
    tab.page.click(".threshold button")
    assert len(tab.texts(".chip")) == 2
    assert len(tab.asked()) == before


def test_the_slider_of_a_decision_says_what_it_would_be_and_that_the_record_stays(open_tab):
    tab = open_tab()
    barely = {"healthy": 0.4, "cancer": 0.6}
    answered(lambda: answers.decision(confidence=0.6, probabilities=barely))(tab)
    assert tab.texts("tbody td:nth-child(2)") == ["cancer", "cancer"]
    tab.page.fill("#threshold", "0.94")
    note = tab.text("#threshold-note")
    assert "With it the answer would be healthy; recorded is cancer." in note
    assert "not the recorded decision" in note
    assert tab.texts("tbody td:nth-child(2)") == ["cancer", "healthy"]
    # The recorded decision itself never moves.
    assert tab.text(".headline-class") == "cancer"
    assert len(tab.asked()) == 1


def test_top_classes_are_shown_first_and_all_on_request(open_tab):
    snakes = answers.described("snake_species")
    most = snakes["classes"][2]
    shares = dict.fromkeys(snakes["classes"], 0.1) | {most: 0.6}
    answer = answers.decision(
        pipeline="snake_species", prediction=most, probabilities=shares, set=[most], coverage=0.95
    )
    tab = open_tab(snakes)
    answered(lambda: answer)(tab)
    assert tab.texts(".class-name")[0] == f"{most} in the set"
    many = len(shares)
    if many > 5:
        assert len(tab.texts(".classes li")) == 5
        tab.page.click(f"text=Show all {many} classes")
    assert len(tab.texts(".classes li")) == many
    assert tab.page.locator("#threshold").count() == 0


@pytest.mark.parametrize(
    ("confidence", "shown"), [(0.99996, "> 99.9%"), (1.0, "100%"), (0.8612, "86.1%")]
)
def test_what_is_not_certain_never_reads_as_if_it_were(open_tab, confidence, shown):
    tab = open_tab()
    answered(lambda: answers.decision(confidence=confidence))(tab)
    assert f"Confidence {shown}." in tab.text(".headline")


def test_german_is_whole_and_the_choice_is_all_that_is_kept(open_tab):
    tab = open_tab(lesions())
    answered(lesions_found)(tab)
    tab.page.select_option("#language", "de")
    tab.page.select_option("#theme", "dark")
    assert tab.page.evaluate("() => document.documentElement.lang") == "de"
    assert tab.text(".headline-words").startswith("2 Befunde: acetowhite 0,93, oben links")
    assert "Kein Medizinprodukt" in tab.text("header")
    english = r"\b(the|photo|models?|score|found|answer|threshold)\b"
    assert not re.findall(english, tab.page.inner_text("main"))
    kept = tab.page.evaluate("() => ({ ...localStorage })")
    assert kept == {"preferences": '{"language":"de","theme":"dark","readFirst":false}'}
    assert tab.page.evaluate("() => sessionStorage.length + document.cookie.length") == 0
    tab.page.reload()
    tab.page.wait_for_selector(".chooser")
    assert tab.page.evaluate("() => document.documentElement.dataset.theme") == "dark"
    assert "Fotos" in tab.text(".chooser h2")


def test_a_browser_in_german_gets_german(open_tab):
    assert "Fotos" in open_tab(locale="de-AT").text(".chooser h2")
    assert "Photos" in open_tab(locale="fr-FR").text(".chooser h2")
