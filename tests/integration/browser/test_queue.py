"""Many photos: their order, waits, failures and what is sent again."""

import re

import pytest

from tests import photos
from tests.chromium import PIPELINES, PREDICT, SESSION, photo
from tests.integration.browser import answers

PHOTO = photos.encoded(photos.photo(3), "JPEG")


class Service:
    """Answers photos as they come, or refuses those that a test names by their bytes."""

    def __init__(self, tab) -> None:
        self.bodies: list[bytes] = []
        self.keys: list[str] = []
        self.answered: set[str] = set()
        self.refusals: list = []
        """Given once each, in their order."""
        self.held: list = []
        self.holding = False
        self.most: int | None = None
        """Photos that are answered; the others are held."""
        tab.route(PREDICT, self._answer)

    def _answer(self, route) -> None:
        self.bodies.append(route.request.post_data_buffer)
        key = route.request.headers["idempotency-key"]
        self.keys.append(key)
        if self.holding or len(self.answered) == self.most:
            self.held.append(route)
        elif self.refusals:
            status, code, headers = self.refusals.pop(0)
            if not status:
                route.abort("connectionreset")
                return
            body = answers.problem(status, code)
            route.fulfill(status=status, json=body, headers=headers)
        else:
            replayed = {"Idempotency-Replayed": "true"} if key in self.answered else {}
            self.answered.add(key)
            route.fulfill(json=answers.decision(), headers=replayed)

    def release(self) -> None:
        self.holding = False
        for route in self.held:
            route.fulfill(json=answers.decision())
        self.held.clear()


def numbered(count):
    return [photo(PHOTO + bytes([at]), f"{at}.jpg") for at in range(count)]


def test_photos_are_sent_in_their_order_three_at_a_time_without_their_names(open_tab):
    tab = open_tab()
    service = Service(tab)
    service.holding = True
    tab.choose(*numbered(20))
    while len(service.bodies) < 3:
        tab.page.wait_for_timeout(20)
    assert tab.page.locator(".entry:not(.is-waiting)").count() == 3
    assert tab.text(".progress-words") == "0 of 20 answered"
    service.release()
    tab.wait_for_text(".progress-words", "20 of 20 answered")
    assert [body[-1] for body in service.bodies] == list(range(20))
    assert tab.texts(".entry-name") == [f"{at}.jpg" for at in range(20)]
    for request in tab.asked():
        assert ".jpg" not in request.url + str(request.headers)
        assert request.headers["content-type"] == "application/octet-stream"


def test_two_hundred_photos_all_have_an_answer_and_a_row_in_the_csv(open_tab, tmp_path):
    tab = open_tab()
    service = Service(tab)
    tab.choose(*numbered(200))
    tab.page.wait_for_function(
        "() => document.querySelector('.progress-words').textContent.startsWith('200 of 200')"
    )
    assert len(service.bodies) == 200
    with tab.page.expect_download() as saving:
        tab.page.click("text=Save as CSV")
    saving.value.save_as(tmp_path / "saved.csv")
    rows = (tmp_path / "saved.csv").read_text("utf-8-sig").splitlines()
    assert len(rows) == 201
    columns = rows[0].split(",")
    first = dict(zip(columns, rows[1].split(","), strict=False))
    assert first["file"] == '"0.jpg"'
    assert (first["status"], first["prediction"]) == ('"ok"', '"cancer"')
    assert first["confidence"] == '"0.95"'
    assert [row.split(",")[0] for row in rows[1:]] == [f'"{at}.jpg"' for at in range(200)]


def test_a_busy_service_is_waited_for_with_a_countdown_and_asked_again(open_tab):
    tab = open_tab()
    service = Service(tab)
    service.refusals = [(429, "busy", {"retry-after": "2"})]
    tab.choose(*numbered(5))
    tab.wait_for_text("[role=alert]", "Next try in")
    seconds = re.search(r"Next try in (\d) second", tab.text("[role=alert]"))
    assert seconds
    assert int(seconds[1]) <= 2
    tab.wait_for_text(".progress-words", "5 of 5 answered")
    assert tab.page.locator("[role=alert]").count() == 0
    # The one that was refused was sent twice, the others once.
    assert sorted(body[-1] for body in service.bodies) == [0, 0, 1, 2, 3, 4]


