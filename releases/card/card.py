"""Renders a model card from a pipeline's YAML, a release, its gate's report and an evaluation.

Sections as in M. Mitchell et al., Model cards for model reporting, FAT* 2019. What nothing says of
a release is said to be missing, and not left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from evaluation.metrics.intervals import Share
from evaluation.report import ClassificationReport, Report
from evaluation.tables.layout import DEMO_NOTE
from pipelines.definition import CardTexts, PipelineDefinition
from pipelines.release import Release
from releases import page
from releases.gate.report import GateReport

_NOTICE = "No medical device: figures are for research and for learning."
_NOT_SAID = "Not said: write `card` into the pipeline's YAML."
_TITLES = {
    "intended_use": "Intended use",
    "not_for": "Not for",
    "training_data": "Training data",
    "limits": "Known limits",
    "contact": "Contact",
}
_Row = tuple[str | float | None, ...]


@dataclass(frozen=True)
class Evidence:
    """What was measured of a release; None: nothing was kept or named."""

    gate: GateReport | None
    evaluation: Report | None


def render(definition: PipelineDefinition, release: Release, evidence: Evidence) -> str:
    """The page: HTML without scripts, which needs no other file."""
    spec = release.spec
    demo = any(member.weights == "demo" for member in release.members.values())
    return page.document(
        f"{spec.title}: release {release.identity}",
        *([page.paragraph(DEMO_NOTE, banner=True)] if demo else []),
        page.paragraph(_NOTICE),
        *_texts(definition.card or CardTexts()),
        page.heading("The release"),
        page.table(("fact", "value"), _facts(release)),
        page.heading("Models"),
        page.table(
            ("member", "architecture", "format", "weight", "weights", "class order", "temperature",
             "SHA-256 of the artefact"),
            _members(release),
        ),
        *_recommendations(release),
        page.heading("Evaluation"),
        *_evaluation(evidence.evaluation),
        page.heading("Gate"),
        *_gate(evidence.gate),
    )  # fmt: skip


def _texts(card: CardTexts) -> Iterator[str]:
    for name, title in _TITLES.items():
        yield page.heading(title)
        yield page.paragraph(getattr(card, name) or _NOT_SAID)


def _facts(release: Release) -> Iterator[_Row]:
    spec = release.spec
    yield "pipeline", spec.name
    yield "task", str(spec.task)
    yield "profile", spec.profile
    yield "SHA-256 of the release", release.sha256
    yield "classes", ", ".join(spec.classes)
    if spec.positive is not None:
        yield "positive class", spec.positive
    if (threshold := spec.threshold) is not None:
        yield (
            "threshold",
            (
                f"{threshold.default:g} (a request may ask for {threshold.minimum:g} to "
                f"{threshold.maximum:g})"
            ),
        )
    said = spec.preprocessing
    size = "as the photo" if said.size is None else f"{said.size[1]} x {said.size[0]} pixels"
    yield "preprocessing", f"{size}, {said.resize}, {said.interpolation}, decoding {said.decoding}"
    yield "calibrated", "yes" if release.calibration is not None else "no"
    if spec.typicality is None or release.reference is None:
        yield "images of another kind", "are not told apart"
    else:
        yield (
            "images of another kind",
            (
                f"are told apart by {release.reference.origin.photos} reference photos, with "
                f"{spec.typicality.false_alarms:.1%} false alarms at most"
            ),
        )


def _members(release: Release) -> Iterator[_Row]:
    for name, member in release.members.items():
        facts = release.spec.members[name]
        yield (
            f"{name}, version {member.version}",
            facts.architecture,
            str(facts.format),
            facts.weight,
            member.weights,
            str(member.class_order),
            member.temperature,
            release.artefact_sha256(name),
        )


def _recommendations(release: Release) -> Iterator[str]:
    if (uncertainty := release.spec.uncertainty) is None:
        return
    yield page.heading("What an answer recommends")
    yield page.table(("uncertainty", "recommendation"), uncertainty.levels)


def _evaluation(report: Report | None) -> Iterator[str]:
    if report is None:
        yield page.paragraph("None was named (--evaluation REPORT).")
        return
    yield page.paragraph(
        f"{report.photos} photos, {report.created:%Y-%m-%d}; {report.failed} had no answer and are "
        "in none of the figures."
    )
    rows: list[_Row] = []
    if isinstance(report, ClassificationReport):
        scores = report.scores
        rows += [_share("accuracy", scores.accuracy), _share("sensitivity", scores.sensitivity)]
        rows += [_share("specificity", scores.specificity)]
        if report.positive is None:
            rows += [_share(f"recall of {name}", share) for name, share in scores.recall.items()]
        rows.append(("ROC-AUC", scores.roc_auc, ""))
        rows.append(("expected calibration error", scores.expected_calibration_error, ""))
        if report.sets is not None:
            rows.append(_share(f"sets that hold the true class, stated {report.sets.stated:g}",
                               report.sets.coverage))  # fmt: skip
    else:
        rows.append(("mAP@0.5 of boxes", report.scores.boxes.at_50, ""))
        rows.append(("mAP@[.5:.95] of boxes", report.scores.boxes.at_50_95, ""))
        rows.append(("precision", report.scores.precision, ""))
        rows.append(("recall", report.scores.recall, ""))
    if report.typicality is not None:
        rows.append(_share("false alarms of typicality", report.typicality.false_alarms))
    yield page.table(("metric", "value", "95 % interval"), [row for row in rows if len(row) > 1])


def _share(name: str, share: Share | None) -> _Row:
    if share is None:
        return name, None, "not defined"
    return name, share.value, f"{share.low:.3f} to {share.high:.3f} ({share.count} of {share.of})"


def _gate(report: GateReport | None) -> Iterator[str]:
    if report is None:
        yield page.paragraph("None is kept with this release (python -m releases gate).")
        return
    yield page.paragraph(
        f"{report.result}, {report.created:%Y-%m-%d}, beside release {report.current} on "
        f"{report.canaries.photos} photos."
    )
    yield page.items(report.reasons)
    yield page.table(
        ("figure", report.current, report.candidate, "95 % interval of the difference", "result"),
        (
            (
                each.title,
                each.current,
                each.candidate,
                "-" if each.low is None else f"{each.low:+.3f} to {each.high:+.3f}",
                str(each.result),
            )
            for each in report.checks
        ),
    )
