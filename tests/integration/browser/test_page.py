"""The page before the shared service: what it shows is what the API answers."""

import httpx

from tests.chromium import Tab, photo
from tests.integration.service import Service


def share(value: float) -> str:
    text = f"{value * 100:.1f}".removesuffix(".0")
    return "> 99.9%" if 0.999 < value < 1 else "< 0.1%" if 0 < value < 0.001 else f"{text}%"


def test_photos_get_the_answers_of_the_api(tab: Tab, service: Service, oral_cancer):
    files = oral_cancer.files[:6]
    tab.choose(*(photo(data, f"{at}.img", "image/png") for at, data in enumerate(files)))
    tab.page.wait_for_function(
        "() => document.querySelector('.progress-words').textContent.startsWith('6 of 6')",
        timeout=120_000,
    )
    for at, data in enumerate(files):
        answer = httpx.post(
            f"{service.url}/api/v1/predict/advanced", files={"file": data}, timeout=60
        ).json()
        tab.page.click(f".entry:nth-child({at + 1}) button")
        assert tab.text(".headline-class") == answer["prediction"]
        headline = tab.text(".headline")
        assert f"Confidence {share(answer['confidence'])}" in headline
        assert answer["uncertainty"]["level"] in headline.lower()
        assert answer["uncertainty"]["recommendation"] in headline
        rows = [" ".join(row.split()) for row in tab.page.locator("tbody tr").all_inner_texts()]
        for row, (name, member) in zip(rows, answer["models"].items(), strict=True):
            told = share(member["probabilities"]["cancer"])
            assert row.startswith(f"{name} {member['prediction']} {told}")


def counted(service: Service) -> float:
    """Images that were answered, and not from what is stored."""
    samples = service.metrics(service.gateway)
    return sum(value for name, value in samples.items() if name.startswith("prediction_images"))


def test_a_tab_that_is_closed_half_way_has_nothing_counted_twice(
    chromium, service: Service, oral_cancer
):
    service.wait_ready()
    before = counted(service)
    files = [photo(data, f"{at}.img") for at, data in enumerate(oral_cancer.files[20:32])]
    tab = Tab(chromium, service.url)
    tab.open()
    tab.choose(*files)
    tab.page.wait_for_selector(".entry.is-answered", timeout=120_000)
    again = tab.context.new_page()
    tab.page.close(run_before_unload=False)
    tab.page = again
    tab.open()
    assert "had no answer" in tab.text("main .notice")
    tab.choose(*files)
    tab.page.wait_for_function(
        "() => document.querySelector('.progress-words').textContent.startsWith('12 of 12')",
        timeout=120_000,
    )
    assert "answered before" in tab.text(".answer .notice")
    assert counted(service) - before == len({entry["buffer"] for entry in files})
    tab.close()


def test_a_text_is_refused_in_the_services_words(tab: Tab):
    tab.choose(photo(b"no image at all", "notes.txt", "text/plain"))
    notice = tab.text(".answer .notice")
    assert "no image that the service reads" in notice
    assert "HEIC" in notice


def test_the_first_load_is_at_most_150_kilobytes_over_the_wire(chromium, service: Service):
    tab = Tab(chromium, service.url)
    sizes = []
    session = tab.context.new_cdp_session(tab.page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    tab.open()
    tab.page.wait_for_selector(".chooser")
    tab.page.wait_for_load_state("networkidle")
    assert len(sizes) == len(tab.requests) > 20
    assert 50_000 < sum(sizes) <= 150_000
    tab.page.reload()
    tab.page.wait_for_selector(".chooser")
    tab.close()
