"""The shapes of what operators ask for."""

from typing import Literal

from gateway.results.schemas.answer import Shape


class Health(Shape):
    """The process lives."""

    status: Literal["alive"]


class ReadinessReport(Shape):
    """Each pipeline's state by name."""

    ready: bool
    pipelines: dict[str, bool]
