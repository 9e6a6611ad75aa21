"""The command without a run: page and picture from kept data."""

from dataclasses import replace

import pytest
import typer

from lab.autoscaling.__main__ import main
from tests.unit.lab.autoscaling.runs import good, with_look

MARKS = "<!-- measured: begin -->\n<!-- measured: end -->"


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(f"Before.\n\n{MARKS}\n\nAfter.\n", "utf-8")
    return path


def test_kept_data_become_page_and_picture(page, tmp_path):
    good().write(tmp_path / "page" / "simulation.json")
    main(redraw=True, output=page)
    text = page.read_text("utf-8")
    assert text.startswith("Before.")
    assert text.endswith("After.\n")
    assert "![the run](page/simulation.png)" in text
    assert (tmp_path / "page" / "simulation.png").is_file()


def test_a_run_that_does_not_show_what_it_must_ends_with_1(page, tmp_path, capsys):
    run = with_look(good(), 4, by_hpa=2)
    replace(run, drains=[]).write(tmp_path / "page" / "simulation.json")
    with pytest.raises(typer.Exit) as end:
        main(redraw=True, output=page)
    assert end.value.exit_code == 1
    assert capsys.readouterr().err.count("NOT SHOWN") == 2
    assert "**Not shown:**" in page.read_text("utf-8")


def test_without_kept_data_nothing_is_redrawn(page, capsys):
    with pytest.raises(typer.Exit):
        main(redraw=True, output=page)
    assert "leave --redraw out" in capsys.readouterr().err
    assert MARKS in page.read_text("utf-8")
