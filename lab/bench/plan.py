"""The plan of what a contender serves: JSON, readable in each contender's environment."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

VARIABLE = "BENCH_PLAN"
"""Environment variable with the path of the plan."""


@dataclass(frozen=True)
class Member:
    """One ONNX file: UINT8 [N, H, W, 3] pixels to FP32 [N, K] logits."""

    path: str
    weight: float


@dataclass(frozen=True)
class Plan:
    """One workload's models, their weights, and the pipeline's facts."""

    members: tuple[Member, ...]
    spec: dict[str, Any]
    """The served spec as JSON (`inference.rules.Spec`)."""

    @classmethod
    def of_environment(cls) -> Self:
        """Reads the file that `BENCH_PLAN` names."""
        facts = json.loads(Path(os.environ[VARIABLE]).read_text("utf-8"))
        return cls(
            members=tuple(Member(**member) for member in facts["members"]),
            spec=facts["spec"],
        )

    def write(self, path: Path) -> Path:
        """Writes the file; returns its path."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2), "utf-8")
        return path
