"""The pipelines that a service offers, and their loaded releases, as types."""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from secondopinion._answers import Member, Received
from secondopinion._explanation import ExplanationFacts
from secondopinion._typicality import TypicalityFacts


class PipelineMember(Member, frozen=True, kw_only=True):
    """A model of a pipeline.

    Attributes:
        precision: Of its weights, such as `fp32` or `int8`; None where the service does not say.
        weight: Its share of the decision, 0 to 1; one of 0 answers only where it is asked alone.
        temperature: What its logits were divided by to calibrate its confidence; None where they
            were not.
    """

    architecture: str | None = None
    format: str | None = None
    precision: str | None = None
    weight: float | None = None
    temperature: float | None = None


class Threshold(Struct, frozen=True, kw_only=True):
    """The score from which a binary pipeline says positive, or a detector names what it found.

    With the bounds of what a request may ask for.
    """

    default: float
    minimum: float
    maximum: float


class Limits(Struct, frozen=True, kw_only=True):
    """The largest image a pipeline takes: encoded bytes, and pixels once decoded.

    `aspect` is the longest side over the shortest; None where there is no limit.
    """

    bytes: int
    pixels: int
    aspect: float | None = None


class QualityBound(Struct, frozen=True, kw_only=True):
    """From where on the service warns of a photo, or refuses it; the other side is None."""

    below: float | None = None
    above: float | None = None
    refuse: bool = False


class KeepImages(Struct, frozen=True, kw_only=True):
    """For how many days the service keeps an image whose caller consents."""

    days: int


class Pipeline(Received, frozen=True, kw_only=True):
    """A pipeline as the service describes it.

    Attributes:
        task: `classification` (asked with predict), `detection` or `segmentation` (with detect).
        release_sha256: Of the release's file; None where the service does not say it.
        profile: Which of its profiles is served, such as `default` or `int8`.
        classes: In the order of the model's outputs.
        positive: The class a threshold decides about; None if the pipeline is not binary.
        threshold: None where no threshold decides.
        quality: Bounds of the photo's quality, by the code of their warning.
        typicality: How it tells images of another kind; None where it does not.
        typicality_reason: Why it does not, else None.
        respond_within_ms: Within how many milliseconds it answers who asks for no other time; None
            of a service that does not say.
        keep_images: How long it keeps images whose callers consent; None where it keeps none.
        explanation: How it shows where its members looked; None where it does not.
        weights: `demo` where it answers from demonstration weights, else None.
    """

    name: str
    title: str = ""
    task: str
    release: str | None = None
    release_sha256: str | None = None
    profile: str | None = None
    ready: bool = False
    classes: tuple[str, ...]
    positive: str | None = None
    threshold: Threshold | None = None
    members: Mapping[str, PipelineMember] = {}
    preprocessing: str | None = None
    limits: Limits | None = None
    quality: Mapping[str, QualityBound] = {}
    typicality: TypicalityFacts | None = None
    typicality_reason: str | None = None
    respond_within_ms: int | None = None
    keep_images: KeepImages | None = None
    explanation: ExplanationFacts | None = None
    weights: str | None = None

    @property
    def detects(self) -> bool:
        """Whether its answers are detections, and not one class."""
        return self.task in {"detection", "segmentation"}


class Pipelines(Struct, frozen=True, kw_only=True):
    """All pipelines of a service; `default` names the one that answers where none is named."""

    default: str | None = None
    pipelines: tuple[Pipeline, ...]

    def __iter__(self) -> Iterator[Pipeline]:
        return iter(self.pipelines)

    def __len__(self) -> int:
        return len(self.pipelines)


class LoadedReleases(Struct, frozen=True, kw_only=True):
    """The releases of one pipeline that are loaded.

    Attributes:
        revision: How often that was changed.
        current: Answers all whom the candidate does not answer.
        share: The candidate's, of 10,000 parts of the callers.
        shadow: Of 10,000 images, those that the candidate gets copies of.
        former: The one before the current one.
        loaded: Those of the three that the service has seen to be loaded.
    """

    pipeline: str
    profile: str
    revision: int
    current: str
    candidate: str | None = None
    share: int = 0
    shadow: int = 0
    former: str | None = None
    loaded: tuple[str, ...] = ()


class AllLoadedReleases(Struct, frozen=True, kw_only=True):
    """The loaded releases of all pipelines that the caller covers."""

    releases: tuple[LoadedReleases, ...]

    def of(self, pipeline: str) -> LoadedReleases | None:
        """Those of a pipeline; None where the caller sees none of it."""
        return next((each for each in self.releases if each.pipeline == pipeline), None)
