"""`python -m releases canary`: asks what serves about labelled photos again, for alerts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from releases.exposition import METRICS_HELP, publish
from releases.gate.command import (
    CONCURRENCY,
    EXIT_STATUS,
    REPOSITORY,
    SPECS,
    Concurrency,
    Images,
    Json,
    Repository,
    Specs,
    answers_of,
    ends,
    name_unanswered,
    say,
)

if TYPE_CHECKING:
    from releases.gate.report import GateReport

JOB = "second-opinion-canary"


def canary(
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE")],
    labels: Annotated[
        Path, typer.Argument(help="The canary set, as the gate takes it: folder, CSV or COCO JSON.")
    ],
    *,
    expected: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="Answers of a time when all was well, as `gate --record` wrote them.",
        ),
    ],
    service: Annotated[
        str,
        typer.Option(envvar="SECONDOPINION_URL", metavar="URL", help="The service that is asked."),
    ] = "http://127.0.0.1:8080",
    images: Images = None,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="As in the recording; may be repeated."),
    ] = None,
    metrics: Annotated[str | None, typer.Option(metavar="FILE|URL", help=METRICS_HELP)] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Writes the report (JSON; the page beside it)."),
    ] = None,
    repository: Repository = REPOSITORY,
    specs: Specs = SPECS,
    concurrency: Concurrency = CONCURRENCY,
    as_json: Json = False,
) -> None:
    """Says whether what serves still answers a canary set as well as it did: pass, fail, or not
    enough evidence.

    The margins are the gate's; times are not compared. Ends with 0 where it passes, 1 where it
    fails, 3 where the evidence is not enough, 2 where nothing could be judged: then the metrics
    stay as they were. Run it once a day (docs/gate.md).
    """  # noqa: D205 - typer shows the whole text
    with ends():
        from evaluation.errors import EvaluationError  # noqa: PLC0415 - quick --help
        from pipelines.load import load_definition  # noqa: PLC0415
        from releases.gate import page  # noqa: PLC0415
        from releases.gate.answers import CanaryAnswers  # noqa: PLC0415
        from releases.gate.judgement import judge  # noqa: PLC0415
        from releases.gate.report import keep  # noqa: PLC0415

        margins = load_definition(pipeline, specs).gate
        known = CanaryAnswers.read(expected)
        if known.pipeline != pipeline:
            raise EvaluationError(f"{expected}: holds answers of {known.pipeline}, not {pipeline}")
        found = answers_of(
            service,
            pipeline,
            labels,
            images,
            columns=tuple(dict.fromkeys([*margins.subgroups, *(by or [])])),
            repository=repository,
            concurrency=concurrency,
        )
        report = judge(known, found, margins, again=True)
        name_unanswered([found])
        if out is not None:
            keep(report, page.render(report), out)
        if metrics is not None:
            publish(exposition(report), metrics, job=JOB, pipeline=pipeline)
        if as_json:
            typer.echo(report.model_dump_json(indent=1))
        else:
            say(report, out, 0)
    raise typer.Exit(EXIT_STATUS[report.result])


def exposition(report: "GateReport") -> str:
    """The report in Prometheus's text format; subgroups are in the report alone."""
    from pipelines.gate_verdict import Result  # noqa: PLC0415 - as above

    labels = f'pipeline="{report.pipeline}",release="{report.candidate}"'
    whole = [each for each in report.checks if not each.column]
    lines = [
        "# HELP prediction_canary Result of the last canary run: 1 of the one that it has.",
        "# TYPE prediction_canary gauge",
        *(
            f'prediction_canary{{{labels},result="{each}"}} {int(each is report.result)}'
            for each in (Result.PASS, Result.FAIL, Result.NOT_ENOUGH_EVIDENCE)
        ),
        "# HELP prediction_canary_figure A figure of the answers to the canary set.",
        "# TYPE prediction_canary_figure gauge",
        *(
            f'prediction_canary_figure{{{labels},figure="{each.name}"}} {each.candidate:.6g}'
            for each in whole
            if each.candidate is not None
        ),
        "# HELP prediction_canary_difference The figure, less that of the expected answers.",
        "# TYPE prediction_canary_difference gauge",
        *(
            f'prediction_canary_difference{{{labels},figure="{each.name}"}} {each.difference:.6g}'
            for each in whole
            if each.difference is not None
        ),
        "# HELP prediction_canary_photos Photos that were compared.",
        "# TYPE prediction_canary_photos gauge",
        f"prediction_canary_photos{{{labels}}} {report.canaries.photos}",
        "# HELP prediction_canary_timestamp_seconds When the canary set was asked about.",
        "# TYPE prediction_canary_timestamp_seconds gauge",
        f"prediction_canary_timestamp_seconds{{{labels}}} {report.created.timestamp():.0f}",
    ]
    return "\n".join(lines) + "\n"
