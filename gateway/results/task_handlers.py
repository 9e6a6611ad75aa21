"""The table from a pipeline's task to the functions that read and render its results."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from operator import or_
from typing import Any, Generic, TypeVar

from gateway.core.catalog import Pipeline
from gateway.core.request import RequestParameters
from gateway.results import classification, detection, shapes
from gateway.results.classification import ClassificationResult
from gateway.results.detection import DetectionResult
from gateway.results.facts import ImageStamp
from gateway.triton.outputs import Outputs
from pipelines.enums import Task
from pipelines.protocol import Detected, Parameter

Result = ClassificationResult | DetectionResult
"""The result about one image. Each kind has `pipeline`, `answering_members`, `threshold`,
`label_scores`, `calibration`, `kind`, `quality` and `compute`."""

_R = TypeVar("_R", ClassificationResult, DetectionResult)


class Form(StrEnum):
    """The forms of an answer, by the names of their routes."""

    BASIC = "predict"
    ADVANCED = "predict/advanced"
    FLAT = "flat"
    BATCH = "predict/batch"


@dataclass(frozen=True, slots=True)
class View(Generic[_R]):
    """One form of the answer about one image."""

    shape: Any
    fill: Callable[[_R, RequestParameters, ImageStamp], Any]
    asks: tuple[Parameter, ...] = ()
    """Parameters that are switched on unless the caller switches them off."""

    def render(self, result: _R, parameters: RequestParameters, stamp: ImageStamp) -> bytes:
        """The answer as JSON."""
        answer = self.fill(result, parameters, stamp)
        content = shapes.adapter(self.shape).dump_json(answer)
        if isinstance(result, DetectionResult) and result.visualization:
            # A picture may have megabytes: base64 needs no search for characters to escape.
            key = f',"{Detected.VISUALIZATION}":"'.encode()
            return b"".join((content[:-1], key, b64encode(result.visualization), b'"}'))
        return content


@dataclass(frozen=True, slots=True)
class TaskHandler(Generic[_R]):
    """How pipelines of one task are answered."""

    read: Callable[[Outputs, Pipeline, RequestParameters], _R]
    views: Mapping[Form, View[_R]]
    batch_shape: Any
    in_batch: Callable[[_R, RequestParameters], Any]
    """Fills what the entry of one image of a batch says of it."""
    record: Callable[[_R], Mapping[str, Any]]
    """What the audit log keeps of a result: all that an answer says of it, as JSON."""
    images_per_call: Callable[[Pipeline, RequestParameters], int]
    """How many images of requests with the same parameters may share a call."""


def _detector(*more: Parameter) -> TaskHandler[DetectionResult]:
    """The handler of a detector; `more` is what only an advanced answer shows."""
    shape, drawn = shapes.DetectionPrediction, Parameter.VISUALIZATION
    return TaskHandler(
        DetectionResult.read,
        {
            Form.BASIC: View(shape, detection.answer),
            Form.ADVANCED: View(shape, detection.answer, (drawn, *more)),
            Form.FLAT: View(shape, detection.answer, (drawn,)),
        },
        shapes.BatchDetectionPrediction,
        detection.in_batch,
        detection.record,
        # The number of objects differs from image to image, so answers cannot be stacked.
        lambda *_: 1,
    )


def _classification_images(pipeline: Pipeline, parameters: RequestParameters) -> int:
    """As many as Triton takes; an image that is explained is alone.

    In one process the images of a call run one after the other and are answered after the last
    one: more than the members take at a time would only wait for each other.
    """
    spec = pipeline.spec
    if parameters.explain:
        return 1
    if not spec.serving.one_process:
        return spec.serving.max_batch
    return min(spec.max_batch(name) for name in pipeline.answering_members(parameters.member))


_HANDLERS: dict[Task, TaskHandler[Any]] = {
    Task.CLASSIFICATION: TaskHandler(
        ClassificationResult.read,
        {
            Form.BASIC: View(shapes.Prediction, classification.basic),
            Form.ADVANCED: View(shapes.AdvancedPrediction, classification.advanced),
            Form.FLAT: View(shapes.FlatPrediction, classification.flat),
        },
        shapes.BatchPrediction,
        classification.in_batch,
        classification.record,
        _classification_images,
    ),
    Task.DETECTION: _detector(),
    Task.SEGMENTATION: _detector(Parameter.POLYGONS),
}


def handler_of(pipeline: Pipeline) -> TaskHandler[Any]:
    """How a pipeline's task is answered."""
    return _HANDLERS[pipeline.spec.task]


def shapes_of(form: Form) -> object:
    """The union of the shapes that answers of a form have, whatever the task, for OpenAPI."""
    found = [
        handler.batch_shape if form is Form.BATCH else handler.views[form].shape
        for handler in _HANDLERS.values()
    ]
    return reduce(or_, dict.fromkeys(found))
