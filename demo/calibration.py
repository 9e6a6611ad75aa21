"""`python -m demo.calibration`: calibrates the committed checkpoints, so that exports need not.

The calibrations lie beside the checkpoints. Sets are checked on drawings of their own.
"""

import hashlib
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from demo.expansion import narrow
from demo.figures import CHECKPOINTS
from demo.labelled import labelled
from evaluation.metrics.intervals import share
from export import gate, release_calibration
from export.arguments import ALL, names
from export.calibration import Calibrations
from export.calibration_labels import CalibrationPhotos, halved
from export.console import say, screen
from export.errors import ExportError
from inference.decision import decide
from inference.prediction_set import without_call
from inference.rules import DecisionRules
from pipelines import atomic_write
from pipelines.calibration import FILENAME, AnswerCalibration, Estimate, MemberCalibration
from pipelines.definition import PipelineDefinition
from pipelines.enums import Task
from pipelines.load import FOLDER, SpecError, load_definition
from pipelines.manifest import sha256_of
from pipelines.profile import DEFAULT_PROFILE
from pipelines.spec import PipelineSpec

PHOTOS, CHECKED = 1000, 1000
"""Drawings that calibrate, half of them the temperatures, and others that sets are checked on."""
_CALIBRATION_SEED, _CHECK_SEED = 2, 3
"""Of `demo.labelled`; 0 and 1 quantise."""


class CheckedSets(BaseModel):
    """How the answers of the default profile were on drawings that nothing was fitted to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    drawings: int
    coverage: Estimate
    """Share of sets that hold the true class, with Wilson's 95 % interval."""
    coverage_of_class: dict[str, float]
    mean_size: float
    empty: float
    """Share of sets without a class."""
    no_call: float
    """Share of answers of which no call should be made."""


class DemoCalibration(BaseModel):
    """`calibration.json` beside the checkpoints of a pipeline."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoints: dict[str, str]
    """SHA-256 of each committed checkpoint, by member."""
    error_before: Estimate
    """Expected calibration error of the default profile's answers without temperatures."""
    error_after: Estimate
    checked: CheckedSets
    members: dict[str, MemberCalibration]
    """Of each checkpoint; INT8 members are measured when they are made."""

    @classmethod
    def read(cls, folder: Path) -> "DemoCalibration | None":
        """The file in a folder of checkpoints; None where it is missing or of other checkpoints."""
        path = folder / FILENAME
        if not path.is_file():
            return None
        found = cls.model_validate_json(path.read_bytes())
        return found if found.checkpoints == _digests(folder) else None


def committed(spec: PipelineSpec) -> dict[str, MemberCalibration]:
    """What the committed file says of a pipeline's checkpoints; empty where there is none."""
    found = DemoCalibration.read(CHECKPOINTS / spec.name)
    return {} if found is None else found.members


def main(
    pipelines: Annotated[
        str, typer.Argument(metavar="PIPELINE", help="One, several with commas between, or `all`.")
    ] = ALL,
) -> None:
    """Calibrates demo checkpoints anew and writes `calibration.json` beside them.

    Takes one or two minutes for each classification on two cores.
    """
    try:
        for name in names(pipelines, FOLDER):
            whole = load_definition(name)
            if whole.task is Task.CLASSIFICATION:
                found = calibrate(whole)
                atomic_write.write_text(
                    CHECKPOINTS / name / FILENAME, found.model_dump_json() + "\n"
                )
                screen.print(f"{name}: {found.checked}", highlight=False, soft_wrap=True)
    except (ExportError, SpecError) as error:
        say(error)
        raise typer.Exit(1) from None


def calibrate(
    whole: PipelineDefinition, photos: int = PHOTOS, checked: int = CHECKED
) -> DemoCalibration:
    """Calibrates a pipeline's committed checkpoints, and checks the sets.

    Checkpoints run as they are committed, before they are widened: the same function.

    Raises:
        ExportError: one of its kinds.
    """
    spec = whole.resolve(DEFAULT_PROFILE)
    networks = {
        name: narrow(whole, name) for name in dict.fromkeys(map(whole.origin, whole.members))
    }
    drawings = drawn(whole, photos)
    calibrations = Calibrations(drawings)
    members = {}
    for name, network in networks.items():
        screen.print(f"{whole.name}: calibrating {name}", highlight=False)
        if found := calibrations.of_checkpoint(whole, name, network.logits):
            members[name] = found
    pixels, labels = labelled(whole, checked, _CHECK_SEED)
    logits = {
        name: gate.logits(networks[spec.origin(name)].logits, pixels)
        / members[spec.origin(name)].figures.temperature
        for name in spec.answering_members
    }
    served = {name: members[spec.origin(name)] for name in spec.answering_members}
    measured = release_calibration.answers(spec, served)
    return DemoCalibration(
        checkpoints=_digests(CHECKPOINTS / whole.name),
        error_before=measured.error_before,
        error_after=measured.error_after,
        checked=check(spec, measured, logits, labels),
        members=members,
    )


def drawn(whole: PipelineDefinition, photos: int) -> CalibrationPhotos:
    """Labelled drawings to calibrate with, which no training and no other check sees."""
    pixels, labels = labelled(whole, photos, _CALIBRATION_SEED)
    return halved(pixels, labels, hashlib.sha256(pixels.tobytes()).hexdigest())


def check(
    spec: PipelineSpec,
    calibration: AnswerCalibration,
    logits: dict[str, NDArray[np.float32]],
    labels: NDArray[np.int64],
) -> CheckedSets:
    """Decides as the service does, and counts what the sets hold.

    Args:
        spec: what is served.
        calibration: of its answers.
        logits: of each answering member, [N, K] or [N, 1], divided by its temperature.
        labels: INT64 [N].
    """
    rules = DecisionRules.from_spec(spec.model_dump(mode="json"))
    answering = {index: logits[rules.members[index]] for index in rules.answering_members(None)}
    decided = decide(answering, rules, None, calibration.set_from)
    sets = decided.prediction_set
    held = sets[np.arange(len(labels)), labels] == 1
    counted = share(int(held.sum()), len(labels))
    assert counted is not None  # noqa: S101 - there are drawings
    sizes = sets.sum(axis=1)
    return CheckedSets(
        drawings=len(labels),
        coverage=Estimate(value=counted.value, low=counted.low, high=counted.high),
        coverage_of_class={
            name: float(held[labels == index].mean()) for index, name in enumerate(spec.classes)
        },
        mean_size=float(sizes.mean()),
        empty=float((sizes == 0).mean()),
        no_call=float(without_call(sets, decided.prediction).mean()),
    )


def _digests(folder: Path) -> dict[str, str]:
    return {path.stem: sha256_of(path) for path in sorted(folder.glob("*.safetensors"))}


if __name__ == "__main__":
    typer.run(main)
