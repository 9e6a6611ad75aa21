"""The section of the scenarios in the report."""

from lab.bench import report
from lab.bench.scenarios.raw import Raw, Scenario
from tests.unit.lab.bench import measured
from tests.unit.lab.bench.scenarios import made_up
from tests.unit.lab.bench.scenarios.made_up import OURS, PEER


def test_the_page_the_data_and_the_plots_are_written_side_by_side(tmp_path):
    raw = made_up.run()
    written = report.write_scenarios(raw, tmp_path / "performance.md")
    folder = tmp_path / "performance"
    assert written == [
        tmp_path / "performance.md",
        folder / "scenarios.json",
        folder / "scenarios-light.png",
    ]
    assert Raw.read(folder / "scenarios.json") == raw
    assert (folder / "scenarios-light.png").read_bytes().startswith(b"\x89PNG")
    assert "](performance/scenarios-light.png)" in written[0].read_text("utf-8")


def test_closed_loops_and_scenarios_stay_on_the_page_together(tmp_path):
    page = tmp_path / "performance.md"
    report.write(measured.run(), page)
    report.write_scenarios(made_up.run(), page)
    report.write(measured.run(decoding="fast"), page)
    text = page.read_text("utf-8")
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Decoded exactly as in training (Pillow, full JPEG, bilinear)",
        "## Decoded fast (the JPEG's own scaled decoding, then bilinear)",
        "## Open load, by MLPerf Inference's scenarios",
    ]


def test_the_tables_say_what_was_measured():
    page = report.page([], "performance", made_up.run())
    assert "requests of a point at least: light 200" in page
    assert "The generator's own lateness: 0.3 ms at most" in page
    assert "Bound: 40 ms, by Fastapi, http." in page
    assert "100 % of the curve: 35.0/s, of the best peer, Fastapi, http." in page
    assert (
        "| Gateway, http | 9.5 / 10.5 | 85.0 | 12% | 65.0 | 85% | 240.0 | 68.0 | 80% | 71% / 1% "
        "| 3.0 / 15 |"
    ) in page
    assert "| Fastapi, http | 8.0 / 9.0 | 35.0 | 200% | 80.0 | 80% | - |" in page
    assert "| Gateway, http | 12 / 45 | 12 / 90 (10%) |" in page
    assert "| Fastapi, http | 12 / 45 | - |" in page


def test_a_failure_is_told_with_its_scenario_and_reason():
    sessions = (
        made_up.session(Scenario.OVERLOAD, 1, OURS, "it kept the bound\nat no rate"),
        made_up.session(Scenario.SINGLE_STREAM, 0, PEER),
    )
    page = report.page([], "performance", made_up.run(sessions=sessions))
    assert "Gateway, http (failed 1 times)" in page
    assert "- **gateway** (light), Overload, round 2: it kept the bound at no rate" in page


def test_without_a_curve_there_is_no_plot(tmp_path):
    raw = made_up.run(points=())
    written = report.write_scenarios(raw, tmp_path / "performance.md")
    assert [path.suffix for path in written] == [".md", ".json"]
    assert ".png" not in written[0].read_text("utf-8")
