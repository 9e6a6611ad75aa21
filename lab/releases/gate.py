"""`python -m lab.releases.gate`: how often the gate errs on simulated answers; for docs/gate.md."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from evaluation.metrics import intervals
from lab import markdown
from lab.releases.canaries import Candidate, simulate
from pipelines.gate import ReleaseGate
from pipelines.gate_verdict import Result
from releases.gate.judgement import judge

COMMAND = "python -m lab.releases.gate"
_FIRST_SEED = 10_000
CANDIDATES: dict[str, Candidate] = {
    "as good (1 % lost, 1 % gained)": Candidate(),
    "as good, and it disagrees more (3 % lost, 3 % gained)": Candidate(lost=0.03, gained=0.03),
    "better (1 % lost, 3 % gained)": Candidate(gained=0.03),
    "sensitivity lower by exactly the margin of 2 points": Candidate(lost=0.03),
    "sensitivity lower by 4 points": Candidate(lost=0.05),
    "worse at one of four sites by 15 points": Candidate(lost=0.0, gained=0.02, lost_at={
        "south": 0.17}),
    "labels shuffled": Candidate(shuffled=True),
    "5 times slower": Candidate(slower=5),
    "as good, 12 positives": Candidate(positives=12),
    "as good, 150 positives": Candidate(positives=150),
}  # fmt: skip


def main(
    sets: Annotated[int, typer.Option(min=1, help="Canary sets of each candidate.")] = 200,
    docs: Annotated[
        Path | None, typer.Option(metavar="PAGE", help="Writes the table there.")
    ] = None,
) -> None:
    """Judges each candidate on many canary sets, and counts the three results."""
    rows = []
    for name, candidate in CANDIDATES.items():
        results = Counter(
            judge(*simulate(_FIRST_SEED + number, candidate), ReleaseGate()).result
            for number in range(sets)
        )
        rows.append([name, *(_share(results[each], sets) for each in list(Result)[:3])])
        typer.echo(" | ".join(rows[-1]))
    text = (
        f"Written by `{COMMAND}`: {sets} canary sets of each candidate, of 800 positives and 800 "
        "negatives at four sites unless it says otherwise; the current release has a sensitivity "
        "of 0.92. Shares with 95 % intervals.\n\n"
        + markdown.table(["candidate", *map(str, list(Result)[:3])], rows)
    )
    if docs is not None:
        markdown.replace_section(docs, "figures", text)


def _share(count: int, of: int) -> str:
    found = intervals.share(count, of)
    assert found is not None  # noqa: S101 - there is one set at least
    return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"


if __name__ == "__main__":
    typer.run(main)
