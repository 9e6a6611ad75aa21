"""The description of a pipeline: its JSON shape, and how it is filled."""

from typing import Annotated, Literal, NotRequired

from typing_extensions import TypedDict

from gateway.core.catalog import Pipeline
from gateway.results.facts import artefact
from gateway.results.shapes import MemberFacts, View, closed, doc
from gateway.results.typicality import not_judged_because, views_of
from pipelines.derived import explained_views
from pipelines.enums import Decoding, Format, QualityWarning, Task
from pipelines.spec import PipelineSpec


@closed
class ThresholdFacts(TypedDict):
    """The default threshold, and the bounds of what a request may choose."""

    default: float
    minimum: float
    maximum: float


@closed
class MemberDescription(MemberFacts):
    """One member of a pipeline."""

    architecture: str
    format: Format
    precision: Literal["fp32", "fp16", "int8"]
    weight: Annotated[float, doc("0: an alternative, asked only by ?member=.")]
    temperature: Annotated[
        float | None, doc("What calibrated its confidence; null where it is not calibrated.")
    ]


@closed
class LimitsFacts(TypedDict):
    """The largest image."""

    bytes: int
    pixels: int
    aspect: NotRequired[
        Annotated[float, doc("Long side divided by the short one; only where there is a limit.")]
    ]


@closed
class QualityBound(TypedDict):
    """From where on a photo is warned of, or refused."""

    below: NotRequired[float]
    above: NotRequired[float]
    refuse: Annotated[bool, doc("Whether such a photo gets no answer (`image_quality`).")]


@closed
class TypicalityFacts(TypedDict):
    """How images of another kind than the models' are told."""

    false_alarms: Annotated[
        float, doc("The share of images of the models' kind that is flagged at most.")
    ]
    views: Annotated[list[View], doc("What is compared where a request names no member.")]
    reference: Annotated[str, doc("SHA-256 of the reference's file.")]
    photos: Annotated[int, doc("Reference photos.")]
    photos_sha256: Annotated[str, doc("SHA-256 over those of the reference photos, sorted.")]


@closed
class ExplanationFacts(TypedDict):
    """How it is shown where the members looked."""

    grid: Annotated[int, doc("Cells along each side of the photo.")]
    images: Annotated[int, doc("As how many images a request with `explain` counts to rates.")]


@closed
class KeptImagesFacts(TypedDict):
    """How long images are kept whose callers consent."""

    days: int


@closed
class PipelineDescription(TypedDict):
    """A pipeline and what it takes."""

    name: str
    title: str
    task: Task
    release: str
    release_sha256: Annotated[
        str | None, doc("Of the release's file; null where an older launcher does not say it.")
    ]
    profile: Annotated[str, doc("The way it is served.")]
    ready: bool
    classes: list[str]
    positive: Annotated[str | None, doc("Of a binary classification, else null.")]
    threshold: Annotated[
        ThresholdFacts | None,
        doc(
            "Of the positive class's probability, or of a detection's score; null "
            "for a multi-class classification."
        ),
    ]
    members: dict[str, MemberDescription]
    preprocessing: Decoding
    limits: LimitsFacts
    respond_within_ms: Annotated[
        int,
        doc("The time, from the last byte of a request on, within which callers want an answer."),
    ]
    quality: Annotated[
        dict[QualityWarning, QualityBound], doc("Bounds of the photo's quality, by warning.")
    ]
    typicality: Annotated[
        TypicalityFacts | None, doc("Null where the release judges no image's typicality.")
    ]
    typicality_reason: NotRequired[
        Annotated[str, doc("Why `typicality` is null; only where it is.")]
    ]
    keep_images: Annotated[
        KeptImagesFacts | None,
        doc("How long an image is kept whose caller consents; null where none is kept."),
    ]
    explanation: NotRequired[
        Annotated[ExplanationFacts, doc("Only where requests may ask for one (`explain`).")]
    ]
    weights: NotRequired[Literal["demo"]]


@closed
class PipelineList(TypedDict):
    """The pipelines that the caller may ask; `default` is the one of the routes that name none."""

    default: str | None
    pipelines: list[PipelineDescription]


def describe(pipeline: Pipeline, *, ready: bool, promised: float) -> PipelineDescription:
    """One entry of the list of pipelines.

    Args:
        pipeline: it.
        ready: whether it answers.
        promised: seconds within which callers who ask for nothing else are answered.
    """
    spec = pipeline.spec
    weights = pipeline.weights
    limits: LimitsFacts = {"bytes": spec.limits.bytes, "pixels": spec.limits.pixels}
    if spec.limits.aspect is not None:
        limits["aspect"] = spec.limits.aspect
    described: PipelineDescription = {
        "name": spec.name,
        "title": spec.title,
        "task": spec.task,
        "release": pipeline.release,
        "release_sha256": pipeline.release_sha256,
        "profile": spec.profile,
        "ready": ready,
        "classes": list(spec.classes),
        "positive": spec.positive,
        "threshold": None
        if spec.threshold is None
        else {
            "default": spec.threshold.default,
            "minimum": spec.threshold.minimum,
            "maximum": spec.threshold.maximum,
        },
        "members": {
            name: {
                "architecture": member.architecture,
                "format": member.format,
                "precision": member.precision,
                "weight": weights[name],
                "temperature": pipeline.artefacts[name].temperature,
                **artefact(pipeline, name),
            }
            for name, member in spec.members.items()
        },
        "preprocessing": spec.preprocessing.decoding,
        "limits": limits,
        "respond_within_ms": round(promised * 1000),
        "quality": _bounds(spec),
        "typicality": _typicality(pipeline),
        "keep_images": None if spec.keep_images is None else {"days": spec.keep_images.days},
    }
    if reason := not_judged_because(pipeline):
        described["typicality_reason"] = reason
    if spec.explanation is not None:
        grid = spec.explanation.grid
        described["explanation"] = {"grid": grid, "images": 1 + explained_views(grid)}
    if pipeline.demo:
        described["weights"] = "demo"
    return described


def _bounds(spec: PipelineSpec) -> dict[QualityWarning, QualityBound]:
    bounds = {warning: getattr(spec.quality, warning) for warning in QualityWarning}
    return {
        warning: bound.model_dump(exclude={"text"})
        for warning, bound in bounds.items()
        if bound is not None
    }


def _typicality(pipeline: Pipeline) -> TypicalityFacts | None:
    facts, reference = pipeline.spec.typicality, pipeline.reference
    if facts is None or reference is None:
        return None
    return {
        "false_alarms": facts.false_alarms,
        "views": views_of(pipeline),
        "reference": reference.sha256,
        "photos": reference.photos,
        "photos_sha256": reference.photos_sha256,
    }
