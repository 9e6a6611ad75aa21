"""A member of a pipeline: one model, its format, and the resources that it gets."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipelines.enums import Acceleration, Format, Kind, Method
from pipelines.fact import Facts, Name


class Quantisation(Facts):
    """A member of fewer bits, made from another member's ONNX."""

    of: Name
    method: Method

    @property
    def precision(self) -> Literal["fp16", "int8"]:
        """Of its weights, in lower case."""
        return "fp16" if self.method is Method.FP16 else "int8"


class Member(Facts):
    """One model of a pipeline."""

    architecture: Name
    format: Format
    one_logit: bool = False
    """Whether it gives one number, the positive class's logit, and not one for each class."""
    queries: int | None = Field(default=None, ge=1, le=100_000)
    """Boxes that a detector answers for each image, of any score (docs/decisions/0030); None: as
    many as it finds."""
    features: int | None = Field(default=None, ge=1, le=100_000)
    """How many numbers its features are: what a classifier's last linear layer takes, or what is
    pooled of a detector's image (docs/decisions/0053). None: the artefact gives none."""
    checkpoint: Name | None = None
    """The member whose checkpoint this one is made from; None: it has its own."""
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Relative weight in the ensemble's mean; the weights are normalised to 1 where used. A
    member of weight 0 is an alternative: it is asked only where a request names it. One without a
    weight is not served, but by profiles that give it one."""
    instances: int = Field(default=1, ge=1, le=64)
    threads: int = Field(default=1, ge=1, le=256)
    kind: Kind = Kind.CPU
    """A GPU only where it says so (docs/decisions/0029)."""
    acceleration: Acceleration | None = None
    max_batch: int | None = Field(default=None, ge=1, le=1024)
    """Images in one forward pass at most; None: as many as in a request. On a CPU, activations of
    a few images fit its caches and those of many do not."""
    quantisation: Quantisation | None = None

    @model_validator(mode="after")
    def _accelerated_where_it_can_be(self) -> Self:
        if self.acceleration is None:
            return self
        if self.format is not Format.ONNX:
            raise ValueError("acceleration: only for ONNX")
        if self.kind is Kind.GPU:
            raise ValueError("acceleration: openvino is for kind cpu")
        if self.quantisation is not None:
            # It rounds elsewhere than ONNX Runtime, whose answers passed the gate (decisions/0024).
            raise ValueError("acceleration: openvino is for FP32")
        return self

    @property
    def precision(self) -> Literal["fp32", "fp16", "int8"]:
        """Of its weights: `fp32`, `fp16` or `int8`."""
        return "fp32" if self.quantisation is None else self.quantisation.precision
