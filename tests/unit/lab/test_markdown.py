"""A command writes its own section of a page and nothing else."""

import pytest

from lab.errors import LabError
from lab.markdown import replace_section, table


def test_only_the_section_changes(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Title\n<!-- x: begin, of a command -->\nold\n<!-- x: end -->\nrest\n")
    replace_section(page, "x", "new\n")
    replace_section(page, "x", "newer\n")
    expected = "# Title\n<!-- x: begin, of a command -->\nnewer\n<!-- x: end -->\nrest\n"
    assert page.read_text() == expected
    assert list(tmp_path.iterdir()) == [page]


@pytest.mark.parametrize("text", [None, "", "<!-- x: begin -->\n", "<!-- x: end -->\n"])
def test_a_page_without_its_marks_is_left_alone(tmp_path, text):
    page = tmp_path / "page.md"
    if text is not None:
        page.write_text(text)
    with pytest.raises(LabError, match="put them back"):
        replace_section(page, "x", "new")
    assert not page.is_file() or page.read_text() == text


def test_a_table_has_a_line_for_each_row():
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
