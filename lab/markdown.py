"""Writes Markdown: tables, and the generated section of a page."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from lab.errors import LabError
from pipelines import atomic_write


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table, with a line end."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows) + "\n"


def replace_section(page: Path, name: str, text: str) -> None:
    """Puts text between a page's `<!-- NAME: begin ... -->` and `<!-- NAME: end -->`.

    Raises:
        LabError: the page or the marks are not there.
    """
    begin, end = f"<!-- {name}: begin", f"<!-- {name}: end -->"
    whole = page.read_text("utf-8") if page.is_file() else ""
    before, found, rest = whole.partition(begin)
    mark, closed, _ = rest.partition("-->")
    _, ended, after = rest.partition(end)
    if not (found and closed and ended):
        raise LabError(f"{page} lacks the lines `{begin} -->` and `{end}`: put them back")
    atomic_write.write_text(page, f"{before}{begin}{mark}-->\n{text.strip()}\n{end}{after}")
