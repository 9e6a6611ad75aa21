"""Typicality: what a YAML and a release say of telling images of another kind."""

import json
from pathlib import Path
from typing import Annotated

from pydantic import Field

from pipelines.derived import FALSE_ALARMS_AT_LEAST, REFERENCE_PHOTOS_AT_LEAST
from pipelines.fact import Facts, Name

_FOLDER = "typicality"
_DIGITS = 16
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Typicality(Facts):
    """How images are judged, where a release has a reference (`python -m export --reference`)."""

    member: Name | None = None
    """Whose features are compared, beside the picture's statistics; None: the statistics alone."""
    false_alarms: float = Field(ge=FALSE_ALARMS_AT_LEAST, le=0.2, allow_inf_nan=False)
    """The share of images of its own kind that is flagged at most."""
    recommendation: str = Field(min_length=1)
    """Of an atypical image, in place of any other."""


class ReferenceOrigin(Facts):
    """What a reference was made of, which its file and a release say alike."""

    pipeline: Name
    photos: int = Field(ge=REFERENCE_PHOTOS_AT_LEAST)
    photos_sha256: Sha256
    """Over the photos' own, sorted."""
    preprocessing_sha256: Sha256
    """`PipelineSpec.picture_hash` at that time."""
    checkpoint_sha256: Sha256 | None = None
    """Of the member whose features it has; None: the picture's statistics alone."""
    precision: str | None = None
    """Of that member's artefact: `fp32`, `fp16` or `int8`. Formats of one precision share it."""


class ReleasedReference(Facts):
    """The reference that a release serves."""

    sha256: Sha256
    """Of its file."""
    origin: ReferenceOrigin

    @property
    def served(self) -> str:
        """What the decision and the gateway read, as JSON (`ConfigOverride.REFERENCE`)."""
        origin = self.origin
        said = {
            "file": reference_path(origin.pipeline, self.sha256).as_posix(),
            "sha256": self.sha256,
            "photos": origin.photos,
            "photos_sha256": origin.photos_sha256,
            "features": origin.checkpoint_sha256 is not None,
        }
        return json.dumps(said)


def reference_path(pipeline: str, sha256: str) -> Path:
    """The file of a reference, relative to the repository."""
    return Path(pipeline, _FOLDER, f"{sha256[:_DIGITS]}.npz")


def reference_files(pipeline: str, repository: Path) -> list[Path]:
    """The files of all references of a pipeline, the newest first."""
    files = (repository / pipeline / _FOLDER).glob("*.npz")
    return sorted(files, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)
