"""The rules of decoding, decision and detection, as read from a served spec.

All three are read from the JSON of one `PipelineSpec`, which the exporter has checked and which
travels in the config of each step. No process that decodes or decides needs pydantic.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self, TypeAlias

from PIL import Image

from pipelines.decoding_limits import DecodingLimits
from pipelines.derived import normalised_weights
from pipelines.enums import Colour, Decoding, QualityWarning, Resize, Task

Spec: TypeAlias = Mapping[str, Any]
"""`PipelineSpec.model_dump(mode="json")`; absent and null mean the same."""

_RESIZES = {
    Decoding.EXACT: set(Resize),
    # `fast` is for classifications alone.
    Decoding.FAST: {Resize.STRETCH, Resize.CROP},
}

_LIMITS = [each.name for each in fields(DecodingLimits)]


@dataclass(frozen=True)
class QualityBound:
    """When a measure of a photo's quality is warned of, and in which words."""

    limit: float
    above: bool
    """Whether larger measures are warned of, and not smaller ones."""
    text: str
    refuse: bool


@dataclass(frozen=True)
class QualityRules:
    """The bounds of the measures of a photo's quality."""

    bounds: tuple[QualityBound | None, ...] = (None,) * len(QualityWarning)
    """In the order of `QualityWarning`; None: not judged."""
    side: int | None = None
    """Short side that the model resizes to, where images keep their size; None: not known."""

    @classmethod
    def from_spec(cls, spec: Spec) -> Self:
        """Reads `quality`; without it nothing is judged.

        Raises:
            KeyError, TypeError, ValueError: a bound is missing or no number.
        """
        facts = spec.get("quality") or {}
        return cls(
            tuple(_quality_bound(facts.get(warning)) for warning in QualityWarning),
            facts.get("side"),
        )


@dataclass(frozen=True)
class DecodeRules:
    """From an image of any size to `height` x `width`, and what is too large to try."""

    height: int
    """Of the pixels; 0 where images keep their size. So is `width`."""
    width: int
    resize: Resize
    interpolation: Image.Resampling
    max_bytes: int
    max_pixels: int
    fill: int = 0
    """Red, green and blue of a letterbox's border, in [0, 255]."""
    max_aspect: float | None = None
    """Long side divided by the short one; None: any."""
    reserve: int | None = None
    """See `resize.scaled_size`; None: a JPEG is decoded whole, as in training."""
    colour: Colour = Colour.AS_STORED
    quality: QualityRules = QualityRules()
    limits: DecodingLimits = field(default_factory=DecodingLimits)
    picture: bool = False
    """Whether the picture's statistics are needed."""

    @classmethod
    def from_spec(cls, spec: Spec) -> Self:
        """Reads `preprocessing`, `limits` and `quality`, and whether there is a `typicality`.

        Raises:
            KeyError, TypeError, ValueError: a fact is missing or unknown.
        """
        facts, limits = spec["preprocessing"], spec["limits"]
        decoding, resize = Decoding(facts["decoding"]), Resize(facts["resize"])
        if resize not in _RESIZES[decoding]:
            raise ValueError(f"preprocessing: decoding {decoding} cannot resize by {resize}")
        kept = resize is Resize.NONE
        aspect = limits.get("aspect")
        return cls(
            height=0 if kept else int(facts["height"]),
            width=0 if kept else int(facts["width"]),
            resize=resize,
            interpolation=Image.Resampling["NEAREST" if kept else facts["interpolation"].upper()],
            max_bytes=int(limits["bytes"]),
            max_pixels=int(limits["pixels"]),
            fill=int(facts["fill"]) if resize is Resize.LETTERBOX else 0,
            max_aspect=None if aspect is None else float(aspect),
            reserve=int(facts["reserve"]) if decoding is Decoding.FAST else None,
            colour=Colour(facts.get("colour") or Colour.AS_STORED),
            quality=QualityRules.from_spec(spec),
            limits=DecodingLimits(
                **{name: int(limits[name]) for name in _LIMITS if limits.get(name) is not None}
            ),
            picture=spec.get("typicality") is not None,
        )


@dataclass(frozen=True)
class Band:
    """An uncertainty level that holds up to a disagreement and down to a margin."""

    disagreement_at_most: float
    margin_at_least: float


@dataclass(frozen=True)
class DecisionRules:
    """How members' logits become one class, and how uncertain that is."""

    classes: tuple[str, ...]
    positive: int | None
    """Index of the positive class; None where there is none, and the largest probability wins."""
    threshold: float | None
    """The probability from which on the positive class is predicted; None where there is none."""
    bounds: tuple[float, float] | None
    """Lowest and highest threshold that a request may name."""
    members: tuple[str, ...]
    weights: tuple[float, ...]
    """Of the members in their order; their sum is 1. One of 0 answers only where it is named."""
    low: Band
    medium: Band

    @classmethod
    def from_spec(cls, spec: Spec) -> Self:
        """Reads the facts of a classification.

        Raises:
            KeyError, TypeError, ValueError: a fact is missing, unknown or contradicts another.
        """
        classes, positive = tuple(spec["classes"]), spec["positive"]
        return cls(
            classes=classes,
            positive=None if positive is None else classes.index(positive),
            threshold=None if positive is None else float(spec["threshold"]["default"]),
            bounds=None if positive is None else _bounds(spec),
            members=tuple(spec["members"]),
            weights=_weights(spec),
            low=_band(spec["uncertainty"]["low"]),
            medium=_band(spec["uncertainty"]["medium"]),
        )

    def answering_members(self, member: int | None) -> tuple[int, ...]:
        """Indices of the members that answer: the one that a request names, else all of weight."""
        if member is not None:
            return (member,)
        return tuple(index for index, weight in enumerate(self.weights) if weight > 0)


@dataclass(frozen=True)
class DetectionRules:
    """Which candidates of a detector are answered."""

    classes: tuple[str, ...]
    threshold: float
    """The score from which on a detection counts, where a request names none."""
    bounds: tuple[float, float]
    """Lowest and highest threshold that a request may name."""
    members: tuple[str, ...]
    default_member: int
    """Index of the member that answers where a request names none."""
    masks: bool
    """Whether members also give the outline of what is in each box."""

    @classmethod
    def from_spec(cls, spec: Spec) -> Self:
        """Reads the facts of a detection or segmentation.

        Raises:
            KeyError, TypeError, ValueError: a fact is missing, or no single member has a weight.
        """
        (default_member,) = (index for index, weight in enumerate(_weights(spec)) if weight > 0)
        return cls(
            classes=tuple(spec["classes"]),
            threshold=float(spec["threshold"]["default"]),
            bounds=_bounds(spec),
            members=tuple(spec["members"]),
            default_member=default_member,
            masks=Task(spec["task"]) is Task.SEGMENTATION,
        )


def _weights(spec: Spec) -> tuple[float, ...]:
    return normalised_weights(member["weight"] for member in spec["members"].values())


def _bounds(spec: Spec) -> tuple[float, float]:
    return float(spec["threshold"]["minimum"]), float(spec["threshold"]["maximum"])


def _quality_bound(facts: Mapping[str, Any] | None) -> QualityBound | None:
    if facts is None:
        return None
    above = "above" in facts
    limit = float(facts["above" if above else "below"])
    return QualityBound(limit, above, str(facts["text"]), bool(facts["refuse"]))


def _band(facts: Mapping[str, Any]) -> Band:
    return Band(float(facts["disagreement_at_most"]), float(facts["margin_at_least"]))
