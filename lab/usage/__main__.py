"""`python -m lab.usage compute|rows`: is compute time what the kernel counts; how fast are sums."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console

from lab.errors import LabError
from lab.options import MODEL_REPOSITORY, Repository
from lab.service.service import Service
from lab.usage import rows as million
from lab.usage.compute import Comparison, compare
from loadtest.photos import SAMPLES
from pipelines.profile import DEFAULT_PROFILE
from pipelines.protocol import DEFAULT_PIPELINE

_console = Console(highlight=False, soft_wrap=True)
_FAILED, _CANNOT = 1, 2
app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)


@app.command()
def compute(  # noqa: PLR0917 - typer's options
    pipelines: Annotated[
        str, typer.Option(help="What to serve and ask, separated by commas.")
    ] = DEFAULT_PIPELINE,
    profile: Annotated[str, typer.Option(help="Of the pipelines.")] = DEFAULT_PROFILE,
    repository: Repository = MODEL_REPOSITORY,
    photos: Annotated[Path, typer.Option(help="Folder of JPEG files to send.")] = SAMPLES,
    seconds: Annotated[float, typer.Option(min=5, help="How long the load lasts.")] = 600,
    callers: Annotated[int, typer.Option(min=1, help="Who ask at the same time.")] = 6,
) -> None:
    """Sums the compute time of all answers to a mixed load: HTTP, batches, KServe over gRPC.

    Compares it with the CPU time that the kernel counts for all backend processes meanwhile, less
    what they take at rest. Fails (1) where they differ by more than 5 %.
    """
    files = [path.read_bytes() for path in sorted(photos.rglob("*.jpg"))]
    try:
        if not files:
            raise LabError(f"{photos}: has no *.jpg")  # noqa: TRY301
        with TemporaryDirectory(prefix="usage-") as folder:
            log = Path(folder, "service.log")
            database = f"sqlite:///{folder}/usage.db"
            environment = {"GATEWAY_DATABASE_URL": database}
            environment["GATEWAY_SECRETS_DIR"] = f"{folder}/secrets"
            names = pipelines.split(",")
            with Service(
                names, repository, log=log, profile=profile, environment=environment
            ) as service:
                found = compare(service, names, files, seconds, callers)
    except LabError as error:
        Console(stderr=True, soft_wrap=True).print(f"lab.usage: {error}")
        raise typer.Exit(_CANNOT) from None
    _show(found)
    if not found.agrees:
        raise typer.Exit(_FAILED)


@app.command()
def rows(
    count: Annotated[int, typer.Option(min=1, help="Rows of the audit log.")] = 1_000_000,
    callers: Annotated[int, typer.Option(min=1, help="Who sent them.")] = 50,
    seconds: Annotated[
        float, typer.Option(help="CPU time that one question may take at most.")
    ] = 1.0,
) -> None:
    """Writes rows into a database of its own (SQLite), rolls them up, and asks for their sums.

    Fails (1) where a question takes longer, or the sums are not those of the rows.
    """
    with TemporaryDirectory(prefix="usage-") as folder:
        found = million.measure(Path(folder, "rows.db"), count, callers)
    _console.print(f"{count} rows of a month, {callers} callers: written in {found.written:.1f} s")
    _console.print(f"rolled up in {found.rolled_up:.1f} s, into {found.hours} sums by the hour")
    _console.print(f"memory, at most, above that before: {found.memory_mib:.0f} MiB")
    for name, (took, cpu) in found.questions.items():
        _console.print(f"  {name}: {took * 1000:.0f} ms, {cpu * 1000:.0f} ms of CPU")
    # Other work on the machine is not the database's.
    if max(cpu for _, cpu in found.questions.values()) > seconds or found.differences:
        _console.print(f"too slow, or wrong: {found.differences} sums differ from the rows")
        raise typer.Exit(_FAILED)


def _show(found: Comparison) -> None:
    _console.print(f"{found.images} images in {found.seconds:.0f} s, {found.failed} failed")
    _console.print(f"CPU time of the backend processes: {found.busy:.2f} s")
    for role, seconds in found.by_role.items():
        _console.print(f"  {role}: {seconds:.2f} s")
    _console.print(f"at rest they would have taken: {found.at_rest:.2f} s")
    _console.print(f"{found.probes} probes of the launcher took: {found.probing:.2f} s")
    _console.print(f"compute time of all answers: {found.stated:.2f} s")
    _console.print(f"stated / counted: {found.ratio:.3f} (0.95 to 1.05 is required)")
    _console.print(
        "caused by no single image: "
        + ", ".join(f"{role} {seconds:.2f} s" for role, seconds in found.others.items())
    )


if __name__ == "__main__":
    app()
