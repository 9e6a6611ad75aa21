"""The record of a training: architecture, recipe, and metrics on held-out drawings."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

CHECKPOINTS = Path(__file__).parent / "checkpoints"
"""The committed ones, and what was made of them: a folder for each pipeline."""
FILENAME = "figures.json"
Recipe = dict[str, float | int | None]
"""Epochs, batch, rates and so on."""


@dataclass(frozen=True)
class Trained:
    """What a training wrote, and how good it is on drawings not seen in training."""

    files: dict[str, Path]
    """Each member's small checkpoint: a file, or the folder of a YOLOS."""
    figures: dict[str, float]
    """What was measured, by its name, for instance `ensemble` or `mAP@0.5`."""
    held_out: int
    """Drawings that the figures were measured on."""
    drawings: int
    """Drawings that were trained on."""
    recipe: dict[str, Recipe]
    """By member."""


class Figures(BaseModel):
    """`figures.json` beside the checkpoints of a pipeline."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pipeline: str
    seed: int = Field(ge=0)
    """Of the drawings, the first weights and the order of training."""
    drawings: int
    """Trained on."""
    held_out: int
    """Drawings that the figures were measured on; no training saw them."""
    recipe: dict[str, Recipe]
    """By member."""
    figures: dict[str, float]
    """As `Trained.figures`."""
    cpu_seconds: float
    """Of drawing, training and measuring."""
    torch: str
    """Version."""

    @classmethod
    def read(cls, folder: Path) -> "Figures":
        """Reads the file in a folder of checkpoints."""
        return cls.model_validate_json((folder / FILENAME).read_bytes())

    def summary(self) -> str:
        """One line for a person."""
        figures = ", ".join(f"{name} {value:.3f}" for name, value in self.figures.items())
        return f"on {self.held_out} held-out drawings: {figures}"
