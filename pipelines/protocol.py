"""Names that processes share: tensors, models, parameters, error codes.

Read by the exporters, by the backends inside Triton and by the gateway. It imports nothing
outside the standard library, so that a backend's process stays small.
"""

import base64
import re
from enum import IntEnum, StrEnum

ENCODED_IMAGE = "image"
"""Input of every ensemble: BYTES [1], one encoded image (JPEG, PNG, ...)."""
PROBE_IMAGE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAACAAAAAYCAIAAAAUMWhjAAAAJklEQVR4nGNcEBXAQEvARFPTRy0YtWDUglELRi0Y"
    "tWDUglELqAYAmrgBeqIuD/8AAAAASUVORK5CYII="
)
"""What launcher and gateway send to learn whether a pipeline answers: a PNG of 32 x 24 pixels, of
one colour. It is answered, whatever a pipeline refuses for its quality."""
PIXELS = "pixels"
"""What decode hands to the members: UINT8 [H, W, 3], RGB, after EXIF orientation and resize."""
GEOMETRY = "geometry"
"""What decode tells a detector's decision: FP64 [6], height and width of the upright image, then
the affine that was applied: x scale, y scale, left padding, top padding.
`x_of_pixels = x_of_image * x_scale + left`."""
MEASURES = "measures"
"""What decode tells the decision of the photo's quality: FP32 [7], in the order of
`enums.Measure`; NaN where a measure does not apply."""
PICTURE = "picture"
"""What decode tells the decision of a picture: FP32 [34], see `inference.picture_statistics`."""
SPENT = "spent"
"""What decode, and members whose backend measures, tell the decision of the pass that an image was
in: FP64 [3], see `Spent`."""
MEMBER_INPUT = "INPUT__0"
"""A member's input: UINT8 [N, H, W, 3]. The name is the one Triton's PyTorch backend demands."""
MEMBER_OUTPUT = "OUTPUT__0"
"""A member's output: FP32 [N, K] logits, or [N, 1] for a single logit."""
MEMBER_FEATURES = "OUTPUT__1"
"""A classifier's second output where its YAML says `features`: FP32 [N, D], what enters its last
linear layer."""


class Step(StrEnum):
    """The steps around the members; no member has such a name."""

    DECODE = "decode"
    DECISION = "decision"


class Spent(IntEnum):
    """The numbers of `SPENT`, in their order."""

    SECONDS = 0  # of compute for this image: the pass's, divided by the images that shared it
    BEGAN = 1  # when the pass began, in seconds on the machine's monotonic clock
    ENDED = 2


class Compute(IntEnum):
    """The numbers that the output `compute` has for each part of a pipeline, in their order."""

    # For this image: CPU time, of a part on a GPU the time that its pass took. 0: it did not run.
    SECONDS = 0
    MEASURED = 1  # 1: by the part itself; 0: estimated from how long the decision waited for it
    BEGAN = 2  # when its pass began, in seconds before the answer was made; NaN: it did not run
    ENDED = 3


class Output(StrEnum):
    """Outputs of a classification ensemble, for one image (see the contract in docs/)."""

    PROBABILITIES = "probabilities"  # FP32 [K], weighted mean
    MEMBER_PROBABILITIES = "member_probabilities"  # FP32 [M, K], in order; NaN where not asked
    MEMBER_PREDICTION = "member_prediction"  # INT32 [M], as `prediction`; -1 where not asked
    PREDICTION = "prediction"  # INT32 [1], index into the classes
    CONFIDENCE = "confidence"  # FP32 [1], p[prediction]
    DISAGREEMENT = "disagreement"  # FP32 [1], total variation in [0, 1]
    ENTROPY = "entropy"  # FP32 [1], divided by log K, in [0, 1]
    THRESHOLD = "threshold"  # FP32 [1], the one that decided; NaN where none did
    UNCERTAINTY_LEVEL = "uncertainty_level"  # INT32 [1], 0 low, 1 medium, 2 high
    PREDICTION_SET = "prediction_set"  # INT32 [K], 1 in the set, 0 not; -1 where not calibrated
    TYPICALITY = "typicality"  # FP32 [1], in (0, 1], a conformal p-value; NaN where not judged
    TYPICAL = "typical"  # INT32 [1], 1 yes, 0 atypical, -1 not judged
    TYPICALITY_VIEWS = "typicality_views"  # INT32 [1], how many: 0, 1 (the picture) or 2 (features)
    QUALITY = "quality"  # FP32 [7], the measures of the photo (`enums.Measure`)
    # INT32 [6], of each `enums.QualityWarning`: 1 beyond its bound, 0 within, -1 not judged
    QUALITY_WARNINGS = "quality_warnings"
    COMPUTE = "compute"  # FP32 [P, 4], of decode, the members in order, and decision: `Compute`
    # FP32 [M, G, G] where asked for, else [M, 0, 0]; only where the YAML says `explanation`
    EXPLANATION = "explanation"
    FAITHFULNESS = "faithfulness"  # FP32 [M, 4], `Faithfulness`, where asked for, else [M, 0]
    RELEASE = "release"  # BYTES [1]

    @classmethod
    def of(cls, *, explained: bool) -> list["Output"]:
        """The outputs with or without those that only a pipeline with explanations has."""
        return [
            name for name in cls if explained or name not in {cls.EXPLANATION, cls.FAITHFULNESS}
        ]


