"""What a tracking server is told of a gate: its report, and the candidate's release file."""

from pathlib import Path

from pipelines.release import release_path
from releases.gate.report import GateReport
from tracking.server import TrackedRun, figures


def tracked_run(report: GateReport, page: str, repository: Path) -> TrackedRun:
    """The run of one gate.

    Args:
        report: What was judged; it holds no file names and no digest of a single photo.
        page: The same as HTML.
        repository: The model repository, where the candidate may lie.
    """
    parameters = {
        "current": report.current,
        "candidate": report.candidate,
        "task": str(report.task),
        "canaries_sha256": report.canaries.sha256,
        "weights": "demo" if report.demo else "trained",
    }
    margins = report.gate.model_dump(mode="json")
    parameters |= {f"gate.{name}": str(value) for name, value in margins.items()}
    metrics = {"photos": float(report.canaries.photos)}
    for each in report.checks:
        if not each.column:
            named = {"current": each.current, "candidate": each.candidate}
            metrics |= figures(each.name, {**named, "difference": each.difference})
    file = release_path(report.pipeline, report.candidate, repository)
    return TrackedRun(
        pipeline=report.pipeline,
        name=f"gate of {report.candidate}",
        parameters=parameters,
        metrics=metrics,
        tags={
            "second_opinion.kind": "gate",
            "second_opinion.pipeline": report.pipeline,
            "second_opinion.release": report.candidate,
            "second_opinion.result": str(report.result),
        },
        files={f"releases/{file.name}": file} if file.is_file() else {},
        texts={"report.json": report.model_dump_json(indent=1), "report.html": page},
    )
