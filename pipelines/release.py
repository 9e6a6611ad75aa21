"""A release: the one file that names everything a pipeline serves under one profile.

It lies at `<pipeline>/releases/<id>.json` in the model repository. `<profile>.current` beside it
holds the id of the release that serves. The export writes both; the launcher verifies and serves.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from pipelines.calibration import ReleaseCalibration
from pipelines.fact import Facts, Name
from pipelines.manifest import OrderKnownFrom
from pipelines.spec import PipelineSpec
from pipelines.typicality import ReleasedReference

_FOLDER = "releases"
IDENTITY = r"[A-Za-z0-9._-]{1,64}-[0-9a-f]{8}"
"""The form of a release's id."""


class ReleaseError(ValueError):
    """A release is missing, cannot be read, or its files are not those that it names."""


class NoReleaseError(ReleaseError):
    """No release of a profile was made yet."""


class ReleasedMember(Facts):
    """The version of a member that a release serves."""

    version: int = Field(ge=1)
    weights: Literal["trained", "demo"]
    class_order: OrderKnownFrom = OrderKnownFrom.NOT_VERIFIED
    """What says in which order the checkpoint has its classes."""
    files: dict[str, str]
    """SHA-256 by name of each file in the version's folder but the manifest, which has a date."""
    temperature: float | None = None
    """What its logits were divided by to calibrate it; None: it is not calibrated."""


class Release(Facts):
    """All that a pipeline serves under one profile; equal facts and files give an equal id."""

    spec: PipelineSpec
    members: dict[Name, ReleasedMember]
    configs: dict[str, str]
    """SHA-256 of each config that is loaded, by path in the repository."""
    calibration: ReleaseCalibration | None = None
    """Of its answers; None where no member is calibrated."""
    reference: ReleasedReference | None = None
    """What images are compared with; None: their typicality is not judged."""

    @model_validator(mode="after")
    def _names_every_artefact(self) -> Self:
        if self.members.keys() != self.spec.members.keys():
            raise ValueError("members: are not those of the spec")
        for name, member in self.members.items():
            if self.spec.members[name].format.filename not in member.files:
                raise ValueError(f"members.{name}.files: do not name the artefact")
        if self.reference is not None and self.spec.typicality is None:
            raise ValueError("reference: the spec has no typicality")
        return self

    @property
    def text(self) -> str:
        """The content of the release's file: JSON."""
        return json.dumps(self.model_dump(mode="json"), indent=2) + "\n"

    @property
    def identity(self) -> str:
        """The release's id: its name in the YAML and 8 hex digits of the SHA-256 of its content."""
        return f"{self.spec.release}-{self.sha256[:8]}"

    @property
    def sha256(self) -> str:
        """SHA-256 of the content of the release's file, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def artefact_sha256(self, member: str) -> str:
        """SHA-256 of a member's artefact."""
        return self.members[member].files[self.spec.members[member].format.filename]

    @classmethod
    def read(cls, pipeline: str, identity: str, repository: Path) -> Self:
        """A release by its id.

        Raises:
            ReleaseError: it is missing, cannot be read, or its content is not that of its id.
        """
        path = release_path(pipeline, identity, repository)
        try:
            release = cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise ReleaseError(f"{path}: missing: {_remedy(pipeline)}") from None
        except OSError as error:
            raise ReleaseError(f"{path}: cannot be read: {error.strerror}") from None
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"])) or "the file"
            raise ReleaseError(f"{path}: {key}: {first['msg']}: {_remedy(pipeline)}") from None
        if release.identity != identity or release.spec.name != pipeline:
            raise ReleaseError(
                f"{path}: its content is that of release {release.identity} of "
                f"{release.spec.name}: it was edited, renamed or written by another version: "
                f"{_remedy(pipeline)}"
            )
        return release

    @classmethod
    def current(cls, pipeline: str, profile: str, repository: Path) -> Self:
        """The release that serves a profile.

        Raises:
            NoReleaseError: none was made.
            ReleaseError: as `read`, or it is one of another profile.
        """
        identity = current_identity(pipeline, profile, repository)
        release = cls.read(pipeline, identity, repository)
        if release.spec.profile != profile:
            raise ReleaseError(
                f"{current_path(pipeline, profile, repository)}: names {identity}, a release of "
                f"profile {release.spec.profile}: name one of profile {profile}"
            )
        return release


def current_identity(pipeline: str, profile: str, repository: Path) -> str:
    """The id of the release that serves a profile.

    Raises:
        NoReleaseError: none was made.
        ReleaseError: the file that holds the id cannot be read, or holds none.
    """
    path = current_path(pipeline, profile, repository)
    try:
        identity = path.read_text("utf-8").strip()
    except FileNotFoundError:
        raise NoReleaseError(f"{path}: missing: no release: {_remedy(pipeline)}") from None
    except (OSError, ValueError) as error:
        raise ReleaseError(f"{path}: cannot be read: {error}: {_remedy(pipeline)}") from None
    if not re.fullmatch(IDENTITY, identity):
        raise ReleaseError(f"{path}: holds no release id: {_remedy(pipeline)}")
    return identity


def current_versions(pipeline: str, profile: str, repository: Path) -> dict[str, int]:
    """The versions that serve a profile by member; empty where no release says so.

    Also of a release that another version of this software wrote, whose content has changed names.
    """
    try:
        identity = current_identity(pipeline, profile, repository)
        content = json.loads(release_path(pipeline, identity, repository).read_bytes())
        return {name: int(member["version"]) for name, member in content["members"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def release_path(pipeline: str, identity: str, repository: Path) -> Path:
    """Where a release lies."""
    return repository / pipeline / _FOLDER / f"{identity}.json"


def current_path(pipeline: str, profile: str, repository: Path) -> Path:
    """The file that holds the id of the release that serves a profile."""
    return repository / pipeline / _FOLDER / f"{profile}.current"


def _remedy(pipeline: str) -> str:
    return f"run `make configs` (python -m export {pipeline} --configs)"
