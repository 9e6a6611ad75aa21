"""What one image cost to compute, read from Triton's tensors."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from gateway.core.catalog import Pipeline
from gateway.results.shapes import ComputeFacts
from gateway.triton.outputs import Outputs, invalid_model_output
from pipelines.enums import Kind
from pipelines.protocol import Compute, Output, Step

_DIGITS = 6
"""Of seconds: microseconds."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one part of a pipeline spent on one image: a step, or a member."""

    seconds: float
    """CPU time; on a GPU the time that the pass took. A pass's, divided by its images."""
    device: Kind
    estimated: bool
    """Whether the part did not measure it: then it is how long the decision waited for it."""
    began: float
    """Of its pass, in seconds before the answer was made."""
    ended: float


@dataclass(frozen=True, slots=True)
class ComputeTime:
    """What each part of a pipeline that ran spent on one image."""

    parts: Mapping[str, Part]
    """By name, in the pipeline's order: decode, the members, decision."""

    @classmethod
    def read(cls, outputs: Outputs, pipeline: Pipeline, member: str | None) -> Self:
        """Reads the tensor of one image; ensembles of every task have it.

        Args:
            outputs: the tensors.
            pipeline: the facts of the release that answered.
            member: the one member that was asked; None: those that the facts name.

        Raises:
            RefusedError: with `model_output` where it does not fit the pipeline's facts.
        """
        names, width = pipeline.spec.parts, len(Compute)
        ran = {*Step, *pipeline.answering_members(member)}
        numbers = outputs.floats(Output.COMPUTE, len(names) * width)
        parts = {}
        for index, name in enumerate(names):
            row = numbers[index * width : (index + 1) * width]
            if name not in ran:
                continue
            valid = all(map(math.isfinite, row)) and row[Compute.SECONDS] >= 0
            if not valid or row[Compute.MEASURED] not in {0, 1}:
                raise invalid_model_output()
            facts = pipeline.spec.members.get(name)
            parts[name] = Part(
                seconds=row[Compute.SECONDS],
                device=Kind.CPU if facts is None else facts.kind,
                estimated=row[Compute.MEASURED] == 0,
                began=row[Compute.BEGAN],
                ended=row[Compute.ENDED],
            )
        return cls(parts)

    def seconds(self, device: Kind | None = None) -> float:
        """Of all parts, or of those on one kind of processor."""
        found = (part.seconds for part in self.parts.values() if device in {None, part.device})
        return round(math.fsum(found), _DIGITS)

    def facts(self) -> ComputeFacts:
        """As the answers show it."""
        if any(part.estimated for part in self.parts.values()):
            return {"compute_ms": milliseconds(self.seconds()), "compute_estimated": True}
        return {"compute_ms": milliseconds(self.seconds())}

    def as_json(self) -> dict[str, dict[str, Any]]:
        """As the audit log keeps it: `seconds`, `device` and, where it is one, `estimated`."""
        return {
            name: {
                "seconds": round(part.seconds, _DIGITS),
                "device": str(part.device),
                **({"estimated": True} if part.estimated else {}),
            }
            for name, part in self.parts.items()
        }


def milliseconds(seconds: float) -> float:
    """Seconds as milliseconds, to the microsecond."""
    return round(seconds * 1000, _DIGITS - 3)
