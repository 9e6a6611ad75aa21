"""The typed facts of one pipeline as it is served, frozen."""

import hashlib
import json
from typing import Self

from pydantic import Field, model_validator

from pipelines import derived, protocol
from pipelines.enums import Acceleration, Colour, Decoding, Format, Kind, Resize, Task
from pipelines.explanation import Explanation
from pipelines.fact import Facts, Label, Name, Positive, Probability
from pipelines.member import Member
from pipelines.preprocessing import Limits, Preprocessing
from pipelines.profile import DEFAULT_PROFILE
from pipelines.quality import Quality
from pipelines.serving import Serving
from pipelines.typicality import Typicality
from pipelines.uncertainty import Uncertainty


class Threshold(Facts):
    """The score from which on it counts: of the positive class, or of a detection."""

    default: Probability
    minimum: Probability
    maximum: Probability

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.minimum <= self.default <= self.maximum:
            raise ValueError("needs minimum <= default <= maximum")
        return self


class Parity(Facts):
    """How far an artefact's numbers may lie from its checkpoint's."""

    tolerance: Positive
    """Of logits; of a detector, of scores and mask probabilities."""
    boxes: Positive | None = None
    """Of a detector's boxes, in pixels of its input."""


class QuantisationGate(Facts):
    """What a quantised member must keep of its FP32 original, on images calibration never saw."""

    agreement_at_least: Probability = 0.98
    accuracy_drop_at_most: Probability = 0.01
    sensitivity_drop_at_most: Probability = 0.01
    """Of the positive class; of several classes, of the mean of their sensitivities."""
    images_at_least: int = Field(default=500, ge=1)


class KeepImages(Facts):
    """That images may be kept whose callers consent, and for how long."""

    days: int = Field(ge=1, le=36_500)


def _absent(value: object) -> bool:
    return value is None


