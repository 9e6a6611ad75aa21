import io

import pytest
from rich.console import Console
from secondopinion._table import printable, show

HEADER = ["file", "prediction", "confidence", "uncertainty"]
LONG = "a/very/long/path/" * 5 + "IMG_0001.jpg"


def shown(rows, width, *, terminal=True, encoding="utf-8"):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(
        file=stream, width=width, force_terminal=terminal, highlight=False, color_system=None
    )
    show(HEADER, rows, console)
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)


def test_a_long_file_name_folds_and_is_never_cut():
    text = shown([[LONG, "cancer", "0.950", "low"]], 80)
    folded = "".join(line.split("  ")[0].strip() for line in text.splitlines()[1:])
    assert folded == LONG
    assert "cancer" in text
    assert all(len(line) <= 80 for line in text.splitlines())


@pytest.mark.parametrize("width", [20, 40, 50])
def test_a_narrow_terminal_gets_a_block_for_each_photo(width):
    text = shown([[LONG, "cancer", "0.950", "low"], ["b.jpg", "failed", "", ""]], width)
    assert "\n  prediction: cancer\n  confidence: 0.950\n  uncertainty: low\n" in text
    assert text.endswith("b.jpg\n  prediction: failed\n")
    assert all(len(line) <= width for line in text.splitlines())
    assert LONG in text.replace("\n", "")


def test_brackets_in_a_file_name_are_no_markup():
    assert "[red]a[/red].jpg" in shown([["[red]a[/red].jpg", "cancer", "0.950", "low"]], 80)


def test_control_characters_in_a_file_name_do_not_reach_the_terminal():
    text = shown([["a\x1b[2J\nb.jpg", "cancer", "0.950", "low"]], 80)
    assert "\x1b" not in text
    assert r"a\x1b[2J\nb.jpg" in text


@pytest.mark.parametrize("name", ["zäh.jpg", "\udcff.jpg", "牙.jpg"])
def test_a_name_the_terminal_cannot_encode_is_escaped(name):
    text = shown([[name, "cancer", "0.950", "low"]], 80, encoding="ascii")
    assert name.encode("ascii", "backslashreplace").decode() in text


def test_what_can_be_shown_is_left_as_it_is():
    console = Console(file=io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert printable("zäh 牙.jpg", console) == "zäh 牙.jpg"
