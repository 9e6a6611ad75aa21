"""The one table from a pipeline's task to how its answers are read and rendered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from gateway.core.catalog import Pipeline
from gateway.core.parameters import Choices
from gateway.results import render_classification as classification
from gateway.results import render_detection as detection
from gateway.results.classification import Opinion
from gateway.results.detection import Detections
from gateway.results.frame import Json
from gateway.triton.outputs import Outputs
from pipelines.enums import Task
from pipelines.protocol import Parameter

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
    images_a_call: Callable[[Pipeline, str | None], int]
    """How many images may share a call, where one member is asked or, with None, all are."""


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
        lambda *_: 1,
    )


def _images_of_a_classification(pipeline: Pipeline, member: str | None) -> int:
    """As many as Triton takes.

    In one process the images of a call are worked through in turns, and answered after the last
    one: more than the members take at a time would only wait for each other.
    """
    spec = pipeline.spec
    if not spec.serving.one_process:
        return spec.serving.max_batch
    return min(spec.max_batch(name) for name in pipeline.heard(member))


_KINDS: dict[Task, Kind[Any]] = {
    Task.CLASSIFICATION: Kind(
        Opinion.read,
        {
            Form.BASIC: View(classification.basic),
            Form.ADVANCED: View(classification.advanced),
            Form.FLAT: View(classification.flat),
        },
        classification.entry,
        _images_of_a_classification,
    ),
    Task.DETECTION: _detector(),
    Task.SEGMENTATION: _detector(Parameter.POLYGONS),
}


def kind_of(pipeline: Pipeline) -> Kind[Any]:
    """How a pipeline's task is answered."""
    return _KINDS[pipeline.spec.task]
