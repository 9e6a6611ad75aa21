"""Prints rows as a table, or as one block for each row where the terminal is too narrow."""

import sys

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

_FIRST_COLUMN = 18  # the first column folds; below this width that is no longer readable
_GAP = 2


def output() -> Console:
    """Standard output. In a pipe lines are never cut or wrapped, so that grep sees whole rows."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 100_000)


def printable(text: str, console: Console) -> str:
    """The text with control characters, and characters that the console cannot show, as escapes."""
    shown = text.encode(console.encoding, "backslashreplace").decode(console.encoding)
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in shown
    )


def show(header: list[str], rows: list[list[str]], console: Console) -> None:
    """Prints the rows; only the first column may take several lines."""
    rows = [[printable(cell, console) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) + _GAP for column in zip(header, *rows, strict=True)]
    if min(widths[0], _FIRST_COLUMN) + sum(widths[1:]) > console.width:
        _show_blocks(header, rows, console)
        return
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold underline")
    table.add_column(header[0], overflow="fold")
    for name in header[1:]:
        table.add_column(name, no_wrap=True)
    for row in rows:
        # Text and not str: brackets in a file name are no markup.
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _show_blocks(header: list[str], rows: list[list[str]], console: Console) -> None:
    for row in rows:
        console.print(Text(row[0]), overflow="fold")
        for name, cell in zip(header[1:], row[1:], strict=True):
            if cell:
                console.print(Text(f"  {name}: {cell}"), overflow="fold")