def test_a_wait_that_is_too_long_for_a_screen_fails_the_photo(open_tab):
    tab = open_tab()
    service = Service(tab)
    service.refusals = [(429, "budget_spent", {"retry-after": "86400"})]
    tab.choose(photo(PHOTO))
    tab.page.wait_for_selector(".entry.is-failed")
    assert len(service.bodies) == 1


def test_one_that_failed_is_tried_again_alone(open_tab):
    tab = open_tab()
    service = Service(tab)
    service.refusals = [(500, "internal", {})]
    tab.choose(*numbered(3))
    tab.wait_for_text(".progress-words", "2 of 3 answered and 1 failed")
    tab.page.click("[aria-label='Try again: 0.jpg']")
    tab.wait_for_text(".progress-words", "3 of 3 answered")
    assert sorted(body[-1] for body in service.bodies) == [0, 0, 1, 2]


def test_a_photo_that_no_retry_helps_has_no_button(open_tab):
    tab = open_tab()
    Service(tab).refusals = [(422, "image_undecodable", {})]
    tab.choose(photo(PHOTO))
    tab.page.wait_for_selector(".entry.is-failed")
    assert "damaged or not whole" in tab.text(".answer .notice")
    assert "request: it is refused. Wait." in tab.text(".answer .notice")
    assert "0123456789abcdef" in tab.text(".answer .notice")
    assert tab.page.get_by_role("button", name="again").count() == 0


def test_what_is_too_large_or_empty_is_not_sent(open_tab):
    tab = open_tab(answers.described(limits={"bytes": 1000, "pixels": 10**6}))
    service = Service(tab)
    tab.choose(photo(bytes(1001), "large.jpg"), photo(b"", "empty.jpg"), photo(b"x", "fits.jpg"))
    tab.wait_for_text(".progress-words", "1 of 3 answered and 2 failed")
    assert service.bodies == [b"x"]
    assert "The file is too large" in tab.text(".answer .notice")
    assert "1,000" not in tab.text(".limits")


def test_while_the_service_is_gone_nothing_is_sent_and_then_it_goes_on(open_tab):
    tab = open_tab()
    service = Service(tab)
    tab.route("**/healthz", lambda route: route.abort())
    service.refusals = [(0, "", {})] * 3
    tab.choose(*numbered(6))
    tab.wait_for_text("[role=alert]", "cannot be reached")
    tab.page.wait_for_timeout(500)
    assert len(service.bodies) == 3
    tab.answer("**/healthz", {"status": "alive"})
    tab.wait_for_text(".progress-words", "6 of 6 answered")
    assert tab.page.locator("[role=alert]").count() == 0
    # It is not known whether the first three were answered: they came again under their keys.
    assert len(service.bodies) == 9
    assert sorted(service.keys[:3]) == sorted(service.keys[3:6])
    assert len(set(service.keys)) == 6


def test_a_photo_that_is_under_way_already_waits_for_its_turn(open_tab):
    tab = open_tab()
    service = Service(tab)
    service.refusals = [(409, "idempotency_in_flight", {"retry-after": "1"})] * 2
    tab.choose(*numbered(3))
    tab.wait_for_text(".progress-words", "3 of 3 answered")
    assert len(service.bodies) == 5
    assert len(set(service.keys)) == 3