class Faithfulness(IntEnum):
    """The numbers that the output `faithfulness` has for each member, in their order."""

    SCORE = 0  # the member's probability of the predicted class
    HOTTEST = 1  # the same with the hottest tenth of the cells hidden
    RANDOM = 2  # the mean with a random tenth of the other cells hidden
    FAITHFUL = 3  # 1: hiding the hottest tenth lowers it clearly more; 0: it does not


class Detected(StrEnum):
    """Outputs of a detection or segmentation ensemble, for one image with n detections.

    Sorted by score, the largest first; n may be 0.
    """

    BOXES = "boxes"  # FP32 [n, 4]: x1, y1, x2, y2, pixels of the upright image, clipped to it
    SCORES = "scores"  # FP32 [n], in [0, 1]
    CLASSES = "classes"  # INT32 [n], index into the classes
    AREAS = "areas"  # FP32 [n], pixels of the mask, without masks of the box
    MASKS = "masks"  # BYTES [n], JSON of a COCO RLE; segmentation only
    POLYGONS = "polygons"  # BYTES [n], JSON [[x, y, x, y, ...], ...] where asked for, else empty
    IMAGE_SIZE = "image_size"  # INT32 [2], height and width of the upright image
    THRESHOLD = "threshold"  # FP32 [1], the score from which on detections are answered
    VISUALIZATION = "visualization"  # BYTES [1], a PNG where asked for, else empty
    TYPICALITY = "typicality"  # as of a classification, as are the next two
    TYPICAL = "typical"
    TYPICALITY_VIEWS = "typicality_views"
    QUALITY = "quality"  # as of a classification
    QUALITY_WARNINGS = "quality_warnings"  # as of a classification
    COMPUTE = "compute"  # as of a classification
    RELEASE = "release"  # BYTES [1]

    @classmethod
    def of(cls, *, masks: bool) -> list["Detected"]:
        """The outputs with or without those that only a segmentation has."""
        return [name for name in cls if masks or name not in {cls.MASKS, cls.POLYGONS}]


class DetectorOutput(StrEnum):
    """Outputs of a detector, for q candidates of one image, in pixels of its input."""

    BOXES = "boxes"  # FP32 [q, 4]: x1, y1, x2, y2
    SCORES = "scores"  # FP32 [q], in [0, 1]
    CLASSES = "classes"  # INT64 [q], index into the classes
    MASKS = "masks"  # FP32 [q, S, S], probabilities over the box; segmentation only
    FEATURES = "features"  # FP32 [D] of the image, not of a candidate; where its YAML says so

    @classmethod
    def of_candidates(cls, *, masks: bool) -> list["DetectorOutput"]:
        """The outputs that have a row for each candidate; masks only of a segmentation."""
        without = {cls.FEATURES} if masks else {cls.FEATURES, cls.MASKS}
        return [name for name in cls if name not in without]


class Parameter(StrEnum):
    """Request parameters that a caller may send; others are refused."""

    THRESHOLD = "threshold"
    TOP_K = "top_k"
    MEMBER = "member"
    VISUALIZATION = "visualization"
    POLYGONS = "polygons"
    EXPLAIN = "explain"


