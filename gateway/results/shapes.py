"""The JSON shape of every answer about images, stated once.

Typed dictionaries: answers are filled as these, rendered by them and described by them in
OpenAPI. A key that is `NotRequired` is left out where it does not apply; it is never null.
"""

from functools import cache
from typing import Annotated, Any, Literal, NotRequired, cast

from pydantic import ConfigDict, Field, FiniteFloat, TypeAdapter, with_config
from typing_extensions import TypedDict

from gateway.errors import Problem, ProblemDetail
from pipelines.enums import Decoding, QualityWarning

closed = with_config(ConfigDict(extra="forbid"))
"""No key but the documented ones."""


def doc(description: str) -> object:
    """The description of a field."""
    return Field(description=description)


Probability = Annotated[float, Field(ge=0, le=1)]
Level = Literal["low", "medium", "high"]


@cache
def adapter(shape: object) -> TypeAdapter[Any]:
    """What renders a shape as JSON (`dump_json`) and checks one (`validate_python`)."""
    return TypeAdapter(cast("Any", shape))


@closed
class MemberFacts(TypedDict):
    """The artefact of a member that answered."""

    version: str
    sha256: str


class Calibration(TypedDict):
    """Whether a confidence was calibrated on labelled photos."""

    calibrated: Annotated[bool, doc("Whether all members that answered were calibrated.")]
    coverage: NotRequired[
        Annotated[Probability, doc("The least share of images whose `set` holds the true class.")]
    ]


class Answer(TypedDict):
    """The fields of every answer about images."""

    request_id: str
    pipeline: str
    release: str
    member: NotRequired[Annotated[str, doc("Only where the request chose one member.")]]
    threshold: NotRequired[Annotated[float, doc("Only where a threshold decided.")]]
    preprocessing: Decoding
    weights: NotRequired[Annotated[Literal["demo"], doc("Only where they are demo weights.")]]
    processing_time_ms: float


@closed
class ReceiptFacts(TypedDict):
    """Where the row of an image is in the audit log. Who keeps it can show a change of the log."""

    chain: Annotated[str, doc("Of one start of a gateway.")]
    position: Annotated[int, Field(ge=1, description="In the chain, without gaps.")]
    head: Annotated[str, doc("SHA-256 of the row, which covers all rows before it.")]


@closed
class SignedReceiptFacts(ReceiptFacts):
    """A receipt that whoever has the service's public key can check."""

    statement: Literal["receipt"]
    at: Annotated[int, doc("When the row was made: microseconds since 1970.")]
    key: Annotated[str, doc("The first 16 digits of the SHA-256 of the public key.")]
    signature: Annotated[str, doc("Ed25519, in base64.")]


class Accounted(TypedDict):
    """The row of an image in the audit log, which is on disk before the answer is sent."""

    prediction_id: Annotated[str, doc("Of this image, made by the service (UUIDv7).")]
    receipt: Annotated[
        SignedReceiptFacts | ReceiptFacts,
        doc("Signed where the request said X-Signed-Receipt: yes."),
    ]
    kept: NotRequired[
        Annotated[
            bool, doc("Whether the image was kept; only where the request said X-Keep-Image.")
        ]
    ]


@closed
class MemberResult(MemberFacts):
    """The result of one member of a classification."""

    prediction: str
    confidence: Probability
    probabilities: dict[str, float]
    weight: Annotated[
        float, doc("Its share of the weighted mean, of a sum of 1; 0 of an alternative.")
    ]
    compute_ms: Annotated[float, doc("Its part of the image's.")]


@closed
class Uncertainty(TypedDict):
    """How far to rely on a classification."""

    level: Level
    disagreement: Annotated[float, doc("Largest distance between two members, 0 to 1.")]
    entropy: Annotated[float, doc("Of the probabilities, divided by its maximum, 0 to 1.")]
    recommendation: str


@closed
class PhotoWarning(TypedDict):
    """A bound of the pipeline that a photo is beyond."""

    code: QualityWarning
    detail: Annotated[str, doc("The problem and its remedy, for who took the photo.")]


