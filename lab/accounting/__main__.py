"""`python -m lab.accounting`: breaks a service, and compares its rows with what callers saw."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from lab.accounting import trial
from lab.accounting.callers import GRPC, HTTP
from lab.accounting.databases import KINDS
from lab.accounting.trial import Fault, Figures
from lab.errors import LabError
from lab.machine import describe
from lab.markdown import replace_section, table
from lab.options import MODEL_REPOSITORY, Docs, Repository, Specs
from lab.paths import CACHE
from pipelines.load import FOLDER

SECTION = "accounting"
_CANNOT = 2
_console = Console(stderr=True, highlight=False, soft_wrap=True)


def main(
    databases: Annotated[
        list[str] | None, typer.Option("--database", help="sqlite or postgresql; by default both.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=10, help="How long each database's run lasts.")
    ] = 600,
    repository: Repository = MODEL_REPOSITORY,
    specs: Specs = FOLDER,
    docs: Docs = None,
) -> None:
    """Kills processes, fills the disk and stops the database while callers ask over both doors.

    The disk is filled where root runs it, which may mount a small file system. Each fault comes
    once at least. What was found of a database is printed, and written, as soon as its run is over.
    Fails (1) where an answer has no row, a row is wrong, a key has two, or a chain does not verify.
    """
    kinds = databases or list(KINDS)
    if unknown := set(kinds) - set(KINDS):
        _console.print(f"error: no database {unknown.pop()!r}", markup=False)
        raise typer.Exit(_CANNOT)
    found: list[Figures] = []
    for kind in kinds:
        log = CACHE / "logs" / f"accounting-{kind}.log"
        _console.print(f"{kind}: {seconds:.0f} s; the service's log: {log}", markup=False)
        try:
            found.append(trial.run(kind, repository.absolute(), specs.absolute(), seconds, log))
            # At once: what was found of this database stays, whatever becomes of the next one.
            typer.echo(report(found[-1:]))
            if docs:
                replace_section(docs, SECTION, report(found))
        except (LabError, OSError) as error:
            _console.print(f"error: {error}", markup=False)
            raise typer.Exit(_CANNOT) from None
    raise typer.Exit(0 if all(each.passed for each in found) else 1)


def report(found: Sequence[Figures]) -> str:
    """The tables of runs."""
    machine = describe()
    head = ("", *(each.database for each in found))
    rows = [
        ("answers that callers saw", *(f"{each.account.answers:,}" for each in found)),
        ("rows with a result", *(f"{each.account.rows:,}" for each in found)),
        (
            "of those, their answer was lost on its way (a caller without a key)",
            *(f"{each.account.beyond:,}" for each in found),
        ),
        ("answers without a row", *(str(each.account.missing) for each in found)),
        (
            "answers whose receipt is not their row's",
            *(str(each.account.other_receipts) for each in found),
        ),
        ("wrong answers", *(str(each.wrong) for each in found)),
        ("wrong rows", *(str(each.account.wrong) for each in found)),
        ("keys with two rows", *(str(each.account.twice) for each in found)),
        ("rows of a key without its answer", *(str(each.account.lost_keys) for each in found)),
        ("callers with a key that gave up", *(str(each.given_up) for each in found)),
        ("chains", *(str(each.verified.chains) for each in found)),
        ("changed, moved or missing rows", *(str(len(each.verified.findings)) for each in found)),
    ]
    intro = (
        f"{machine.cores} cores of {machine.cpu}, {found[0].seconds:.0f} s each, four callers "
        "(each door with and without idempotency keys)."
    )
    parts = [f"{intro}\n\n{table(head, rows)}"]
    for each in found:
        named = _grouped(each.faults)
        lines = [
            (
                name,
                str(len(those)),
                _longest(those, HTTP),
                _longest(those, GRPC),
                _instead(those),
            )
            for name, those in named.items()
        ]
        parts.append(
            f"\n{each.database}:\n\n"
            + table(
                ("fault", "times", "HTTP again after", "gRPC again after", "came instead"), lines
            )
        )
    return "".join(parts)


def _grouped(those: Sequence[Fault]) -> dict[str, list[Fault]]:
    named: defaultdict[str, list[Fault]] = defaultdict(list)
    for fault in those:
        named[fault.name].append(fault)
    return named


def _longest(those: Sequence[Fault], door: str) -> str:
    return f"{max(fault.again[door] for fault in those):.1f} s"


def _instead(those: Sequence[Fault]) -> str:
    total: Counter[str] = sum((fault.instead for fault in those), Counter())
    return ", ".join(f"{count} x {what}" for what, count in total.most_common()) or "nothing"


if __name__ == "__main__":
    typer.run(main)
