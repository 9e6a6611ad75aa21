"""`python -m lab.releases.watch`: how often a promotion is called worse; for docs/releases.md."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from database.live_figures import Figure, Samples
from evaluation.metrics import intervals
from gateway.release_watch.judgement import BOUNDS, LOOKS, Verdict, judge
from lab import markdown

COMMAND = "python -m lab.releases.watch"
_SHARES = {
    Figure.REFUSED: 0.03,
    Figure.UNCERTAIN: 0.2,
    Figure.ATYPICAL: 0.01,
    Figure.CORRECTED: 0.1,
}
_MEDIAN_SECONDS, _SPREAD = 0.3, 0.5
_BEFORE = 2000
"""Answers of the former release."""
CHANGES: dict[str, Mapping[Figure, float]] = {
    "none": {},
    "every figure higher by exactly its bound": BOUNDS,
    "refused higher by 0.05": {Figure.REFUSED: 0.05},
    "refused higher by 0.3": {Figure.REFUSED: 0.3},
    "twice the time": {Figure.SECONDS: 2.0},
    "uncertain higher by 0.2": {Figure.UNCERTAIN: 0.2},
    "atypical higher by 0.1": {Figure.ATYPICAL: 0.1},
    "corrected higher by 0.15": {Figure.CORRECTED: 0.15},
}


def samples(rng: np.random.Generator, answers: int, change: Mapping[Figure, float]) -> Samples:
    """What is seen of a release; `change` adds to its shares, and multiplies its seconds."""
    found: Samples = {
        figure: (rng.random(answers) < share + change.get(figure, 0.0)).astype(float).tolist()
        for figure, share in _SHARES.items()
    }
    factor = change.get(Figure.SECONDS, 1.0)
    found[Figure.SECONDS] = (
        factor * rng.lognormal(np.log(_MEDIAN_SECONDS), _SPREAD, answers)
    ).tolist()
    return found


def main(
    promotions: Annotated[int, typer.Option(min=1, help="Of each change.")] = 1000,
    docs: Annotated[
        Path | None, typer.Option(metavar="PAGE", help="Writes the table there.")
    ] = None,
) -> None:
    """Judges simulated promotions, each at every look, and counts those that are called worse."""
    rows = []
    for number, (name, change) in enumerate(CHANGES.items()):
        rng = np.random.default_rng(number)
        worse, looks = 0, Counter[int]()
        for _ in range(promotions):
            judged = judge(samples(rng, _BEFORE, {}), samples(rng, LOOKS[-1], change))
            called = [each.current_answers for each in judged if each.verdict is Verdict.WORSE]
            worse += bool(called)
            looks.update([min(called)] if called else [])
        share = intervals.share(worse, promotions)
        assert share is not None  # noqa: S101 - there is one promotion at least
        shown = f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%})"
        rows.append([name, shown, _median(looks)])
        typer.echo(" | ".join(rows[-1]))
    text = (
        f"Written by `{COMMAND}`: {promotions} simulated promotions of each change, {_BEFORE} "
        f"answers of the former release and {LOOKS[-1]} of the new one, which are independent. Of "
        "the former one 3 % are refused, 20 % uncertain, 1 % atypical and 10 % corrected. Shares "
        "with 95 % intervals.\n\n"
        + markdown.table(["change", "called worse", "after so many answers, median"], rows)
    )
    if docs is not None:
        markdown.replace_section(docs, "watch", text)


def _median(looks: Counter[int]) -> str:
    return str(sorted(looks.elements())[looks.total() // 2]) if looks else "-"


if __name__ == "__main__":
    typer.run(main)
