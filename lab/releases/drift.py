"""`python -m lab.releases.drift`: how often drift is called and found; for docs/drift.md."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from evaluation.metrics import intervals
from lab import markdown
from lab.releases.weeks import Week, rows
from releases.drift.comparison import Reference, Verdict, compare
from releases.drift.figures import Figures, collect

COMMAND = "python -m lab.releases.drift"
_FIRST_SEED = 20_000
_WEEKS_OF_A_REFERENCE = 50
_REFERENCE_PHOTOS = 2000
WEEKS: dict[str, Week] = {
    "as ever": Week(),
    "as ever, 80 photos": Week(photos=80),
    "brightness 0.5 standard deviations higher": Week(brighter=0.5),
    "the same, of photos without dark or overexposed pixels": Week(brighter=0.5, extremes=False),
    "a camera that blurs: 40 % less sharpness": Week(blurred=0.4),
    "the answers alone are surer, by half a standard deviation of their log odds": Week(surer=1.0),
}


def main(
    quiet: Annotated[int, typer.Option(min=1, help="Weeks without a change.")] = 1000,
    changed: Annotated[int, typer.Option(min=1, help="Weeks of each change.")] = 200,
    docs: Annotated[
        Path | None, typer.Option(metavar="PAGE", help="Writes the table there.")
    ] = None,
) -> None:
    """Compares many simulated weeks with references of their own clinic."""
    made = []
    for name, week in WEEKS.items():
        counts = verdicts(week, quiet if name == "as ever" else changed, _FIRST_SEED)
        made.append([name, str(sum(counts.values())), *_shares(counts)])
        typer.echo(" | ".join(made[-1]))
    text = (
        f"Written by `{COMMAND}`: weeks of 500 photos unless it says otherwise, beside references "
        f"of {_REFERENCE_PHOTOS} photos, each for {_WEEKS_OF_A_REFERENCE} weeks. Shares of weeks "
        "with that verdict, with 95 % intervals.\n\n"
        + markdown.table(["week", "weeks", "any alarm", "photos drift", "answers drift"], made)
    )
    if docs is not None:
        markdown.replace_section(docs, "figures", text)


def verdicts(week: Week, weeks: int, seed: int) -> dict[tuple[Verdict, Verdict], int]:
    """How often each pair of verdicts, of photos and of answers, was given."""
    counts: dict[tuple[Verdict, Verdict], int] = {}
    reference = _reference(seed, week)
    for number in range(weeks):
        if number and number % _WEEKS_OF_A_REFERENCE == 0:
            reference = _reference(seed + number, week)
        seen = _figures(seed + 500_000 + number, week)
        report = compare(reference, seen, "1-aaaaaaaa")
        found = report.input, report.answer
        counts[found] = counts.get(found, 0) + 1
    return counts


def _reference(seed: int, week: Week) -> Reference:
    usual = _figures(seed, Week(photos=_REFERENCE_PHOTOS, extremes=week.extremes))
    return Reference.of("oral_cancer", "1-aaaaaaaa", usual)


def _figures(seed: int, week: Week) -> Figures:
    return collect(rows(np.random.default_rng(seed), week))


def _shares(counts: dict[tuple[Verdict, Verdict], int]) -> list[str]:
    total = sum(counts.values())

    def share(holds: Callable[[tuple[Verdict, Verdict]], bool]) -> str:
        found = intervals.share(sum(n for pair, n in counts.items() if holds(pair)), total)
        assert found is not None  # noqa: S101 - there is one week at least
        return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"

    drifted = Verdict.DRIFT
    return [
        share(lambda pair: drifted in pair),
        share(lambda pair: pair[0] is drifted),
        share(lambda pair: pair[1] is drifted),
    ]


if __name__ == "__main__":
    typer.run(main)
