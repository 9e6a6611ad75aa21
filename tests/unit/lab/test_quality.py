"""Good drawings of every pipeline and spoiled copies of them, by the bounds that ship."""

import pytest

from lab import quality
from pipelines.enums import QualityWarning
from pipelines.load import available, load_spec

DRAWINGS = 4


@pytest.mark.parametrize("name", available())
def test_spoiled_copies_have_their_warning_and_good_ones_none(name):
    good, spoiled = quality.judge_copies(load_spec(name), DRAWINGS)
    assert not (good == 1).any()
    order = list(QualityWarning)
    for warning, judged in spoiled.items():
        assert (judged[:, order.index(warning)] == 1).all(), warning


def test_the_page_has_a_row_for_every_pipeline(tmp_path, monkeypatch):
    page = tmp_path / "quality.md"
    page.write_text("# Head\n<!-- figures: begin -->\nold\n<!-- figures: end -->\nTail\n", "utf-8")
    monkeypatch.setattr(quality, "PAGE", page)
    quality.main(1)
    text = page.read_text("utf-8")
    assert text.startswith("# Head\n")
    assert text.endswith("Tail\n")
    assert "old" not in text
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == available()
    assert all(row.count("100.0%") >= 5 for row in rows)
