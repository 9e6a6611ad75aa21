"""The result of the gate of `fast` decoding: written by the export, required by the launcher.

Photos that are decoded at a part of their size give other pixels. A profile with `fast` is served
only where the pipeline's answers were measured to stay (docs/contract.md, "Preprocessing
profiles"), with the very artefacts and facts that are served.
"""

import hashlib
import json
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from pipelines.spec import PipelineSpec

PHOTOS_AT_LEAST = 500
AGREEMENT_AT_LEAST = 0.999
DIFFERENCE_AT_MOST = 0.01


class FastDecoding(BaseModel):
    """How answers by `fast` compared with those by `exact`, of one pipeline under one profile."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    photos: int
    """Photos that `fast` decodes to other pixels; what is no JPEG, or too small, proves nothing."""
    unchanged: int
    """Photos that were given beside them and have the same pixels either way."""
    agreement: float
    """Share of `photos` on which both decide alike."""
    difference: float
    """The largest |dp|: of a class's probability in the pipeline's answer."""
    member_difference: float
    """The same of a single member's probabilities; for information."""
    artefacts: dict[str, str]
    """SHA-256 by member."""
    facts: str
    """`facts_hash` at the time."""

    @classmethod
    def path(cls, spec: PipelineSpec, repository: Path) -> Path:
        """Where a record lies: beside the pipeline's ensemble model, one for each profile."""
        return repository / spec.name / "1" / f"fast_decoding-{spec.profile}.json"

    @classmethod
    def read(cls, spec: PipelineSpec, repository: Path) -> Self:
        """The record of a profile.

        Raises:
            OSError: there is none.
            ValueError: it cannot be read.
        """
        return cls.model_validate_json(cls.path(spec, repository).read_bytes())

    def verdicts(self) -> dict[str, bool]:
        """Each bound with what was found, as text, and whether it was kept."""
        return {
            f"{self.photos} photos that it decodes otherwise, {PHOTOS_AT_LEAST} or more wanted": (
                self.photos >= PHOTOS_AT_LEAST
            ),
            f"agreement {self.agreement:.2%}, {AGREEMENT_AT_LEAST:.1%} or more wanted": (
                self.agreement >= AGREEMENT_AT_LEAST
            ),
            f"largest |dp| {self.difference:.4f}, {DIFFERENCE_AT_MOST} or less wanted": (
                self.difference <= DIFFERENCE_AT_MOST
            ),
        }

    @property
    def passed(self) -> bool:
        """Whether all bounds were kept."""
        return all(self.verdicts().values())


def facts_hash(spec: PipelineSpec) -> str:
    """SHA-256 of the facts that answers depend on, beside the artefacts."""
    facts = {
        "preprocessing": spec.preprocessing.model_dump(mode="json", exclude_none=True),
        "threshold": spec.threshold and spec.threshold.default,
        "weights": dict(zip(spec.members, spec.weights, strict=True)),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
