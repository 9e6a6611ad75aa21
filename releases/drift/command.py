"""`python -m releases drift`: compares what a release answers now with its reference."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from releases.exposition import METRICS_HELP, ExpositionError, publish

if TYPE_CHECKING:
    from releases.drift.comparison import DriftReport
    from releases.drift.figures import Figures

ROOT = Path(__file__).parents[2]
JOB = "second-opinion-drift"
_DRIFT, _CANNOT, _NOT_ENOUGH = 1, 2, 3
_ALARMS = 0.01


def drift(
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE")],
    *,
    release: Annotated[
        str | None,
        typer.Option(metavar="RELEASE", help="Whose answers; left out: the one that serves."),
    ] = None,
    profile: Annotated[str, typer.Option(metavar="NAME", help="Of the YAML.")] = "default",
    since: Annotated[
        datetime | None, typer.Option(metavar="TIME", help="Answers from then on, in UTC.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(metavar="TIME", help="Answers before then, in UTC.")
    ] = None,
    make_reference: Annotated[
        bool,
        typer.Option(
            "--make-reference",
            help="Takes these answers as the release's reference, and compares nothing.",
        ),
    ] = False,
    reference: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Left out: with the release, in the model repository."),
    ] = None,
    alarms: Annotated[
        float,
        typer.Option(
            min=1e-6, max=0.5, help="Share of times without a change with any alarm, at most."
        ),
    ] = _ALARMS,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Writes a page with each distribution.")
    ] = None,
    metrics: Annotated[str | None, typer.Option(metavar="FILE|URL", help=METRICS_HELP)] = None,
    repository: Annotated[
        Path, typer.Option(help="Triton's model repository.", file_okay=False)
    ] = ROOT / "model_repository",
    as_json: Annotated[bool, typer.Option("--json", help="Prints the report as JSON.")] = False,
) -> None:
    """Says whether photos or answers have become others than they were (docs/drift.md).

    Reads the audit log of the database at GATEWAY_DATABASE_URL. Ends with 0 where both are quiet,
    1 where one has drifted, 3 where the photos are too few, 2 where nothing could be compared.
    """
    with _ends():
        from evaluation.errors import EvaluationError  # noqa: PLC0415 - quick --help
        from pipelines.atomic_write import write_text  # noqa: PLC0415
        from pipelines.release import current_identity  # noqa: PLC0415
        from releases.drift import page  # noqa: PLC0415
        from releases.drift.comparison import Reference, compare  # noqa: PLC0415
        from releases.drift.figures import reference_at  # noqa: PLC0415

        named = release or current_identity(pipeline, profile, repository)
        file = reference or reference_at(repository, pipeline, named)
        since, until = _in_utc(since), _in_utc(until)
        seen = _figures(pipeline, named, since, until)
        if make_reference:
            Reference.of(pipeline, named, seen, since, until).write(file)
            typer.echo(f"{seen.photos} photos: {file}")
            return
        expected = Reference.read(file)
        if expected.pipeline != pipeline:
            raise EvaluationError(f"{file}: is the reference of {expected.pipeline}")
        report = compare(expected, seen, named, since, until, alarms=alarms)
        if out is not None:
            write_text(out, page.render(report, expected, seen))
        if metrics is not None:
            publish(exposition(report), metrics, job=JOB, pipeline=pipeline)
        typer.echo(report.model_dump_json(indent=1) if as_json else _text(report))
    verdicts = {report.input, report.answer}
    if "drift" in verdicts:
        raise typer.Exit(_DRIFT)
    if "not enough evidence" in verdicts:
        raise typer.Exit(_NOT_ENOUGH)


def exposition(report: "DriftReport") -> str:
    """The report in Prometheus's text format."""
    labels = f'pipeline="{report.pipeline}",release="{report.release}"'
    lines = [
        "# HELP prediction_drift Whether photos (input) or answers (answer) have drifted.",
        "# TYPE prediction_drift gauge",
        *(
            f'prediction_drift{{{labels},kind="{kind}"}} {int(verdict == "drift")}'
            for kind, verdict in (("input", report.input), ("answer", report.answer))
        ),
        "# HELP prediction_drift_distance Distance from the reference; above 1 it is drift.",
        "# TYPE prediction_drift_distance gauge",
        *(
            f'prediction_drift_distance{{{labels},kind="{each.kind}",figure="{each.figure}"}} '
            f"{each.value / each.critical if each.critical else 0.0:.4f}"
            for each in report.figures
        ),
        "# HELP prediction_drift_photos Photos that were compared.",
        "# TYPE prediction_drift_photos gauge",
        f"prediction_drift_photos{{{labels}}} {report.photos}",
        "# HELP prediction_drift_timestamp_seconds When they were compared.",
        "# TYPE prediction_drift_timestamp_seconds gauge",
        f"prediction_drift_timestamp_seconds{{{labels}}} {report.created.timestamp():.0f}",
    ]
    return "\n".join(lines) + "\n"


def _figures(
    pipeline: str, release: str, since: datetime | None, until: datetime | None
) -> "Figures":
    from database.engine import open_engine, require_schema  # noqa: PLC0415 - as above
    from database.settings import DatabaseSettings  # noqa: PLC0415
    from releases.drift.figures import gather  # noqa: PLC0415

    engine = open_engine(DatabaseSettings().database_url)
    try:
        require_schema(engine)
        return gather(engine, pipeline, release, since, until)
    finally:
        engine.dispose()


def _text(report: "DriftReport") -> str:
    lines = [
        (
            f"{report.pipeline} {report.release}: {report.photos} photos beside the reference of "
            f"{report.reference}"
        ),
        f"photos: {report.input}",
        f"answers: {report.answer}",
    ]
    lines += [
        f"  {each.figure} ({each.kind}): {each.test} {each.value:.3f}, critical "
        f"{each.critical:.3f}, PSI {each.psi:.3f}{'  DRIFT' if each.drifted else ''}"
        for each in report.figures
    ]
    if report.not_in_reference:
        lines.append(
            f"not compared, as the reference lacks it: {', '.join(report.not_in_reference)}. Make "
            "the reference anew with --make-reference"
        )
    return "\n".join(lines)


def _in_utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=at.tzinfo or UTC)


@contextmanager
def _ends() -> Iterator[None]:
    """Turns expected errors into one line and an exit status."""
    from pydantic import ValidationError  # noqa: PLC0415 - as above
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    from database.engine import DatabaseError  # noqa: PLC0415
    from evaluation.errors import EvaluationError  # noqa: PLC0415
    from pipelines.release import ReleaseError  # noqa: PLC0415

    try:
        yield
    except (EvaluationError, ExpositionError, ReleaseError, DatabaseError) as error:
        _stop(str(error))
    except ValidationError as error:
        _stop(str(error.errors()[0]["msg"]).removeprefix("Value error, "))
    except SQLAlchemyError as error:
        _stop(f"the database cannot be read: {type(error).__name__}")
    except OSError as error:
        _stop(f"{error.filename}: {error.strerror}")


def _stop(message: str) -> NoReturn:
    sys.stderr.write(f"releases: {message}\n")
    raise typer.Exit(_CANNOT)