NAMED_RELEASE = "release"
"""Among the parameters in a row of the audit log: the release that an operator named to answer, as
a gate does. No request parameter: it is the header X-Release."""
COSTLY_APART = "costly_apart"
"""Request parameter of the gateway alone, `true`: if an image is costly to decode, the request is
answered at once with `COSTLY`. Without it the request waits for costly ones that came before."""
COSTLY = "[costly] an image is costly to decode: send it apart from others"


class ConfigOverride(StrEnum):
    """Config parameters that the launcher adds to the committed config when it loads a model."""

    # JSON {member: {version, sha256, weights, temperature}} of an ensemble, and of a decision that
    # opens them.
    ARTEFACTS = "artefacts"
    RELEASE = "release"  # of a decision and of an ensemble: the id of the release that serves
    RELEASE_SHA256 = "release_sha256"  # of an ensemble: of the release's file
    # JSON of both, of a release with calibrated members: `ReleaseCalibration.served`.
    CALIBRATION = "calibration"
    # JSON of both, of a release that judges typicality: `ReleasedReference`.
    REFERENCE = "reference"
    SHA256 = "sha256"  # of a member's artefact
    # Of a decision and of an ensemble: the release by which their models are named.
    STAGED = "staged"
    FIRST = "first"  # of an ensemble with a name of its own that the launcher began with
    MEASURED = "measured"  # JSON list of a decision: the members whose backends answer `SPENT`
    GENERATION = "generation"  # changes when a dead backend process is replaced


DEFAULT_PIPELINE = "oral_cancer"
"""The pipeline of routes and commands that name none."""
PIPELINE_PARAMETER = "pipeline"
"""Parameter of the configs of an ensemble and its steps: the whole spec as JSON."""


STAGED = "--"
"""In the name of a model: between the name that it has otherwise and its release."""
CONFIG_FILENAME = "config.pbtxt"
"""Triton's config in a model's folder."""
PROFILE_CONFIGS = "configs"
"""Folder of a model's configs under other profiles: `<profile>.pbtxt`."""


class Refusal(StrEnum):
    """Why a backend refuses one request. A closed set: the gateway maps each to a status."""

    IMAGE_EMPTY = "image_empty"
    IMAGE_FORMAT = "image_format"
    IMAGE_TOO_LARGE = "image_too_large"
    IMAGE_UNDECODABLE = "image_undecodable"
    IMAGE_TOO_COSTLY = "image_too_costly"  # to decode
    IMAGE_SHAPE = "image_shape"  # too long and narrow
    IMAGE_QUALITY = "image_quality"  # beyond a bound of `quality` that refuses
    IMAGES_MANY = "images_many"  # several in one request to a detector
    PARAMETER_UNKNOWN = "parameter_unknown"
    PARAMETER_INVALID = "parameter_invalid"
    MEMBER_UNKNOWN = "member_unknown"
    MODEL_OUTPUT = "model_output"  # a member's numbers are no answer: not finite, or too few


_REFUSAL = re.compile(r"\[(" + "|".join(Refusal) + r")\] ([^\n]*)")


EXPLANATION_LATE = "explanation timeout expired"
"""What a decision says where an explanation took longer than its request may."""


def refusal(code: Refusal, message: str) -> str:
    """The error message of a refused request: the code in brackets, then text for a person."""
    return f"[{code}] {message}"


def parse_refusal(message: str) -> tuple[Refusal, str] | None:
    """Finds code and text in an error message that Triton may have wrapped; None if not ours."""
    found = _REFUSAL.search(message)
    return (Refusal(found[1]), found[2]) if found else None


def member_model(pipeline: str, member: str) -> str:
    """Triton's name of a member's model."""
    return f"{pipeline}_{member}"


def decode_model(pipeline: str) -> str:
    """Triton's name of a pipeline's decode step."""
    return f"{pipeline}_{Step.DECODE}"


def decision_model(pipeline: str) -> str:
    """Triton's name of a pipeline's decision step."""
    return f"{pipeline}_{Step.DECISION}"


def named_for(model: str, release: str | None) -> str:
    """Triton's name of a model of a release that is loaded beside the one of the start.

    None: of the one of the start, whose models have their own names.
    """
    return model if release is None else f"{model}{STAGED}{release}"
