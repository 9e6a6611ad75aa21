"""What the user of an export says of the checkpoints, where a file leaves it open."""

from dataclasses import dataclass
from enum import StrEnum

from export.class_statements import Statement


class Weights(StrEnum):
    """Which weights of a checkpoint are served."""

    RAW = "raw"  # as the optimiser left them
    EMA = "ema"  # their average over the training: EMA, SWA


@dataclass(frozen=True)
class ReadOptions:
    """How checkpoints are read."""

    weights: Weights | None = None
    """None: a checkpoint that holds both is refused."""
    preprocessing_confirmed: bool = False
    """The YAML's preprocessing is right where a checkpoint says another one."""
    class_map: Statement | None = None
    """What the training's class map says."""
    classes_confirmed: bool = False
    """Whether the outputs of checkpoints that do not say so are in the YAML's order."""


AS_THE_FILE_SAYS = ReadOptions()
