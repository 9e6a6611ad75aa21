"""The manifest beside each artefact, written by the export: its source and its facts."""

import hashlib
import json
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from pipelines.calibration import FILENAME as CALIBRATION_FILENAME
from pipelines.calibration import CalibrationFigures
from pipelines.spec import PipelineSpec

FILENAME = "manifest.json"
CLASS_MAP_FILENAME = "class_map.json"


class ManifestError(ValueError):
    """A version without a manifest, or with files that are not those of its manifest."""


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class OrderKnownFrom(StrEnum):
    """What says in which order a checkpoint's outputs have the classes."""

    CHECKPOINT = "checkpoint"
    CLASS_MAP = "class map"
    USER = "confirmed by the user"
    NOT_VERIFIED = "not verified"


class ClassOrder(BaseModel):
    """The classes of a checkpoint; its artefact has them in the YAML's order in any case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    known_from: OrderKnownFrom
    place: str | None
    """The checkpoint's key, as `hyper_parameters.classes`, or the class map's file name."""
    trained: tuple[str, ...]
    """The YAML's names in the order of the checkpoint's outputs."""


class GateFigures(BaseModel):
    """How a quantised member compared with its FP32 original on labelled images.

    Shares in [0, 1]; sensitivity is the positive class's or, of several classes, the mean of
    theirs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int
    calibration_images: int
    """Images that gave the ranges of activations; 0 where each batch gives its own."""
    agreement: float
    """Of images on which both decide alike."""
    accuracy: float
    accuracy_fp32: float
    sensitivity: float
    sensitivity_fp32: float


class Manifest(BaseModel):
    """Where an artefact comes from and what was checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pipeline: str
    member: str
    version: int
    artefact: str
    """File name of the artefact, in the manifest's folder."""
    artefact_sha256: str
    class_map_sha256: str
    checkpoint_sha256: str
    member_hash: str
    """`PipelineSpec.member_hash` at the time of the export."""
    weights: Literal["trained", "demo"]
    checkpoint_weights: Literal["raw", "ema"] | None = None
    """Which of a checkpoint's weights were taken: as training left them, or their average; None in
    manifests of before it was noted, as is the next."""
    checkpoint_key: str | None = None
    """Where they stand in the checkpoint, e.g. `state_dict_ema`; "" where the file is the state
    dict itself."""
    notes: tuple[str, ...] = ()
    """What a user has to know: what was changed on reading the checkpoint, what could not be
    checked or is not verified, and what it says of its preprocessing that was declared wrong."""
    class_order: ClassOrder | None = None
    """None in manifests of before it was noted."""
    parity_error: float
    """Largest absolute difference of logits, torch against the artefact; of a detector, of scores
    and mask probabilities; of a quantised member, from its FP32 original on the gate's images."""
    parity_boxes: float | None = None
    """Of a detector: the largest difference of a box's coordinates, in pixels of its input."""
    parity_features: float | None = None
    """Of a member that gives features: their largest difference, torch against the artefact, as a
    share of the largest; None for a quantised one, whose features are its own."""
    gate: GateFigures | None = None
    """Of a quantised member."""
    calibration: CalibrationFigures | None = None
    """None: the checkpoint's logits are served as they are."""
    calibration_sha256: str | None = None
    """Of the file with these figures and what a release fits its prediction sets to."""
    bytes: int | None = None
    """Size of the artefact; None in manifests of before it was noted, as is the next."""
    cpu_ms: float | None = None
    """CPU milliseconds an image, one thread and one image at a time, where it was exported; the
    members of one export were measured in turns, so they compare with each other only."""
    opset: int | None
    """ONNX operator set; None for TorchScript."""
    libraries: dict[str, str]
    created: datetime

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The manifest of a version's folder.

        Raises:
            ManifestError: there is none, or it cannot be read.
        """
        path = folder / FILENAME
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise ManifestError(f"{path}: missing: export the model again") from None
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"])) or "the file"
            raise ManifestError(f"{path}: {key}: {first['msg']}: export it again") from None

    @property
    def files(self) -> dict[str, str]:
        """SHA-256 of artefact, class map and, if it is calibrated, calibration, by file name."""
        files = {self.artefact: self.artefact_sha256, CLASS_MAP_FILENAME: self.class_map_sha256}
        if self.calibration_sha256 is not None:
            files[CALIBRATION_FILENAME] = self.calibration_sha256
        return files

    @property
    def order_known_from(self) -> OrderKnownFrom:
        """What says in which order the checkpoint has its classes."""
        return self.class_order.known_from if self.class_order else OrderKnownFrom.NOT_VERIFIED

    def require_made_for(self, spec: PipelineSpec, member: str, folder: Path) -> None:
        """Checks that a version was made for a member, and from the facts that it is served under.

        Args:
            spec: what is to be served.
            member: one of its members.
            folder: of the version; its class map is read.

        Raises:
            ManifestError: it was made for something else, or from other facts.
        """
        try:
            class_map = json.loads((folder / CLASS_MAP_FILENAME).read_bytes())
        except (OSError, ValueError) as error:
            raise ManifestError(f"{folder / CLASS_MAP_FILENAME}: {error}") from None
        found_and_expected = {
            "pipeline": (self.pipeline, spec.name),
            "member": (self.member, member),
            "version": (str(self.version), folder.name),
            "artefact": (self.artefact, spec.members[member].format.filename),
            "classes": (class_map, spec.class_map()),
        }
        for what, (found, expected) in found_and_expected.items():
            if found != expected:
                raise ManifestError(
                    f"{folder}: made for {what} {found}, not {expected}: export the model again"
                )
        if self.member_hash != spec.member_hash(member):
            raise ManifestError(
                f"{folder}: made from another architecture, class order or preprocessing than "
                f"{spec.name}.yaml now says: export the model again"
            )

    def verify(self, folder: Path) -> None:
        """Compares the files of a version's folder with those of this manifest.

        Raises:
            ManifestError: a file is missing or its SHA-256 is another one.
        """
        for name, expected in self.files.items():
            path = folder / name
            if not path.is_file():
                raise ManifestError(f"{path}: missing: export the model again")
            if (found := sha256_of(path)) != expected:
                raise ManifestError(
                    f"{path}: corrupt or replaced: SHA-256 {found[:12]}..., "
                    f"its manifest says {expected[:12]}...: export the model again"
                )