class PipelineSpec(Facts):
    """All facts of one pipeline under one profile: the members are those that it serves."""

    name: Name
    profile: Name = DEFAULT_PROFILE
    title: str = Field(min_length=1)
    task: Task
    release: str = Field(pattern=r"^[A-Za-z0-9._-]+$", max_length=64)
    classes: tuple[Label, ...] = Field(min_length=1)
    positive: Label | None = None
    threshold: Threshold | None = None
    members: dict[Name, Member] = Field(min_length=1)
    preprocessing: Preprocessing
    limits: Limits
    quality: Quality = Quality()
    typicality: Typicality | None = None
    uncertainty: Uncertainty | None = None
    parity: Parity
    quantisation_gate: QuantisationGate = QuantisationGate()
    serving: Serving
    keep_images: KeepImages | None = Field(default=None, exclude_if=_absent)
    """None: none is kept."""
    explanation: Explanation | None = Field(default=None, exclude_if=_absent)
    """None: no request may ask where the members looked."""
    summary_aliases: dict[Name, Label] = Field(default={})

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes: a name is given twice")
        for alias, target in self.summary_aliases.items():
            if target not in self.classes:
                raise ValueError(f"summary_aliases.{alias}: {target!r} is not a class")
        self._check_members()
        self._check_one_process()
        kept = self.preprocessing.size is None
        if (kept and self.quality.small is not None) != (self.quality.side is not None):
            raise ValueError(
                "quality.side: belongs to `small` where images keep their size (resize: none)"
            )
        if self.task is Task.CLASSIFICATION:
            self._check_classification()
        else:
            self._check_detection()
        self._check_typicality()
        if self.explanation is not None:
            self._check_explanation(self.explanation)
        return self

    def _check_members(self) -> None:
        if taken := set(protocol.Step) & set(self.members):
            raise ValueError(f"members.{taken.pop()}: the name is taken by a step")
        if not any(member.weight for member in self.members.values()):
            raise ValueError("members: one at least needs a weight above 0")
        for name, member in self.members.items():
            if member.acceleration is Acceleration.OPENVINO and self.preprocessing.size is None:
                # It compiles for one size.
                raise ValueError(f"members.{name}: openvino needs images of one size")

    def _check_typicality(self) -> None:
        if self.typicality is None or (name := self.typicality.member) is None:
            return
        if name not in self.answering_members:
            raise ValueError(f"typicality.member: no member {name!r} with a weight above 0")
        if self.members[name].features is None:
            raise ValueError(f"members.{name}.features: needed, as typicality compares them")

    def _check_explanation(self, explanation: Explanation) -> None:
        if self.task is not Task.CLASSIFICATION:
            raise ValueError("explanation: is for classifications; a detector's boxes say where")
        if self.preprocessing.resize is not Resize.STRETCH:
            raise ValueError(
                "explanation: needs resize: stretch, so that its cells cover the photo"
            )
        if min(self.preprocessing.size or (0, 0)) < explanation.grid:
            raise ValueError("explanation.grid: has more cells than the image has pixels")

    def _check_one_process(self) -> None:
        if not self.serving.one_process:
            return
        if self.task is not Task.CLASSIFICATION:
            raise ValueError("serving.one_process: only a classification can")
        if others := [n for n, member in self.members.items() if member.format is not Format.ONNX]:
            raise ValueError(f"serving.one_process: {others[0]} is not in ONNX format")
        if gpu := [name for name, member in self.members.items() if member.kind is Kind.GPU]:
            raise ValueError(f"serving.one_process: {gpu[0]} runs on a GPU: set false")

    def _check_detection(self) -> None:
        if self.threshold is None:
            raise ValueError("threshold: a detector needs the score from which a detection counts")
        if self.preprocessing.decoding is Decoding.FAST:
            raise ValueError("preprocessing: fast is for classifications; a detector's is exact")
        if self.positive is not None or self.uncertainty is not None:
            raise ValueError("positive and uncertainty: only a classification has them")
        if len(self.answering_members) != 1:
            raise ValueError("members: one detector answers; others need weight 0")
        if self.parity.boxes is None:
            raise ValueError("parity.boxes: needed for a detector")
        if self.task is Task.SEGMENTATION and self.serving.max_batch != 1:
            raise ValueError("serving.max_batch: is 1 where images keep their sizes")

    def _check_classification(self) -> None:
        if len(self.classes) < 2:  # noqa: PLR2004 - there is nothing to decide
            raise ValueError("classes: a classification needs two or more")
        if self.uncertainty is None:
            raise ValueError("uncertainty: a classification needs its bands")
        if self.preprocessing.size is None or self.preprocessing.resize is Resize.LETTERBOX:
            raise ValueError("preprocessing.resize: a classification needs stretch or crop")
        if detectors := [name for name, member in self.members.items() if member.queries]:
            raise ValueError(f"members.{detectors[0]}.queries: is for detectors")
        if self.positive is None and any(member.one_logit for member in self.members.values()):
            raise ValueError("one_logit: needs a positive class")
        if (self.positive is None) != (self.threshold is None):
            raise ValueError("positive and threshold: give both or neither")
        if self.positive is not None and len(self.classes) != 2:  # noqa: PLR2004 - binary
            raise ValueError("positive: only a pipeline of two classes has one")
        if self.positive is not None and self.positive != self.classes[1]:
            raise ValueError(
                f"positive: {self.positive!r} must be the second of the classes (order: negative, "
                "positive; the export brings checkpoints of the other order into this one)"
            )

    @property
    def answering_members(self) -> tuple[str, ...]:
        """The members that answer where a request names none; others have weight 0."""
        return tuple(name for name, member in self.members.items() if member.weight)

    @property
    def parts(self) -> tuple[str, ...]:
        """What compute time is stated of: the decode step, the members, the decision step."""
        return derived.parts(self.members)

    @property
    def weights(self) -> tuple[float, ...]:
        """The members' weights in their order, normalised to 1."""
        return derived.normalised_weights(member.weight for member in self.members.values())

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models that Triton loads, in the order of loading: the ensemble last."""
        steps = (protocol.decision_model(self.name), self.name)
        if self.serving.one_process:
            return steps
        members = (protocol.member_model(self.name, member) for member in self.members)
        return (protocol.decode_model(self.name), *members, *steps)

    @property
    def answering_models(self) -> tuple[str, ...]:
        """Those of them that a request which names no member goes through."""
        alternatives = {
            protocol.member_model(self.name, member)
            for member in self.members
            if member not in self.answering_members
        }
        return tuple(model for model in self.models if model not in alternatives)

    def origin(self, member: str) -> str:
        """The member under whose name the checkpoint is given that this one is made from."""
        return self.members[member].checkpoint or member

    def max_batch(self, member: str) -> int:
        """Images in one forward pass of a member at most.

        0 where images keep their sizes: the graph takes one and adds the batch dimension itself.
        """
        return derived.max_batch(
            one_size=self.preprocessing.size is not None,
            member=self.members[member].max_batch,
            pipeline=self.serving.max_batch,
        )

    def logits(self, member: str) -> int:
        """How many numbers a member of a classification gives for an image."""
        return 1 if self.members[member].one_logit else len(self.classes)

    def class_map(self) -> dict[str, str]:
        """Index (as JSON key) to class name; travels beside each artefact."""
        return {str(index): name for index, name in enumerate(self.classes)}

    def member_hash(self, member: str) -> str:
        """SHA-256 of the facts that are baked into a member's artefact.

        Class order, architecture, format, quantisation and training's preprocessing: an artefact
        made under other ones must not be served. Thresholds, weights, serving and the way photos
        are decoded may change without a new export.
        """
        facts = self.members[member]
        baked: dict[str, object] = {
            "classes": self.classes,
            "architecture": facts.architecture,
            "format": facts.format,
            "preprocessing": self._trained_preprocessing(),
        }
        if facts.one_logit:
            baked["one_logit"] = True
        if facts.features is not None:
            baked["features"] = facts.features
        if facts.quantisation is not None:
            baked["quantisation"] = facts.quantisation.model_dump(mode="json")
        return _hash(baked)

    @property
    def picture_hash(self) -> str:
        """SHA-256 of training's preprocessing, which decides what the picture's statistics are."""
        return _hash(self._trained_preprocessing())

    def _trained_preprocessing(self) -> dict[str, object]:
        trained = self.preprocessing.model_dump(
            mode="json", exclude={"decoding", "reserve"}, exclude_none=True
        )
        if trained["colour"] == Colour.AS_STORED:
            # What was said of every artefact before there was a choice.
            del trained["colour"]
        # `profile` is what manifests have said since the first export.
        return {**trained, "profile": Decoding.EXACT}


def _hash(facts: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
