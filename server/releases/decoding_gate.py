"""Serves scaled decoding only where its gate was passed, with what is served."""

from pathlib import Path

from pipelines.enums import Decoding
from pipelines.fast_decoding import FastDecoding, facts_hash
from pipelines.release import Release
from pipelines.spec import PipelineSpec
from server.errors import RefusedPipelineError


def require(release: Release, repository: Path) -> None:
    """Checks the gate's record, where the profile decodes by `fast`.

    Raises:
        RefusedPipelineError: there is no record, or it is of other artefacts or facts, or did not
            pass.
    """
    spec = release.spec
    if spec.preprocessing.decoding is not Decoding.FAST:
        return
    path = FastDecoding.path(spec, repository)
    try:
        record = FastDecoding.read(spec, repository)
    except FileNotFoundError:
        raise _refused(spec, f"{path}: missing: its gate was never passed") from None
    except (OSError, ValueError):
        raise _refused(spec, f"{path}: cannot be read") from None
    served = {member: release.artefact_sha256(member) for member in release.members}
    if record.artefacts != served or record.facts != facts_hash(spec):
        raise _refused(spec, f"{path}: of other artefacts or facts than are served now")
    if not record.passed:
        lost = "; ".join(text for text, kept in record.verdicts().items() if not kept)
        raise _refused(spec, f"{path}: not passed: {lost}")


def _refused(spec: PipelineSpec, problem: str) -> RefusedPipelineError:
    return RefusedPipelineError(
        f"{spec.name}: profile {spec.profile} decodes by `fast`: {problem}: run python -m "
        f"export.fast_decoding {spec.name} --profile {spec.profile} --photos DIR, or serve "
        "another profile"
    )
