"""The outcome of a load test as JSON and as a table."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from loadtest.judgement import Breach, Figures
from pipelines import atomic_write


def write_json(file: Path, document: Mapping[str, object]) -> None:
    """Writes a summary whole or not at all."""
    text = json.dumps({"created": datetime.now(UTC).isoformat(), **document}, indent=2)
    atomic_write.write_text(file, text + "\n")


def machine() -> str:
    """The machine in words."""
    return f"{len(os.sched_getaffinity(0))} cores"


def documents(breaches: Sequence[Breach]) -> list[dict[str, object]]:
    """Breaches for a summary."""
    return [
        {"subject": each.subject, "budget": each.budget, "figure": each.figure, "bound": each.bound}
        for each in breaches
    ]


def show(figures: Mapping[str, Figures], breaches: Sequence[Breach], console: Console) -> None:
    """Prints the table of all kinds, and names each broken budget."""
    table = Table(box=None, pad_edge=False)
    for column in ("user", "studies", "wrong", "reported", "lost", "refused"):
        table.add_column(column, justify="left" if column == "user" else "right")
    for column in ("unloaded", "p50", "p99 ms", "ratio"):
        table.add_column(column, justify="right")
    for kind, measured in figures.items():
        account = measured.account
        counts = (account.begun, account.wrong, account.reported, account.open)
        times = (measured.unloaded_ms, measured.p50_ms, measured.p99_ms)
        table.add_row(
            kind,
            *map(str, counts),
            f"{measured.shed_share or 0:.1%}",
            *("-" if time is None else f"{time:.0f}" for time in times),
            "-" if measured.p99_ratio is None else f"{measured.p99_ratio:.1f}",
        )
    console.print(table)
    name_breaches(breaches, console)


def name_breaches(breaches: Sequence[Breach], console: Console) -> None:
    """Prints each broken budget with its figure and bound."""
    for breach in breaches:
        console.print(f"BROKEN  {breach}", highlight=False)
    if not breaches:
        console.print("All budgets are held.")
