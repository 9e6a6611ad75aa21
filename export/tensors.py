"""Names, Triton data types and dimensions of the tensors between a pipeline's models."""

from tritonclient.grpc import model_config_pb2 as pb

from inference.picture_statistics import COUNT
from pipelines import protocol
from pipelines.enums import Measure, QualityWarning, Task
from pipelines.protocol import Compute, Detected, DetectorOutput, Output, Spent
from pipelines.spec import PipelineSpec

Tensor = tuple[str, int, list[int]]
"""Name, data type and dimensions without the batch."""

ENCODED: Tensor = (protocol.ENCODED_IMAGE, pb.TYPE_STRING, [1])
_GEOMETRY: Tensor = (protocol.GEOMETRY, pb.TYPE_FP64, [6])
_MEASURES: Tensor = (protocol.MEASURES, pb.TYPE_FP32, [len(Measure)])
_SPENT: Tensor = (protocol.SPENT, pb.TYPE_FP64, [len(Spent)])
_PICTURE: Tensor = (protocol.PICTURE, pb.TYPE_FP32, [COUNT])
_DETECTED: dict[Detected, tuple[int, list[int]]] = {
    Detected.BOXES: (pb.TYPE_FP32, [-1, 4]),
    Detected.SCORES: (pb.TYPE_FP32, [-1]),
    Detected.CLASSES: (pb.TYPE_INT32, [-1]),
    Detected.AREAS: (pb.TYPE_FP32, [-1]),
    Detected.MASKS: (pb.TYPE_STRING, [-1]),
    Detected.POLYGONS: (pb.TYPE_STRING, [-1]),
    Detected.IMAGE_SIZE: (pb.TYPE_INT32, [2]),
    Detected.THRESHOLD: (pb.TYPE_FP32, [1]),
    Detected.VISUALIZATION: (pb.TYPE_STRING, [1]),
    Detected.TYPICALITY: (pb.TYPE_FP32, [1]),
    Detected.TYPICAL: (pb.TYPE_INT32, [1]),
    Detected.TYPICALITY_VIEWS: (pb.TYPE_INT32, [1]),
    Detected.QUALITY: (pb.TYPE_FP32, [len(Measure)]),
    Detected.QUALITY_WARNINGS: (pb.TYPE_INT32, [len(QualityWarning)]),
    Detected.RELEASE: (pb.TYPE_STRING, [1]),
}
_DETECTOR: dict[DetectorOutput, tuple[int, list[int]]] = {
    DetectorOutput.BOXES: (pb.TYPE_FP32, [4]),
    DetectorOutput.SCORES: (pb.TYPE_FP32, []),
    DetectorOutput.CLASSES: (pb.TYPE_INT64, []),
    DetectorOutput.MASKS: (pb.TYPE_FP32, [-1, -1]),
}
"""Data type and dimensions of one box's."""


def decoded(spec: PipelineSpec) -> list[Tensor]:
    """Outputs of the decode step; a detector's has the geometry too.

    The picture's statistics are there where the YAML says `typicality`.
    """
    pixels: Tensor = (protocol.PIXELS, pb.TYPE_UINT8, _pixel_dims(spec))
    geometry = [] if spec.task is Task.CLASSIFICATION else [_GEOMETRY]
    picture = [] if spec.typicality is None else [_PICTURE]
    return [pixels, *geometry, _MEASURES, *picture, _SPENT]


def decided_on(spec: PipelineSpec) -> list[Tensor]:
    """Inputs of the decision step: what was decoded and, of a detector, the image to draw on.

    Where it decodes itself (`one_process`), the encoded image.
    """
    if spec.serving.one_process:
        return [ENCODED]
    drawn_on = [] if spec.task is Task.CLASSIFICATION else [ENCODED]
    return [*decoded(spec), *drawn_on]


def member_input(spec: PipelineSpec) -> Tensor:
    """Input of every member."""
    return protocol.MEMBER_INPUT, pb.TYPE_UINT8, _pixel_dims(spec)


def member_outputs(spec: PipelineSpec, member: str) -> list[Tensor]:
    """Outputs of a member, its features last where its YAML says how many they are.

    A detector's candidates are as many as its YAML says, or any number.
    """
    facts = spec.members[member]
    classifies = spec.task is Task.CLASSIFICATION
    name = protocol.MEMBER_FEATURES if classifies else DetectorOutput.FEATURES
    features: list[Tensor] = [(name, pb.TYPE_FP32, [facts.features])] if facts.features else []
    if classifies:
        return [(protocol.MEMBER_OUTPUT, pb.TYPE_FP32, [spec.logits(member)]), *features]
    candidates: list[Tensor] = [
        (output, _DETECTOR[output][0], [facts.queries or -1, *_DETECTOR[output][1]])
        for output in DetectorOutput.of_candidates(masks=spec.task is Task.SEGMENTATION)
    ]
    return [*candidates, *features]


def answered(spec: PipelineSpec) -> list[Tensor]:
    """Outputs of the decision step, which are those of the ensemble."""
    if spec.task is not Task.CLASSIFICATION:
        masks = spec.task is Task.SEGMENTATION
        compute = (pb.TYPE_FP32, [len(spec.parts), len(Compute)])
        detected = _DETECTED | {Detected.COMPUTE: compute}
        return [(name, *detected[name]) for name in Detected.of(masks=masks)]
    classes, members = len(spec.classes), len(spec.members)
    shapes = {
        Output.PROBABILITIES: (pb.TYPE_FP32, [classes]),
        Output.MEMBER_PROBABILITIES: (pb.TYPE_FP32, [members, classes]),
        Output.MEMBER_PREDICTION: (pb.TYPE_INT32, [members]),
        Output.PREDICTION: (pb.TYPE_INT32, [1]),
        Output.CONFIDENCE: (pb.TYPE_FP32, [1]),
        Output.DISAGREEMENT: (pb.TYPE_FP32, [1]),
        Output.ENTROPY: (pb.TYPE_FP32, [1]),
        Output.THRESHOLD: (pb.TYPE_FP32, [1]),
        Output.UNCERTAINTY_LEVEL: (pb.TYPE_INT32, [1]),
        Output.PREDICTION_SET: (pb.TYPE_INT32, [classes]),
        Output.TYPICALITY: (pb.TYPE_FP32, [1]),
        Output.TYPICAL: (pb.TYPE_INT32, [1]),
        Output.TYPICALITY_VIEWS: (pb.TYPE_INT32, [1]),
        Output.QUALITY: (pb.TYPE_FP32, [len(Measure)]),
        Output.QUALITY_WARNINGS: (pb.TYPE_INT32, [len(QualityWarning)]),
        Output.COMPUTE: (pb.TYPE_FP32, [len(spec.parts), len(Compute)]),
        # Of no cells where a request does not ask for them.
        Output.EXPLANATION: (pb.TYPE_FP32, [members, -1, -1]),
        Output.FAITHFULNESS: (pb.TYPE_FP32, [members, -1]),
        Output.RELEASE: (pb.TYPE_STRING, [1]),
    }
    explained = spec.explanation is not None
    return [(name, *shapes[name]) for name in Output.of(explained=explained)]


def _pixel_dims(spec: PipelineSpec) -> list[int]:
    return [*(spec.preprocessing.size or (-1, -1)), 3]
