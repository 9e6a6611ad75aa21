"""What people say of a photo: before the models' answer, to correct it, and later on."""

import json

import pytest

from tests import photos
from tests.chromium import PIPELINES, PREDICT, Tab, photo
from tests.integration.browser import answers

PHOTO = photos.encoded(photos.photo(3), "JPEG")
FEEDBACK = "**/api/v1/predictions/*/feedback"
RECEIPT = {
    "id": "01a22c92-0000-7000-8000-000000000000",
    "prediction_id": "01a22c91-0000-7000-8000-000000000000",
    "at": "2026-11-30T12:00:00Z",
    "receipt": {"chain": "gateway", "position": 8, "head": "ab" * 32},
}


def lesions():
    return answers.described("cervical_lesions")


def two_lesions():
    mask = {"size": [96, 128], "counts": "08858"}
    first = answers.found([10.0, 10.0, 60.0, 40.0], mask=mask)
    return answers.detections(
        first, answers.found([70.0, 50.0, 110.0, 90.0], "mosaic", 0.6), width=128, height=96
    )


def small_photo():
    return photos.encoded(photos.photo(3).resize((128, 96)), "PNG")


class Recorded:
    """Takes feedback as the service does."""

    def __init__(self, tab) -> None:
        self.paths: list[str] = []
        self.bodies: list = []
        tab.route(FEEDBACK, self._take)

    def _take(self, route) -> None:
        self.paths.append(route.request.url)
        self.bodies.append(route.request.post_data_json)
        route.fulfill(status=201, json=RECEIPT)


def asked(tab: Tab, answer, data=PHOTO) -> None:
    tab.answer(PREDICT, answer)
    tab.choose(photo(data, "left cheek.jpg"))


def test_a_class_and_a_comment_are_recorded_and_may_be_changed(open_tab):
    tab = open_tab()
    recorded = Recorded(tab)
    answer = answers.decision()
    asked(tab, answer)
    tab.page.click("text=Say what is right")
    tab.page.check("input[value=healthy]")
    tab.page.fill("#comment", " Biopsy of May. ")
    tab.page.click("text=Record what is right")
    tab.wait_for_text("[role=status]", "Recorded as right: healthy.")
    (path,) = recorded.paths
    assert f"/predictions/{answer['prediction_id']}/feedback" in path
    assert recorded.bodies == [
        {"kind": "correction", "label": "healthy", "comment": "Biopsy of May."}
    ]
    tab.page.click("text=Change it")
    tab.page.check("input[value=cancer]")
    tab.page.click("text=Record what is right")
    tab.wait_for_text("[role=status]", "Recorded as right: cancer.")
    assert recorded.bodies[1] == {"kind": "correction", "label": "cancer"}
    # What the models said stays.
    assert tab.text(".headline-class") == "cancer"


def test_a_refused_correction_says_why_and_keeps_what_was_written(open_tab):
    tab = open_tab()
    tab.answer(FEEDBACK, answers.problem(404, "prediction_unknown"), 404)
    asked(tab, answers.decision())
    tab.page.click("text=Say what is right")
    tab.page.check("input[value=healthy]")
    tab.page.fill("#comment", "A comment")
    tab.page.click("text=Record what is right")
    tab.wait_for_text(".finding [role=alert]", "does not know this prediction")
    assert tab.page.input_value("#comment") == "A comment"
    assert tab.page.is_checked("input[value=healthy]")