@closed
class PhotoQualityFacts(TypedDict):
    """The quality of the photo; a measure is null where it does not apply to it."""

    warnings: Annotated[
        list[PhotoWarning], doc("Of the bounds that the pipeline has; they change no decision.")
    ]
    sharpness: Annotated[
        float | None, doc("Variance of the Laplacian of the luminance, as the model sees it.")
    ]
    dark_share: Annotated[float | None, doc("Share of the pixels that are nearly black.")]
    bright_share: Annotated[
        float | None, doc("Share of the red, green and blue values that are at their end.")
    ]
    resolution: Annotated[
        float | None, doc("Pixels of the photo, along a side, for each one that the model sees.")
    ]
    blocking: Annotated[
        float | None, doc("Step at the borders of JPEG blocks, divided by that within them.")
    ]
    colour_shift: Annotated[
        float | None,
        doc("Largest change of a value, of 255, by a colour profile that is not applied."),
    ]
    brightness: Annotated[float | None, doc("Mean luminance, 0 to 255, of what the model sees.")]


View = Literal["picture", "features"]


@closed
class ImageKind(TypedDict):
    """Whether the image is of the kind that the models learnt from."""

    typical: Annotated[
        bool | None, doc("False of an image of another kind; null where nothing judges it.")
    ]
    typicality: Annotated[
        Annotated[float, Field(gt=0, le=1)] | None,
        doc(
            "The share of images of the models' kind that are as unusual, at most (a conformal "
            "p-value); null where nothing judges it."
        ),
    ]
    views: Annotated[
        list[View],
        doc(
            "What was compared with the reference photos: statistics of the picture, and "
            "features of a member where it was asked."
        ),
    ]
    recommendation: NotRequired[Annotated[str, doc("Only of an atypical image.")]]
    reason: NotRequired[Annotated[str, doc("Why nothing judges it; only where it is null.")]]


class ComputeFacts(TypedDict):
    """What an image cost to compute."""

    compute_ms: Annotated[
        float,
        doc(
            "CPU time of decoding, of the members and of the decision, and of members on a GPU the "
            "time that their passes took; of a pass that images shared, this one's part."
        ),
    ]
    compute_estimated: NotRequired[
        Annotated[
            Literal[True], doc("Only where a member says no time, and the wait for it is counted.")
        ]
    ]


class Judged(ComputeFacts):
    """What is said of every answered image."""

    input: ImageKind


class Decision(Judged):
    """The decision about one image."""

    prediction: str
    confidence: Annotated[Probability, doc("Probability of the predicted class.")]
    probabilities: dict[str, float]
    set: NotRequired[
        Annotated[
            list[str],
            doc(
                "Classes among which the true one is in `coverage` of the images, the most "
                "probable first; of none, no class fits. Only where there is a `coverage`."
            ),
        ]
    ]
    quality: PhotoQualityFacts


@closed
class FaithfulnessFacts(TypedDict):
    """Whether hiding what a map shows changes the score; each number is the score then."""

    hottest_hidden: Annotated[Probability, doc("With the hottest tenth of the cells hidden.")]
    random_hidden: Annotated[
        Probability, doc("With a random tenth of the other cells hidden, the mean of four.")
    ]
    faithful: Annotated[
        bool,
        doc(
            "Whether hiding the hottest tenth lowers the score by 0.05 or more, and at least twice "
            "as far as hiding a random tenth. If not, do not rely on the map."
        ),
    ]


@closed
class MemberExplanation(TypedDict):
    """Where one member looked."""

    score: Annotated[Probability, doc("The member's probability of `class`.")]
    cells: Annotated[
        list[list[Annotated[float, Field(ge=-1, le=1)]]],
        doc(
            "Rows from the top of the upright photo, each from the left: how far the score falls "
            "when this cell is hidden, from -1 to 1. Below 0: it rises."
        ),
    ]
    faithfulness: FaithfulnessFacts


Explanation = TypedDict(
    "Explanation",
    {
        "class": Annotated[str, doc("The predicted class, whose score is explained.")],
        "grid": Annotated[int, doc("Cells along each side; together they cover the photo.")],
        "members": dict[str, MemberExplanation],
    },
)
closed(Explanation)


class Explained(TypedDict):
    """Where the members looked, where a request asks."""

    explanation: NotRequired[Annotated[Explanation, doc("Only with `explain=true`.")]]


class UncertainDecision(Decision):
    """The decision about one image, and its uncertainty."""

    uncertainty: Uncertainty


@closed
class Prediction(Answer, Accounted, Calibration, Decision, Explained):
    """The weighted result of a classification."""

    members: dict[str, MemberFacts]


@closed
class AdvancedPrediction(Answer, Accounted, Calibration, UncertainDecision, Explained):
    """The weighted result of a classification, its uncertainty, and the result of each member."""

    models: dict[str, MemberResult]