def test_two_hundred_photos_are_counted_once_though_the_tab_is_closed_meanwhile(open_tab):
    tab = open_tab()
    service = Service(tab)
    service.most = 60
    tab.choose(*numbered(200))
    tab.wait_for_text(".progress-words", "60 of 200 answered")
    again = tab.page.context.new_page()
    tab.page.close(run_before_unload=False)
    tab.page = again
    first = service.keys
    known = service.answered
    service = Service(tab)
    service.answered = known
    tab.answer(PIPELINES, answers.offered(answers.described()))
    tab.open()
    assert "closed, 140 photos had no answer" in tab.text("main .notice")
    tab.choose(*numbered(200))
    tab.page.wait_for_function(
        "() => document.querySelector('.progress-words').textContent.startsWith('200 of 200')",
        timeout=60_000,
    )
    # Each photo has one key, whichever visit it was sent in.
    by_photo = dict(zip((body[-1] for body in service.bodies), service.keys, strict=True))
    assert len(set(by_photo.values())) == 200
    assert set(first) <= set(service.keys)
    assert "answered before" in tab.text(".answer .notice")
    assert tab.page.evaluate("() => ({ ...localStorage })") == {}
    tab.page.click("text=Ask anew")
    tab.wait_for_text(".progress-words", "200 of 200 answered")
    assert service.keys[-1] not in by_photo.values()
    tab.open()
    assert tab.page.locator("main .notice").count() == 0


def test_another_release_is_another_question_about_the_same_photo(open_tab):
    tab = open_tab()
    service = Service(tab)
    tab.choose(photo(PHOTO))
    tab.wait_for_text(".progress-words", "1 of 1 answered")
    tab.answer(PIPELINES, answers.offered(answers.described(release="2-00000000")))
    tab.open()
    tab.choose(photo(PHOTO))
    tab.wait_for_text(".progress-words", "1 of 1 answered")
    assert len(set(service.keys)) == 2


def test_after_a_login_the_photos_that_waited_are_sent(open_tab):
    tab = open_tab()
    service = Service(tab)
    service.refusals = [(401, "unauthorized", {})] * 3
    tab.choose(*numbered(4))
    session = {"name": "ward", "kind": "key", "roles": ["predict"], "pipelines": None}
    tab.answer(SESSION, session | {"csrf_token": "a-token"})
    tab.page.fill("#key", "right")
    tab.page.click("form.login button")
    tab.wait_for_text(".progress-words", "4 of 4 answered")
    assert len(service.bodies) == 7
    sent = [request.headers.get("x-csrf-token") for request in tab.asked()]
    assert sent == [None] * 4 + ["a-token"] * 4


def test_photos_are_asked_of_the_pipeline_that_was_chosen_when_they_came(open_tab):
    tab = open_tab(answers.described(), answers.described("mhist"))
    Service(tab)
    tab.choose(photo(PHOTO))
    tab.wait_for_text(".progress-words", "1 of 1 answered")
    tab.page.select_option("#pipeline", "mhist")
    tab.choose(photo(PHOTO))
    tab.wait_for_text(".progress-words", "2 of 2 answered")
    paths = [request.url.split("/pipelines/")[1].split("/")[0] for request in tab.asked()]
    assert paths == ["oral_cancer", "mhist"]


def test_photos_come_by_a_drop_a_paste_and_a_folder(open_tab, tmp_path):
    tab = open_tab()
    Service(tab)
    transfer = """([kind, name]) => {
        const held = new DataTransfer();
        held.items.add(new File(["photo"], name, { type: "image/jpeg" }));
        const data = kind === "drop" ? { dataTransfer: held } : { clipboardData: held };
        const made = kind === "drop"
            ? new DragEvent("drop", { ...data, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { ...data, bubbles: true });
        document.querySelector("main").dispatchEvent(made);
    }"""
    # Photos can come in once the pipelines are known.
    tab.page.wait_for_selector("[data-input=files]", state="attached")
    tab.page.evaluate(transfer, ["drop", "dropped.jpg"])
    tab.wait_for_text(".entry-name", "dropped.jpg")
    tab.page.evaluate(transfer, ["paste", "pasted.png"])
    tab.wait_for_text(".entry-name", "pasted.png")
    folder = tmp_path / "visit"
    (folder / "deeper").mkdir(parents=True)
    for name in ("2.jpg", "deeper/3.jpg", ".DS_Store", "Thumbs.db"):
        (folder / name).write_bytes(PHOTO)
    tab.page.set_input_files("[data-input=folder]", str(folder))
    tab.wait_for_text(".progress-words", "4 of 4 answered")
    assert sorted(tab.texts(".entry-name")) == ["2.jpg", "3.jpg", "dropped.jpg", "pasted.png"]


