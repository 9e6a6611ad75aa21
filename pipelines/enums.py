"""The enumerations of a pipeline's YAML, which the served spec has too.

Standard library only, as backend processes import it.
"""

from enum import StrEnum


class Task(StrEnum):
    """The kind of answer a pipeline gives."""

    CLASSIFICATION = "classification"  # one class for the whole image
    DETECTION = "detection"  # boxes
    SEGMENTATION = "segmentation"  # boxes, and the outline of what is in each


class Decoding(StrEnum):
    """How a file becomes pixels (docs/contract.md)."""

    EXACT = "exact"  # as in training, bit for bit
    FAST = "fast"  # a JPEG is decoded at about the size that is needed


class Colour(StrEnum):
    """What an embedded colour profile does to the pixels (docs/decisions/0042)."""

    AS_STORED = "as_stored"  # nothing, as in most trainings
    TO_SRGB = "to_srgb"  # they are converted from it to sRGB


class Measure(StrEnum):
    """The measures of a photo's quality, in the order of the tensors (inference/quality.py)."""

    SHARPNESS = "sharpness"  # variance of the Laplacian
    DARK_SHARE = "dark_share"  # of the pixels, that are nearly black
    BRIGHT_SHARE = "bright_share"  # of the red, green and blue values, that are at their end
    RESOLUTION = "resolution"  # pixels of the photo for each one that the model sees
    BLOCKING = "blocking"  # steps at the borders of JPEG blocks, for those within blocks
    COLOUR_SHIFT = "colour_shift"  # by a colour profile that is not applied, of 255
    BRIGHTNESS = "brightness"  # mean luminance, of 255; has no warning: drift compares it


class QualityWarning(StrEnum):
    """What a measure beyond its bound means; in the order of the measures, without brightness."""

    BLURRED = "blurred"
    DARK = "dark"
    OVEREXPOSED = "overexposed"
    SMALL = "small"
    RECOMPRESSED = "recompressed"
    COLOUR_PROFILE = "colour_profile"


class Resize(StrEnum):
    """How an image of any size becomes height x width."""

    STRETCH = "stretch"  # both sides to the target, the aspect not kept
    CROP = "crop"  # the short side to the target's larger one, then the centre
    LETTERBOX = "letterbox"  # the whole image fits, centred on a border of one grey
    NONE = "none"  # kept: the member's graph resizes, as its checkpoint's configuration says


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
    """How a network becomes one of fewer bits."""

    STATIC = "static"  # INT8: QDQ, ranges from calibration images: for convolutions
    DYNAMIC = "dynamic"  # INT8: ranges from each batch: for networks of matrix products
    FP16 = "fp16"  # half as many bits in weights and activations: for GPUs


class Kind(StrEnum):
    """The processor that runs a member."""

    CPU = "cpu"
    GPU = "gpu"


class Acceleration(StrEnum):
    """What compiles a member for its processor."""

    OPENVINO = "openvino"  # for a CPU: a second or two at every start
