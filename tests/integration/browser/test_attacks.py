"""Texts that are scripts: none runs, and the page asks no host but its own."""

import io

from PIL import Image

from tests import photos
from tests.chromium import PREDICT, photo
from tests.integration.browser import answers

SCRIPTS = (
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(2)">',
    '"><svg onload=alert(3)>',
    "javascript:alert(4)",
    "<iframe src='//elsewhere.example'></iframe>",
    "{{constructor.constructor('alert(5)')()}}",
    "${alert(6)}",
)


def with_exif(script: str) -> bytes:
    exif = Image.Exif()
    for tag in (0x010E, 0x013B, 0x8298, 0x9C9B):
        exif[tag] = script
    data = io.BytesIO()
    photos.photo(3).save(data, "JPEG", exif=exif, comment=script.encode())
    return data.getvalue()


def test_no_script_in_a_name_a_class_or_a_photo_runs(open_tab):
    classes = list(SCRIPTS[:3])
    tab = open_tab(
        answers.described("cervical_lesions", title=SCRIPTS[0], classes=classes),
        answers.described(title=SCRIPTS[1]),
    )
    objects = [answers.found([1.0 + at, 1.0, 60.0, 60.0], name) for at, name in enumerate(SCRIPTS)]
    warning = {"code": "blurred", "detail": SCRIPTS[1]}
    tab.answer(
        PREDICT,
        answers.detections(
            *objects,
            width=320,
            height=240,
            quality=answers.quality(warning),
            input=answers.ATYPICAL | {"recommendation": SCRIPTS[2]},
            release=SCRIPTS[0],
            members={SCRIPTS[1]: {"version": SCRIPTS[2], "sha256": SCRIPTS[0]}},
        ),
    )
    tab.choose(*(photo(with_exif(script), script.replace("/", "-")) for script in SCRIPTS))
    tab.wait_for_text(".progress-words", f"{len(SCRIPTS)} of {len(SCRIPTS)} answered")
    tab.page.wait_for_selector(".chip")
    assert [text.split(" ", 1)[1] for text in tab.texts(".chip")] == [
        f"{script} 0.93" for script in SCRIPTS
    ]
    tab.page.click(".facts summary")
    tab.page.select_option("#language", "de")
    for script in SCRIPTS:
        assert script in tab.page.inner_text(".answer")
    assert tab.page.locator("script").count() == 2
    assert tab.page.locator("iframe, main img[src=x], main svg[onload]").count() == 0
    tab.page.wait_for_timeout(300)


def test_no_script_in_a_refusal_runs(open_tab):
    tab = open_tab()
    document = answers.problem(422, SCRIPTS[0], SCRIPTS[1]) | {"title": SCRIPTS[2]}
    tab.answer(PREDICT, document, 422)
    tab.choose(photo(b"x"))
    tab.page.wait_for_selector(".answer .notice")
    for script in SCRIPTS[1:3]:
        assert script in tab.text(".answer .notice")
    tab.page.wait_for_timeout(300)


def test_a_class_with_a_name_that_objects_have_is_a_class(open_tab):
    names = ["__proto__", "constructor"]
    tab = open_tab(answers.described("cervical_lesions", classes=names))
    objects = [answers.found([1.0, 1.0, 60.0, 60.0], name) for name in names]
    tab.answer(PREDICT, answers.detections(*objects, width=320, height=240))
    tab.choose(photo(photos.encoded(photos.photo(3), "JPEG")))
    assert "__proto__ 0.93" in tab.text(".headline-words")
    assert tab.texts(".distribution li") == ["__proto__ 1", "constructor 1"]


def test_a_name_that_a_spreadsheet_would_run_is_text_in_the_csv(open_tab, tmp_path):
    tab = open_tab()
    tab.answer(PREDICT, answers.decision())
    tab.choose(photo(b"x", '=HYPERLINK("x").jpg'))
    tab.wait_for_text(".progress-words", "1 of 1 answered")
    with tab.page.expect_download() as saving:
        tab.page.click("text=Save as CSV")
    saving.value.save_as(tmp_path / "saved.csv")
    assert '"\'=HYPERLINK(""x"").jpg"' in (tmp_path / "saved.csv").read_text("utf-8-sig")


def test_a_script_that_got_into_the_page_would_not_run_either(open_tab):
    tab = open_tab()
    tab.page.evaluate(
        """() => {
            const script = document.createElement("script");
            window.ran = false;
            try { script.textContent = "window.ran = true"; } catch { window.refused = true; }
            document.body.append(script);
        }"""
    )
    assert tab.page.evaluate("() => [window.ran, window.refused]") == [False, True]
    fetched = tab.page.evaluate(
        "() => fetch('http://127.0.0.1:9/').then(() => 'asked', () => 'refused')"
    )
    assert fetched == "refused"
    tab.page.wait_for_function("() => true")
    reported = " ".join(tab.errors)
    assert "connect-src" in reported, reported
    tab.errors.clear()
    tab.requests = [one for one in tab.requests if "127.0.0.1:9/" not in one.url]
