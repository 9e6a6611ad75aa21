"""The result of a search as text: figures before and after, and YAML to paste or write."""

import io
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from ruamel.yaml import YAML

from lab.tune.paired_comparison import Level
from lab.tune.setting import merge
from pipelines import atomic_write

_WIDE = 4096


def block(changed: Mapping[str, Any]) -> str:
    """Changes as YAML, to paste over the keys of the same names."""
    return _dumped(dict(changed))


def write(path: Path, changed: Mapping[str, Any]) -> None:
    """Puts changes into a pipeline's YAML; comments, order and all else stay."""
    yaml = _yaml()
    facts = yaml.load(path.read_text("utf-8"))
    merge(facts, changed)
    atomic_write.write_text(path, _dumped(facts))


def worth_it(levels: Sequence[Level]) -> bool:
    """Whether some load gains, and none loses, in every single pair."""
    verdicts = {level.verdict for level in levels}
    return "gain" in verdicts and "loss" not in verdicts


def compared(levels: Sequence[Level]) -> Table:
    """Before and after, for the screen."""
    table = Table("callers", "images/s before", "after", "p50 ms before", "after", "ratio", "")
    for level in levels:
        before = [pair.before for pair in level.pairs]
        after = [pair.after for pair in level.pairs]
        table.add_row(
            str(level.callers),
            _spread([each.rate for each in before]),
            _spread([each.rate for each in after]),
            _spread([each.p50_ms or 0.0 for each in before]),
            _spread([each.p50_ms or 0.0 for each in after]),
            f"{level.gain:.2f} ({level.smallest:.2f} to {level.largest:.2f})",
            level.verdict,
        )
    return table


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = _WIDE
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _dumped(facts: object) -> str:
    text = io.StringIO()
    _yaml().dump(facts, text)
    return text.getvalue()
