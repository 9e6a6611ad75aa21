"""Labelled objects and detected objects of an image."""

from dataclasses import dataclass

from typing_extensions import TypedDict

Box = tuple[float, float, float, float]


class Rle(TypedDict):
    """A mask as COCO's compressed run lengths; `size` is height, width of the image."""

    size: list[int]
    counts: str


@dataclass(frozen=True)
class Truth:
    """An object as it was labelled.

    Attributes:
        box: x1, y1, x2, y2 in pixels of the image.
        crowd: Whether it stands for many; nothing that is found in it counts, for or against.
    """

    label: str
    box: Box
    mask: Rle | None = None
    crowd: bool = False


@dataclass(frozen=True)
class Found:
    """A detection: its class, its score in [0, 1], and its box as `Truth.box`."""

    label: str
    score: float
    box: Box
    mask: Rle | None = None