def drag(tab, start, end):
    """In pixels of the photo."""
    editor = tab.page.locator(".is-editor")
    editor.scroll_into_view_if_needed()
    box = editor.bounding_box()
    scale = box["width"] / 128

    def at(point):
        return box["x"] + point[0] * scale, box["y"] + point[1] * scale

    tab.page.mouse.move(*at(start))
    tab.page.mouse.down()
    tab.page.mouse.move(*at(((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)))
    tab.page.mouse.move(*at(end))
    tab.page.mouse.up()


def near(box, expected):
    return all(abs(one - other) <= 1 for one, other in zip(box, expected, strict=True))


def test_boxes_are_moved_resized_drawn_and_removed(open_tab):
    tab = open_tab(lesions())
    recorded = Recorded(tab)
    answer = two_lesions()
    asked(tab, answer, small_photo())
    tab.page.wait_for_selector(".overlay")
    tab.page.click("text=Say what is right")
    tab.page.wait_for_selector(".is-editor")
    drag(tab, (90, 70), (80, 60))
    drag(tab, (10, 10), (20, 15))
    drag(tab, (100, 5), (125, 30))
    assert tab.page.locator(".box-row").count() == 3
    tab.page.select_option("[aria-label='Class of box 3']", "punctation")
    # A click is no box.
    drag(tab, (5, 90), (5, 90))
    assert tab.page.locator(".box-row").count() == 3
    tab.page.click("text=Record what is right")
    tab.wait_for_text("[role=status]", "acetowhite 1, mosaic 1, and punctation 1")
    (body,) = recorded.bodies
    assert body["kind"] == "correction"
    first, second, third = body["objects"]
    assert near(first["box"], [20, 15, 60, 40])
    assert near(second["box"], [60, 40, 100, 80])
    assert near(third["box"], [100, 5, 125, 30])
    assert third["class"] == "punctation"
    # Of a box that was changed, the mask is another one.
    assert "mask" not in first
    tab.page.click("text=Change it")
    for _ in range(3):
        tab.page.click("[aria-label='Remove box 1']")
    tab.page.click("text=Record what is right")
    tab.wait_for_text("[role=status]", "Recorded as right: Nothing found.")
    assert recorded.bodies[1]["objects"] == []


def test_what_was_not_touched_keeps_its_box_and_its_mask(open_tab):
    tab = open_tab(lesions())
    recorded = Recorded(tab)
    answer = two_lesions()
    asked(tab, answer, small_photo())
    tab.page.click("text=Say what is right")
    tab.page.click("text=Record what is right")
    tab.wait_for_text("[role=status]", "Recorded as right")
    expected = [
        {key: value for key, value in found.items() if key in {"class", "box", "mask"}}
        for found in answer["predictions"]
    ]
    assert recorded.bodies[0]["objects"] == expected


def test_a_box_stays_within_the_photo_and_keeps_its_size_at_its_edge(open_tab):
    tab = open_tab(lesions())
    recorded = Recorded(tab)
    asked(tab, two_lesions(), small_photo())
    tab.page.click("text=Say what is right")
    tab.page.wait_for_selector(".is-editor")
    drag(tab, (30, 25), (-60, -60))
    tab.page.click("text=Record what is right")
    tab.wait_for_text("[role=status]", "Recorded as right")
    assert near(recorded.bodies[0]["objects"][0]["box"], [0, 0, 50, 30])


def test_boxes_are_made_by_keyboard_too(open_tab):
    tab = open_tab(lesions())
    recorded = Recorded(tab)
    asked(tab, answers.detections(width=128, height=96), small_photo())
    tab.page.click("text=Say what is right")
    tab.page.focus("text=Add a box")
    tab.page.keyboard.press("Enter")
    for side, value in {"Left": "12", "Top": "8.5", "Right": "64", "Bottom": "200"}.items():
        tab.page.fill(f"[aria-label='{side} of box 1, in pixels']", value)
        tab.page.keyboard.press("Tab")
    tab.page.focus("text=Record what is right")
    tab.page.keyboard.press("Enter")
    tab.wait_for_text("[role=status]", "Recorded as right: acetowhite 1.")
    assert recorded.bodies[0]["objects"] == [{"class": "acetowhite", "box": [12, 8.5, 64, 96]}]


def test_read_first_shows_nothing_of_the_answer_until_the_finding_is_recorded(open_tab):
    tab = open_tab()
    recorded = Recorded(tab)
    tab.page.check(".mode input")
    asked(tab, answers.decision("high", input=answers.ATYPICAL))
    tab.page.wait_for_selector(".finding")
    # Neither in words nor by a mark, nor in a file.
    main = tab.page.inner_text("main").replace("cancer", "", 1)
    for said in ("uncertainty", "Confidence", "learnt from", "probabilit", "95"):
        assert said not in main
    assert tab.page.locator(".is-doubtful, .headline, .bar").count() == 0
    assert tab.page.text_content(".said").strip() == ""
    assert tab.page.get_by_text("Save as CSV").count() == 0
    assert tab.texts(".entry-state") == ["✓ Answered; waits for your finding"]
    assert not any(one.get_attribute("checked") for one in tab.page.locator(".option input").all())
    tab.page.check("input[value=healthy]")
    tab.page.click("text=Record and show the answer")
    tab.wait_for_text(".answer .notice", "You said healthy. The models say cancer.")
    assert recorded.bodies == [{"kind": "before", "label": "healthy"}]
    assert tab.text(".headline-class") == "cancer"
    assert json.loads(tab.page.evaluate("() => localStorage.preferences"))["readFirst"] is True


def test_read_first_of_a_detector_shows_no_box_until_the_readers_are_recorded(open_tab):
    tab = open_tab(lesions())
    recorded = Recorded(tab)
    tab.page.check(".mode input")
    asked(tab, two_lesions(), small_photo())
    tab.page.wait_for_selector(".is-editor")
    assert tab.page.locator(".chip, .box-line, .mask").count() == 0
    drag(tab, (10, 10), (60, 40))
    tab.page.click("text=Record and show the answer")
    tab.wait_for_text(".answer .notice", "You said acetowhite 1.")
    tab.page.wait_for_selector(".chip")  # drawn once the photo's size is known
    assert len(tab.texts(".chip")) == 2
    (body,) = recorded.bodies
    assert body["kind"] == "before"
    assert near(body["objects"][0]["box"], [10, 10, 60, 40])


def test_while_the_finding_is_not_recorded_the_answer_stays_hidden(open_tab):
    tab = open_tab()
    tab.answer(FEEDBACK, answers.problem(503, "unavailable"), 503, retry_after="2")
    tab.page.check(".mode input")
    asked(tab, answers.decision())
    tab.page.check("input[value=healthy]")
    tab.page.click("text=Record and show the answer")
    tab.page.wait_for_selector(".finding [role=alert]")
    assert tab.page.locator(".headline").count() == 0


def test_the_answer_can_be_shown_without_a_finding_which_records_none(open_tab):
    tab = open_tab()
    recorded = Recorded(tab)
    tab.page.check(".mode input")
    asked(tab, answers.decision())
    tab.page.click("text=Show it without mine")
    assert tab.text(".headline-class") == "cancer"
    assert recorded.bodies == []


def test_without_the_role_nothing_is_offered_that_would_be_refused(chromium, lone_gateway):
    tab = Tab(chromium, lone_gateway)
    session = {"name": "ward", "kind": "key", "roles": ["predict"], "pipelines": None}
    tab.answer("**/api/v1/session", session | {"csrf_token": "t"})
    tab.answer(PIPELINES, answers.offered(answers.described()))
    tab.open()
    asked(tab, answers.decision())
    tab.page.wait_for_selector(".headline")
    assert tab.page.locator(".parts, .mode").count() == 0
    assert tab.page.get_by_text("Say what is right").count() == 0
    tab.close()


def test_history_shows_what_was_said_and_filters_it(open_tab, tmp_path):
    tab = open_tab()
    told = [answers.entry("before", "healthy"), answers.entry("correction", "healthy")]
    listed = answers.cases(*told)
    listed["cases"] += answers.cases(level="high")["cases"]
    tab.answer("**/api/v1/feedback?*", listed)
    tab.page.click("text=History")
    tab.wait_for_text("[role=status]", "2 predictions of 2")
    cells = tab.texts("tbody tr:first-child td")
    assert cells[:5] == ["cancer", "95%", "Low uncertainty", "healthy", "healthy"]
    for filtered, count in {"wrong": 1, "open": 1, "high": 1, "all": 2}.items():
        tab.page.select_option("#filter", filtered)
        tab.wait_for_text("[role=status]", f"{count} prediction")
        assert tab.page.locator("tbody tr").count() == count
    with tab.page.expect_request("**/api/v1/feedback?*since=2026-11-30T*") as request:
        tab.page.fill("#since", "2026-11-30")
    assert "pipeline=oral_cancer" in request.value.url
    assert "unlabelled=true" in request.value.url
    with tab.page.expect_download() as saving:
        tab.page.click("text=Save as CSV")
    saving.value.save_as(tmp_path / "history.csv")
    rows = (tmp_path / "history.csv").read_text("utf-8-sig").splitlines()
    assert rows[0] == "prediction_id,at,pipeline,release,prediction,confidence,level,before,right"
    assert rows[1].endswith('"cancer","0.95","low","healthy","healthy"')


def test_history_goes_on_where_a_page_of_it_ends(open_tab):
    tab = open_tab()
    tab.answer("**/api/v1/feedback?*", answers.cases() | {"next": "an-id"})
    tab.page.click("text=History")
    tab.wait_for_text("[role=status]", "1 prediction of 1")
    tab.answer("**/api/v1/feedback?*", answers.cases())
    with tab.page.expect_request("**/api/v1/feedback?*after=an-id*"):
        tab.page.click("text=Load more")
    tab.wait_for_text("[role=status]", "2 predictions of 2")
    assert tab.page.get_by_text("Load more").count() == 0


@pytest.mark.parametrize(("status", "code"), [(503, "unavailable"), (403, "forbidden")])
def test_history_and_usage_say_that_there_is_no_answer(open_tab, status, code):
    tab = open_tab()
    for part, path in {"History": "feedback", "Operate": "usage"}.items():
        tab.answer(f"**/api/v1/{path}?*", answers.problem(status, code), status)
        tab.page.click(f".part:has-text('{part}')")
        tab.page.wait_for_selector("main [role=alert]")


def test_operators_see_what_serves_and_what_it_cost(open_tab):
    tab = open_tab(answers.described(weights="demo"))
    tab.answer("**/api/v1/usage?*", answers.usage())
    tab.page.click("text=Operate")
    tab.page.wait_for_selector("#usage-title ~ .table-frame tbody tr")
    served = tab.text("#served-title ~ .table-frame tbody tr")
    assert "Oral cancer screening" in served
    assert "vgg16 40%" in served
    assert "demo" in served
    rows = tab.texts("#usage-title ~ .table-frame tbody tr")
    assert rows[0] == "oral_cancer 1,823 1,119.3 0.0124 EUR 0.0068 EUR"
    assert rows[1].startswith("Total 1,823")


KEEPING = {"keep_images": {"days": 180}}


def test_a_photo_is_kept_only_where_the_pipeline_may_and_the_patient_agrees(open_tab):
    tab = open_tab(answers.described(), answers.described("mhist", **KEEPING))
    assert tab.page.locator("#keep").count() == 0
    tab.page.select_option("#pipeline", "mhist")
    assert "encrypted for 180 days" in tab.text("#keep-what")
    assert not tab.page.is_checked("#keep")
    tab.answer(PREDICT, answers.decision(pipeline="mhist"))
    tab.choose(photo(PHOTO))
    tab.wait_for_text(".progress-words", "1 of 1 answered")
    tab.page.check("#keep")
    # Another purpose, and others who may not have agreed, are asked about anew.
    tab.page.select_option("#pipeline", "oral_cancer")
    tab.page.select_option("#pipeline", "mhist")
    assert not tab.page.is_checked("#keep")
    tab.page.check("#keep")
    tab.answer(PREDICT, answers.decision(pipeline="mhist", kept=True))
    tab.choose(photo(PHOTO), photo(PHOTO))
    tab.wait_for_text(".progress-words", "3 of 3 answered")
    assert not tab.page.is_checked("#keep")
    tab.choose(photo(PHOTO))
    tab.wait_for_text(".progress-words", "4 of 4 answered")
    sent = [request.headers for request in tab.asked()]
    assert [headers.get("x-keep-image") for headers in sent] == [None, "yes", "yes", None]
    # To be kept is another question about the same photo: under the same key it would be refused.
    keys = [headers["idempotency-key"] for headers in sent]
    assert keys[0] == keys[3] != keys[1] == keys[2]
    assert tab.page.evaluate("() => ({ ...localStorage })") == {}


def test_a_kept_photo_says_so_and_can_be_deleted(open_tab):
    tab = open_tab(answers.described(**KEEPING))
    tab.page.check("#keep")
    answer = answers.decision(kept=True)
    asked(tab, answer)
    tab.wait_for_text(".answer [role=status]", "kept for 180 days")
    paths = []

    def delete(route):
        paths.append((route.request.method, route.request.url.split("/api/")[1]))
        refused = answers.problem(503, "unavailable")
        route.fulfill(**({"status": 503, "json": refused} if len(paths) == 1 else {"json": {}}))

    tab.route("**/image", delete)
    tab.page.click("text=Delete the kept photo")
    tab.wait_for_text(".answer [role=alert]", "unavailable")
    tab.page.click("text=Delete the kept photo")
    tab.wait_for_text(".answer [role=status]", "The kept photo is deleted")
    assert tab.page.get_by_text("Delete the kept photo").count() == 0
    assert paths == [("DELETE", f"v1/predictions/{answer['prediction_id']}/image")] * 2


def test_a_photo_that_could_not_be_kept_says_so(open_tab):
    tab = open_tab(answers.described(**KEEPING))
    tab.page.check("#keep")
    asked(tab, answers.decision(kept=False))
    tab.wait_for_text(".answer .notice", "was to be kept, and is not")
