"""The shapes of what pipelines are."""

from typing import Literal

from pydantic import Field

from gateway.results.schemas.answer import MemberFacts, Shape


class ThresholdFacts(Shape):
    """The default, and the bounds of what a caller may choose."""

    default: float
    minimum: float
    maximum: float


class MemberDescription(MemberFacts):
    """One model of a pipeline."""

    architecture: str
    format: Literal["onnx", "torchscript"]
    precision: Literal["fp32", "fp16", "int8"]
    weight: float = Field(description="0: an alternative, asked only by ?member=.")


class LimitsFacts(Shape):
    """The largest image."""

    bytes: int
    pixels: int
    aspect: float | None = Field(
        None, description="Long side divided by the short one; only where there is a limit."
    )


class PipelineDescription(Shape):
    """What a pipeline is."""

    name: str
    title: str
    task: Literal["classification", "detection", "segmentation"]
    release: str
    profile: str = Field(description="The way it is served.")
    ready: bool
    classes: list[str]
    positive: str | None = Field(description="Of a binary classification.")
    threshold: ThresholdFacts | None = Field(
        description="Of the positive class's probability, or of a detection's score."
    )
    members: dict[str, MemberDescription]
    preprocessing: str
    limits: LimitsFacts
    weights: Literal["demo"] | None = None


class PipelineList(Shape):
    """All pipelines, and the one of the routes that name none."""

    default: str
    pipelines: list[PipelineDescription]
