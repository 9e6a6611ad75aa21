"""Which drawings a detector's artefact is tried on."""

from demo import lesions, scenes
from demo.lesions import Drawing
from demo.scenes import Scene
from pipelines.enums import Task


def draw(task: Task, seed: int, width: int, height: int) -> Scene | Drawing:
    """A drawing with five objects or more: image, boxes, classes; of a segmentation also masks."""
    if task is Task.SEGMENTATION:
        return lesions.draw(seed, width, height)
    return scenes.draw(seed, width, height)
