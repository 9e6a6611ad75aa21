"""The one table from a pipeline's task to how its answers are read and rendered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from gateway.catalog import Pipeline
from gateway.choices import Choices
from gateway.detections import Detections
from gateway.opinion import Opinion
from gateway.outputs import Outputs
from gateway.render import classification, detection
from gateway.render.frame import Json
from pipelines.spec import PipelineSpec, Task
from pipelines.wire import Parameter

_F = TypeVar("_F", Opinion, Detections)


class Form(StrEnum):
    """The forms of an answer about one image, by the names of their routes."""

    BASIC = "predict"
    ADVANCED = "predict/advanced"
    FLAT = "flat"


@dataclass(frozen=True, slots=True)
class View(Generic[_F]):
    """A form of answer of one kind of task."""

    render: Callable[[_F, Choices], Json]
    asks: tuple[Parameter, ...] = ()
    """What Triton is asked for besides, unless the caller declines it."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[_F]):
    """How one kind of task is answered."""

    read: Callable[[Outputs, Pipeline, str | None], _F]
    views: Mapping[Form, View[_F]]
    entry: Callable[[_F, Choices], Json]
    """Renders one image of a batch."""
    images_a_call: Callable[[PipelineSpec], int]
    """How many images Triton takes in one call."""


def _detector(*more: Parameter) -> Kind[Detections]:
    """Of a detector; `more` is what only an advanced answer shows."""
    drawn = Parameter.VISUALIZATION
    return Kind(
        Detections.read,
        {
            Form.BASIC: View(detection.answer),
            Form.ADVANCED: View(detection.answer, (drawn, *more)),
            Form.FLAT: View(detection.answer, (drawn,)),
        },
        detection.entry,
        # What is found differs from image to image, so answers do not stack.
        lambda _: 1,
    )


_KINDS: dict[Task, Kind[Any]] = {
    Task.CLASSIFICATION: Kind(
        Opinion.read,
        {
            Form.BASIC: View(classification.basic),
            Form.ADVANCED: View(classification.advanced),
            Form.FLAT: View(classification.flat),
        },
        classification.entry,
        lambda spec: spec.serving.max_batch,
    ),
    Task.DETECTION: _detector(),
    Task.SEGMENTATION: _detector(Parameter.POLYGONS),
}


def kind_of(pipeline: Pipeline) -> Kind[Any]:
    """How a pipeline's task is answered."""
    return _KINDS[pipeline.spec.task]
