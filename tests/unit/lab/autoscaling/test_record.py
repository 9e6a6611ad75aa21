"""Raw data, and the page and picture made of them."""

from dataclasses import replace

from lab.autoscaling import chart, page
from lab.autoscaling.record import Record, median, p95
from tests.unit.lab.autoscaling.runs import good, with_look, with_moment


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "new" / "run.json"
    good().write(path)
    assert Record.read(path) == good()
    assert [each.name for each in path.parent.iterdir()] == ["run.json"]


def test_percentiles_are_values_that_were_measured():
    assert p95([float(number) for number in range(1, 101)]) == 95
    assert p95([3.0]) == 3
    assert p95([]) is median([]) is None


def test_a_step_begins_where_the_last_one_ends():
    spans = good().spans()
    assert [(begin, end) for _, begin, end in spans] == [(0, 10), (10, 20), (20, 30)]
    assert len(good().looks_in(10, 20)) == len(good().moments_in(10, 20)) == 10


def test_the_page_tells_what_was_not_shown():
    assert "Not shown" not in page.text(good(), "run.png")
    failed = replace(with_moment(good(), 3, failed=1), faults={"503 unavailable": 1})
    assert "**Not shown:** 1 requests failed: 1 times 503 unavailable" in page.text(
        failed, "run.png"
    )


def test_the_page_has_the_replicas_of_each_step():
    text = page.text(good(), "run.png")
    assert "1 → 3 → 4 → 5" in text
    assert "5 → 4 → 3 → 2 → 1" in text


def test_the_picture_bears_values_that_are_not_known(tmp_path):
    run = with_look(good(), 4, demand=None, queue=None, wanted=None, in_flight=None)
    run = with_moment(run, 4, median=None, p95=None)
    picture = chart.draw(run, tmp_path / "run.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
