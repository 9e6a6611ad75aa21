"""Two answers about one photo side by side: of members, pipelines, or two loaded releases."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest

from pipelines import release_changes as changes
from tests import photos
from tests.chromium import PREDICT, Tab, photo
from tests.integration.browser import answers
from tests.integration.gateway import gateway
from tests.unit.gateway.toy_triton import running
from tests.unit.gateway.two_releases import NEW, OLD, SPEC, TwoReleases, changes_in_database

PHOTO = photos.encoded(photos.photo(3), "JPEG")
RELEASES = "**/api/v1/releases"
CURRENT, CANDIDATE = "1-3fa9c2d1", "2-9c1e44d0"


class Members:
    """Answers a pipeline or a member by what a test says of it."""

    def __init__(self, tab, by_member) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.by_member = by_member
        tab.route(PREDICT, self._answer)

    def _answer(self, route) -> None:
        url = urlsplit(route.request.url)
        name = url.path.split("/pipelines/")[1].split("/")[0]
        member = parse_qs(url.query).get("member", [None])[0]
        self.asked.append((name, member))
        answer = self.by_member[name, member]
        if isinstance(answer, int):
            route.fulfill(status=answer, json=answers.problem(answer, "busy"))
        else:
            route.fulfill(json=answer)


def compared(tab, left, right):
    tab.page.click("nav >> text=Compare")
    tab.page.select_option("#compare-left", left)
    tab.page.select_option("#compare-right", right)
    tab.choose(photo(PHOTO, "cheek.jpg"))
    tab.page.click("text=Compare on cheek.jpg")


def rows_of(tab):
    tab.page.wait_for_selector(".comparison")
    rows = tab.page.locator(".comparison tbody tr").all_inner_texts()
    return {row.split("\t")[0]: [cell.strip() for cell in row.split("\t")[1:]] for row in rows}


def test_two_members_are_compared_on_one_photo_with_differences_in_words(open_tab):
    tab = open_tab()
    other = answers.decision(
        "high",
        prediction="healthy",
        confidence=0.6,
        probabilities={"healthy": 0.6, "cancer": 0.4},
        quality=answers.quality(answers.BLURRED),
    )
    service = Members(
        tab, {("oral_cancer", None): answers.decision(), ("oral_cancer", "regnet"): other}
    )
    compared(tab, "oral_cancer", "oral_cancer regnet")
    rows = rows_of(tab)
    assert service.asked == [("oral_cancer", None), ("oral_cancer", "regnet")]
    assert rows["Decision"] == ["cancer", "healthy", "≠ different"]
    assert rows["Confidence"] == ["95%", "60%", "≠ 35.0 percentage points apart"]
    assert rows["Probability of cancer"] == ["95%", "40%", "≠ 55.0 percentage points apart"]
    assert rows["Uncertainty"] == ["Low uncertainty", "High uncertainty", "≠ different"]
    assert rows["Warnings of the photo"] == ["none", "Blurred", "≠ different"]
    assert rows["Release"][2] == "= the same"
    marked = tab.texts(".comparison .is-different th")
    assert marked == [name for name, cells in rows.items() if cells[2].startswith("≠")]
    assert f"{len(marked)} differences in {len(rows)} rows" in tab.text("[role=status]")
    # Each is a question of its own: no photo of the visit, and no key twice.
    keys = [request.headers["idempotency-key"] for request in tab.asked()]
    assert len(set(keys)) == 2


def test_what_reads_the_same_and_is_not_is_no_equality(open_tab):
    tab = open_tab()
    near = answers.decision(confidence=0.95004, probabilities={"healthy": 0.05, "cancer": 0.95004})
    Members(tab, {("oral_cancer", None): answers.decision(), ("oral_cancer", "vgg16"): near})
    compared(tab, "oral_cancer", "oral_cancer vgg16")
    rows = rows_of(tab)
    assert rows["Confidence"] == ["95%", "95%", "≠ <\u00a00.1 percentage points apart"]
    assert rows["Decision"][2] == "= the same"


def test_findings_are_paired_by_class_and_place(open_tab):
    tab = open_tab(answers.described("cervical_lesions"))
    same, moved = [10.0, 10.0, 60.0, 60.0], [12.0, 10.0, 62.0, 60.0]
    left = answers.detections(
        answers.found(same),
        answers.found([200.0, 200.0, 240.0, 230.0], "mosaic", 0.7),
        width=320,
        height=240,
    )
    right = answers.detections(
        answers.found(moved, score=0.9),
        answers.found([200.0, 200.0, 240.0, 230.0], score=0.6),
        width=320,
        height=240,
    )
    name = "cervical_lesions"
    member = next(iter(answers.described(name)["members"]))
    Members(tab, {(name, None): left, (name, member): right})
    compared(tab, name, f"{name} {member}")
    words = rows_of(tab)["Findings"][2]
    assert words == (
        "≠ Both find 1. Only left: mosaic 0.70 (lower right). "
        "Only right: acetowhite 0.60 (lower right). Scores differ by up to 0.030."
    )
    tab.page.wait_for_selector(".pair .chip")
    chips = [tab.texts(f".pair section:nth-child({at}) .chip") for at in (1, 2)]
    assert chips == [
        ["1 acetowhite 0.93", "2 mosaic 0.70"],
        ["1 acetowhite 0.90", "2 acetowhite 0.60"],
    ]


def test_pipelines_of_other_classes_answer_other_questions(open_tab):
    tab = open_tab(answers.described(), answers.described("mhist", weights="demo"))
    Members(
        tab,
        {
            ("oral_cancer", None): answers.decision(),
            ("mhist", None): answers.decision(pipeline="mhist", weights="demo"),
        },
    )
    compared(tab, "oral_cancer", "mhist")
    rows = rows_of(tab)
    assert "different questions" in rows["Answer"][2]
    assert "Decision" not in rows
    assert rows["Weights"] == ["trained", "demo", "≠ different"]
    assert "mean nothing clinically" in tab.text(".demo")


def test_a_refused_side_says_so_and_the_photo_of_the_visit_can_be_taken(open_tab):
    tab = open_tab()
    service = Members(
        tab, {("oral_cancer", None): answers.decision(), ("oral_cancer", "vgg16"): 429}
    )
    tab.choose(photo(PHOTO, "visit.jpg"))
    tab.wait_for_text(".progress-words", "1 of 1 answered")
    tab.page.click("nav >> text=Compare")
    tab.page.click("text=Take the photo visit.jpg")
    tab.page.click("text=Compare on visit.jpg")
    tab.wait_for_text("main [role=alert]", "The service is busy")
    service.by_member["oral_cancer", "vgg16"] = answers.decision()
    tab.page.click("text=Compare on visit.jpg")
    assert rows_of(tab)["Decision"][2] == "= the same"
    # The photo is still that of the visit.
    tab.page.click("nav >> text=Photos")
    tab.page.wait_for_selector(".stage[data-ready=yes]")
    assert tab.page.locator(".unseen").count() == 0


class TwoLoaded:
    """Answers by the release that is named, with the facts of it."""

    def __init__(self, tab, **candidate_facts) -> None:
        self.named: list[tuple[str, str | None]] = []
        self.answers = {
            CURRENT: answers.decision(release=CURRENT),
            CANDIDATE: answers.decision("high", release=CANDIDATE, confidence=0.7),
        }
        self.facts = {
            CURRENT: answers.described(release=CURRENT),
            CANDIDATE: answers.described(release=CANDIDATE) | candidate_facts,
        }
        tab.answer(RELEASES, answers.loaded())
        tab.route("**/api/v1/pipelines/oral_cancer", lambda route: self._tell(route, self.facts))
        tab.route(PREDICT, lambda route: self._tell(route, self.answers))

    def _tell(self, route, what) -> None:
        release = route.request.headers.get("x-release")
        self.named.append((route.request.method, release))
        if release in what:
            route.fulfill(json=what[release])
        else:
            route.fulfill(status=404, json=answers.problem(404, "release_unknown"))


def releases_compared(tab):
    compared(tab, *(f"oral_cancer release {each}" for each in (CURRENT, CANDIDATE)))


def test_two_loaded_releases_are_compared_by_their_names(open_tab):
    tab = open_tab()
    service = TwoLoaded(tab)
    releases_compared(tab)
    rows = rows_of(tab)
    assert service.named == [
        (method, release) for release in (CURRENT, CANDIDATE) for method in ("GET", "POST")
    ]
    assert rows["Release"] == [CURRENT, CANDIDATE, "≠ different"]
    assert rows["Confidence"] == ["95%", "70%", "≠ 25.0 percentage points apart"]
    assert rows["Decision"] == ["cancer", "cancer", "= the same"]
    keys = [request.headers["idempotency-key"] for request in tab.asked()]
    assert len(set(keys)) == 2


def test_a_candidate_of_other_classes_answers_another_question(open_tab):
    tab = open_tab()
    TwoLoaded(tab, classes=["healthy", "suspicious", "cancer"])
    releases_compared(tab)
    assert "different questions" in rows_of(tab)["Answer"][2]


def test_a_pipeline_of_which_one_release_is_loaded_offers_none(open_tab):
    tab = open_tab()
    for state in ({"loaded": [CURRENT]}, {"candidate": None, "loaded": [CURRENT]}):
        tab.answer(RELEASES, answers.loaded(**state))
        with tab.page.expect_response(RELEASES):
            tab.page.click("nav >> text=Compare")
        tab.page.wait_for_selector("#compare-left")
        assert not [each for each in tab.texts("#compare-left option") if "release" in each]
        tab.page.click("nav >> text=Photos")


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, "forbidden", "your key does not allow to name the release that answers"),
        (503, "audit_unavailable", "Which releases are loaded could not be read"),
    ],
)
def test_who_may_not_name_a_release_is_told_so_and_compares_the_rest(open_tab, status, code, words):
    tab = open_tab()
    tab.answer(RELEASES, answers.problem(status, code), status)
    Members(
        tab,
        {
            ("oral_cancer", None): answers.decision(),
            ("oral_cancer", "vgg16"): answers.decision(),
        },
    )
    compared(tab, "oral_cancer", "oral_cancer vgg16")
    assert rows_of(tab)["Decision"][2] == "= the same"
    assert words in tab.text("main .sheet .note")


def test_a_release_that_was_unloaded_meanwhile_is_told_and_offered_no_more(open_tab):
    tab = open_tab()
    service = TwoLoaded(tab)
    tab.page.click("nav >> text=Compare")
    tab.page.wait_for_selector(f"#compare-left option[value$='{CANDIDATE}']", state="attached")
    del service.facts[CANDIDATE]
    tab.answer(RELEASES, answers.loaded(candidate=None, loaded=[CURRENT]))
    releases_compared(tab)
    tab.wait_for_text("main [role=alert]", "This release is no longer loaded")
    gone = f"#compare-left option[value$='{CANDIDATE}']"
    tab.page.wait_for_selector(gone, state="detached")


@contextmanager
def toy_of_two_releases() -> Iterator[int]:
    """The port of a Triton that has loaded two releases."""
    ready, done = threading.Event(), threading.Event()
    toy = TwoReleases()

    async def serve() -> None:
        async with running(toy):
            ready.set()
            await asyncio.to_thread(done.wait)

    # The browser's own event loop has this thread.
    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(timeout=60)
        yield toy.port
    finally:
        done.set()
        thread.join(timeout=60)


def test_a_gateway_offers_a_candidate_that_is_staged_and_each_release_answers_by_its_name(
    chromium, tmp_path, monkeypatch
):
    url = f"sqlite:///{tmp_path}/gateway.db"
    monkeypatch.setenv("GATEWAY_DATABASE_URL", url)
    with toy_of_two_releases() as port, gateway(port, GATEWAY_DATABASE_URL=url) as client:
        with changes_in_database() as change:
            change(changes.Action.STAGE, changes.stage(NEW))
        tab = Tab(chromium, str(client.base_url))
        tab.open()
        sides = [f"oral_cancer release {each}" for each in (OLD, NEW)]
        compared(tab, *sides)
        rows = rows_of(tab)
        assert rows["Release"] == [OLD, NEW, "≠ different"]
        assert rows["Decision"][2] == "= the same"
        assert tab.texts(".comparison thead th")[1:3] == [
            f"Left: {SPEC.title}: release {OLD} (current)",
            f"Right: {SPEC.title}: release {NEW} (candidate)",
        ]
        tab.close()
