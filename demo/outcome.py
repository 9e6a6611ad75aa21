"""What a training of demo weights leaves behind."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DemoReport:
    """What was made, and how good it is on drawings not seen in training."""

    files: dict[str, Path]
    """Each trained member's checkpoint."""
    figures: dict[str, float]
    """What was measured, by its name, for instance `vgg16 accuracy` or `mAP@0.5`."""
    held_out: int
    """Drawings that the figures were measured on."""

    def summary(self) -> str:
        """One line for a person."""
        figures = ", ".join(f"{name} {value:.3f}" for name, value in self.figures.items())
        return f"on {self.held_out} held-out drawings: {figures}"
