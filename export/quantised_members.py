"""What it takes to make and to judge members of fewer bits."""

from export.labelled_photos import Evidence, EvidenceError
from pipelines.enums import Method, Task
from pipelines.spec import PipelineSpec


def require_evidence(spec: PipelineSpec, derived: list[str], evidence: Evidence | None) -> None:
    """Checks that quantised members can be made and judged.

    Raises:
        EvidenceError: images are missing; the message says which.
    """
    if spec.task is not Task.CLASSIFICATION:
        raise EvidenceError(
            f"{derived[0]}: only a classification's members are quantised: drop it from the YAML"
        )
    static = needs_calibration(spec, derived)
    if evidence is None or (static and not len(evidence.calibration)):
        calibration = "--calibration DIR (any photos) and " if static else ""
        count = spec.quantisation_gate.images_at_least
        raise EvidenceError(
            f"{', '.join(derived)}: fewer bits are only published with proof: give {calibration}"
            f"--validation DIR (a folder of photos for each class, {count} or more in all, none "
            "of them in the other folder), or drop the member from the YAML"
        )


def needs_calibration(spec: PipelineSpec, members: list[str]) -> bool:
    """Whether one of these takes its activations' ranges from calibration images."""
    methods = [spec.members[name].quantisation for name in members]
    return any(each is not None and each.method is Method.STATIC for each in methods)