def test_the_phones_camera_is_asked_for_its_full_resolution(open_tab):
    camera = open_tab().page.locator("[data-input=camera]")
    assert camera.get_attribute("capture") == "environment"
    assert camera.get_attribute("accept") == "image/*"


def test_the_whole_task_is_done_by_keyboard(open_tab):
    tab = open_tab()
    Service(tab)

    def tab_to(selector):
        for _ in range(40):
            tab.page.keyboard.press("Tab")
            if tab.page.evaluate(f"() => document.activeElement.matches({selector!r})"):
                return
        pytest.fail(f"{selector} is not reached by the Tab key")

    # The browser hands choosers over only from a moment after this begins.
    with tab.page.expect_file_chooser() as choosing:
        tab_to(".chooser button")
        tab.page.keyboard.press("Enter")
    choosing.value.set_files(numbered(2))
    tab.wait_for_text(".progress-words", "2 of 2 answered")
    tab_to(".entry:nth-child(2) button")
    tab.page.keyboard.press("Enter")
    assert "1.jpg" in tab.text("#answer-title")
    tab_to(".frame")
    tab.page.keyboard.press("+")
    assert tab.text(".zoom") == "150%"
    tab.page.keyboard.press("0")
    assert tab.text(".zoom") == "100%"
    tab_to("#threshold")
    tab.page.keyboard.press("ArrowRight")
    assert "not the recorded decision" in tab.text("#threshold-note")


def test_an_answer_is_said_to_those_who_do_not_see_the_screen(open_tab):
    tab = open_tab()
    service = Service(tab)
    service.holding = True
    tab.choose(photo(PHOTO, "left cheek.jpg"))
    tab.page.wait_for_selector(".said", state="attached")
    assert tab.page.text_content(".said").strip() == ""
    service.release()
    tab.wait_for_text(".progress-words", "1 of 1 answered")
    said = tab.page.text_content(".said").strip()
    assert said == "left cheek.jpg: cancer, Low uncertainty"
    assert tab.page.get_attribute(".said", "role") == "status"


def test_leaving_with_photos_under_way_is_asked_about(open_tab):
    tab = open_tab()
    service = Service(tab)
    service.holding = True
    tab.choose(photo(PHOTO))
    tab.page.wait_for_selector(".entry:not(.is-waiting)")
    blocked = "() => !dispatchEvent(new Event('beforeunload', { cancelable: true }))"
    assert tab.page.evaluate(blocked)
    service.release()
    tab.wait_for_text(".progress-words", "1 of 1 answered")
    assert not tab.page.evaluate(blocked)


def test_an_answer_that_the_page_does_not_understand_is_told_and_leaves_no_empty_page(open_tab):
    tab = open_tab()
    tab.answer(PREDICT, {"prediction": "cancer"})
    tab.choose(photo(PHOTO))
    assert "cannot show this" in tab.text("main [role=alert]")
    assert "Second Opinion" in tab.text("header")


def test_an_answer_that_is_no_json_fails_the_photo_which_may_be_tried_again(open_tab):
    tab = open_tab()
    tab.route(PREDICT, lambda route: route.fulfill(body="<h1>Proxy</h1>", content_type="text/html"))
    tab.choose(photo(PHOTO))
    tab.page.wait_for_selector(".entry.is-failed")
    Service(tab)
    tab.page.click(".answer .notice button")
    tab.wait_for_text(".progress-words", "1 of 1 answered")
