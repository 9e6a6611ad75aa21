"""The numbers of an answer, by which it is compared with the right one. Standard library only."""

from collections.abc import Sequence


def of_detections(
    scores: Sequence[float], boxes: Sequence[Sequence[float]], width: int, height: int
) -> list[float]:
    """How many there are, their scores, and their corners as shares of the image's sides."""
    corners = [
        number / side
        for box in boxes
        for number, side in zip(box, (width, height, width, height), strict=True)
    ]
    return [float(len(scores)), *scores, *corners]
