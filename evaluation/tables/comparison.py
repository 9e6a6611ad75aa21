"""A comparison as a table."""

from rich.console import Group, RenderableType
from rich.text import Text

from evaluation.comparison import Comparison
from evaluation.metrics.significance import Difference
from evaluation.tables.layout import demo_note, number, table


def render(comparison: Comparison) -> Group:
    """Both runs side by side."""
    title = f"{comparison.photos} photos, the same for both"
    parts: list[RenderableType] = [
        Text(f"first: {comparison.first}", style="bold"),
        Text(f"second: {comparison.second}", style="bold"),
    ]
    if comparison.left_out.any:
        parts.append(Text(f"LEFT OUT: {comparison.left_out}", style="bold yellow"))
    rows = table("metric", "first", "second", "second - first", "95 % interval", title=title)
    for row in comparison.rows:
        rows.add_row(row.metric, number(row.first), number(row.second), *_cells(row.difference))
    parts += [*demo_note(comparison.demo), rows]
    if comparison.mcnemar is not None:
        split = comparison.mcnemar
        parts.append(
            Text(
                f"McNemar: {split.only_first} photos only the first has right, "
                f"{split.only_second} only the second; p = {split.p:.3g} (exact, two-sided)"
            )
        )
    return Group(*parts)


def _cells(difference: Difference | None) -> tuple[str, str]:
    if difference is None:
        return "", ""
    value = f"{difference.value:+.3f}"
    if difference.low is None or difference.high is None:
        return value, ""
    return value, f"{difference.low:+.3f} to {difference.high:+.3f}"
