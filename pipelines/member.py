"""One model of a pipeline: what it is, and how much of the machine it gets."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from pipelines.fact import Facts, Name


class Format(StrEnum):
    """An artefact's format; each has its Triton backend and its file name."""

    ONNX = "onnx"
    TORCHSCRIPT = "torchscript"

    @property
    def backend(self) -> str:
        """Triton's backend for this format."""
        return {Format.ONNX: "onnxruntime", Format.TORCHSCRIPT: "pytorch"}[self]

    @property
    def filename(self) -> str:
        """The file name that the backend looks for in a version's folder."""
        return {Format.ONNX: "model.onnx", Format.TORCHSCRIPT: "model.pt"}[self]


class Method(StrEnum):
    """How a network becomes INT8."""

    STATIC = "static"  # QDQ, ranges from calibration images: for convolutions
    DYNAMIC = "dynamic"  # ranges from each batch: for networks of matrix products


class Quantisation(Facts):
    """An INT8 member, made from another member's ONNX."""

    of: Name
    method: Method


class Member(Facts):
    """One model of a pipeline."""

    architecture: Name
    format: Format
    one_logit: bool = False
    """Whether it gives one number, the positive class's logit, and not one for each class."""
    checkpoint: Name | None = None
    """The member whose checkpoint this one is made from; None: it has its own."""
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Relative weight in the ensemble's mean; the weights are normalised to 1 where used. A
    member of weight 0 is an alternative: it is asked only where a request names it. One without a
    weight is not served, but by profiles that give it one."""
    instances: int = Field(default=1, ge=1, le=64)
    threads: int = Field(default=1, ge=1, le=256)
    max_batch: int | None = Field(default=None, ge=1, le=1024)
    """Images in one forward pass at most; None: as many as in a request. On a CPU, activations of
    a few images fit its caches and those of many do not."""
    quantisation: Quantisation | None = None
