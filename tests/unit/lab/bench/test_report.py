import re

from lab.bench import report
from lab.bench.raw import Raw
from tests.unit.lab.bench import measured


def test_the_page_the_data_and_the_plot_are_written_side_by_side(tmp_path):
    raw = measured.run()
    written = report.write(raw, tmp_path / "performance.md")
    folder = tmp_path / "performance"
    assert written == [tmp_path / "performance.md", folder / "exact.json", folder / "exact.png"]
    assert Raw.read(folder / "exact.json") == raw
    assert (folder / "exact.png").read_bytes().startswith(b"\x89PNG")
    assert "](performance/exact.png)" in written[0].read_text("utf-8")
    assert not list(tmp_path.rglob("*.part"))


def test_the_tables_say_what_was_measured():
    page = report.page([measured.run()], "performance")
    assert "`python -m lab.bench --rounds 2` on 2026-01-02: photos of 640 x 480, " in page
    assert "2 rounds of cells (light 10 s), callers " in page
    assert "2 cores of A processor, 24 GiB" in page
    assert "| **limit** (2 x 1, batch 4) | 75.0 | 100 % | 8.0 | 1.00 | 67% |" in page
    assert "| Fast, http | 55.0 | 70 % | 27.5 | 3.44 | 91%, 29% |" in page
    assert "| Fast, http | 40 | 90 | 1100 | 0 | 401 | 2.0 | 0.23 |" in page
    assert "| Fast (http) | as it is | a 1 |" in page


def test_a_failure_is_told_with_its_reason():
    failed = measured.session(1, failed="it ended:\nno memory", cold_start_seconds=None)
    page = report.page([measured.run(sessions=(measured.session(0), failed))], "performance")
    assert "Fast, http (failed 1 times)" in page
    assert "- **fast** (light): it ended: no memory" in page


def test_all_standards_of_decoding_stay_on_the_page(tmp_path):
    report.write(measured.run(), tmp_path / "performance.md")
    report.write(measured.run(decoding="fast"), tmp_path / "performance.md")
    page = (tmp_path / "performance.md").read_text("utf-8")
    assert re.findall("^## Decoded (exactly|fast)", page, re.MULTILINE) == ["exactly", "fast"]