@closed
class FlatPrediction(Answer, Accounted, Calibration, Judged, Explained):
    """A classification in the shape of older systems."""

    prediction: str
    confidence: Annotated[Probability, doc("Probability of the predicted class.")]
    set: NotRequired[Annotated[list[str], doc("See `predict`.")]]
    uncertainty: Level
    recommendation: str
    individual_scores: Annotated[
        dict[str, float], doc("Each member's probability of the predicted class.")
    ]
    quality: PhotoQualityFacts
    members: dict[str, MemberFacts]


@closed
class Rle(TypedDict):
    """A mask over the whole image, as COCO's compressed run lengths."""

    size: Annotated[list[int], Field(min_length=2, max_length=2, description="Height and width.")]
    counts: str


Polygons = Annotated[list[list[FiniteFloat]], doc("Outlines of the mask, each x, y, x, y, ...")]

# Written as a call, because `class` is a keyword.
DetectedObject = TypedDict(
    "DetectedObject",
    {
        "class": str,
        "score": Probability,
        "box": Annotated[
            list[float],
            Field(
                min_length=4,
                max_length=4,
                description="x1, y1, x2, y2 in pixels of the image after its EXIF orientation.",
            ),
        ],
        "area": Annotated[float, doc("In pixels: of the mask, without one of the box.")],
        "mask": NotRequired[Annotated[Rle, doc("Segmentation only.")]],
        "polygons": NotRequired[Annotated[Polygons, doc("Segmentation, where asked for.")]],
    },
)
closed(DetectedObject)


@closed
class ImageSize(TypedDict):
    """Size of the image after its EXIF orientation, in pixels."""

    width: int
    height: int


@closed
class DetectionMetrics(TypedDict):
    """The detections in numbers, in their order."""

    count: int
    class_distribution: Annotated[dict[str, int], doc("Every class; 0 where there is none.")]
    scores: list[float]
    areas: list[float]


class Detections(Judged):
    """The objects of one image."""

    predictions: Annotated[
        list[DetectedObject],
        doc("By score, the largest first; empty where nothing reaches the threshold."),
    ]
    image: ImageSize
    metrics: DetectionMetrics
    quality: PhotoQualityFacts


class DetectionAnswer(Answer, Accounted, Detections):
    """The answer of a detection or a segmentation, without a picture."""

    members: dict[str, MemberFacts]


@closed
class DetectionPrediction(DetectionAnswer):
    """The answer of a detection or a segmentation."""

    visualization: NotRequired[
        Annotated[str, doc("A PNG of the image with its objects, in base64; where asked for.")]
    ]


class BatchEntry(Accounted):
    """One image of a batch."""

    index: int
    filename: str | None


@closed
class BatchError(BatchEntry):
    """An image of a batch that has no answer."""

    error: ProblemDetail


@closed
class BatchResult(BatchEntry, UncertainDecision):
    """A classified image of a batch."""


@closed
class BatchDetectionResult(BatchEntry, Detections):
    """An image of a batch, and its objects."""


@with_config(ConfigDict(extra="allow"))
class BatchSummary(TypedDict):
    """Counts over a batch; a pipeline may name further counts, e.g. `cancer_detected`."""

    total: int
    failed: int
    counts: Annotated[dict[str, int], doc("Images, or detections, of each class.")]
    average_confidence: Annotated[
        float | None,
        doc("Of the answered images, or of all detections; null where there is none."),
    ]
    warned: Annotated[int, doc("Images whose photo has a warning of its quality.")]
    warnings: Annotated[
        dict[QualityWarning, int],
        doc("Images with each warning that the pipeline has a bound for."),
    ]
    atypical: Annotated[
        int | None,
        doc("Images that are not of the kind that the models learnt from; null if none is judged."),
    ]
    compute_ms: Annotated[float, doc("Of all answered images together.")]


@closed
class BatchPrediction(Answer, Calibration):
    """A classification or an error for each image, in their order."""

    members: dict[str, MemberFacts]
    results: list[BatchResult | BatchError]
    summary: BatchSummary


@closed
class BatchDetectionPrediction(Answer):
    """Objects or an error for each image, in their order."""

    members: dict[str, MemberFacts]
    results: list[BatchDetectionResult | BatchError]
    summary: BatchSummary


class BatchProblemParts(TypedDict):
    """Why each image of a batch was not answered."""

    results: list[BatchError]
    summary: BatchSummary


@closed
class BatchProblem(Problem, BatchProblemParts):
    """A batch of which no image was answered: the problem that they share, and each one's own."""
