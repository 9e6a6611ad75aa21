"""What a pipeline's YAML says about its detections."""

import json
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Facts:
    """Read once, when the backend is loaded."""

    classes: tuple[str, ...]
    threshold: float
    """The score from which on a detection counts, where a request names none."""
    bounds: tuple[float, float]
    """Lowest and highest threshold that a request may name."""
    members: tuple[str, ...]
    asked: int
    """Index of the member that answers where a request names none."""
    masks: bool
    """Whether members also give the outline of what is in each box."""

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads the config parameter `decision`.

        Raises:
            KeyError, TypeError, ValueError: a fact is missing, or no single member has a weight.
        """
        data = json.loads(text)
        threshold = data["threshold"]
        (asked,) = (index for index, weight in enumerate(data["weights"]) if weight > 0)
        return cls(
            classes=tuple(data["classes"]),
            threshold=float(threshold["default"]),
            bounds=(float(threshold["minimum"]), float(threshold["maximum"])),
            members=tuple(data["members"]),
            asked=asked,
            masks=bool(data["masks"]),
        )
