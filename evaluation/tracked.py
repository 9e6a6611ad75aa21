"""What a tracking server is told of an evaluation: its figures and its plot, and of no photo."""

from pathlib import Path

from evaluation.report import Report
from tracking.server import TrackedRun, figures

_OF_PHOTOS = {"answers"}
"""Of a report: lines of single photos, with their digests."""


def tracked_run(report: Report, plot: Path) -> TrackedRun:
    """The run of one evaluation.

    Args:
        report: What was measured.
        plot: A picture of it.
    """
    document = report.model_dump(mode="json", exclude=_OF_PHOTOS)
    parameters = {
        "release": report.release,
        "member": report.member or "all",
        "task": report.task,
        "classes": ", ".join(report.classes),
        "threshold": str(report.threshold),
        "weights": report.weights or "trained",
    }
    for name, member in report.members.items():
        parameters[f"{name}.version"] = str(member.version)
        parameters[f"{name}.sha256"] = str(member.sha256)
    metrics = figures("", document)
    for name in ("format", "threshold"):
        metrics.pop(name, None)
    return TrackedRun(
        pipeline=report.pipeline,
        name=f"evaluation of {report.release}",
        parameters=parameters,
        metrics=metrics,
        tags={
            "second_opinion.kind": "evaluation",
            "second_opinion.pipeline": report.pipeline,
            "second_opinion.release": report.release,
        },
        files={"plot.png": plot},
        texts={"report.json": report.model_copy(update={"answers": []}).model_dump_json(indent=1)},
    )
