"""Photos that a release's reference for typicality was made of: none may be evaluated on."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from secondopinion import Pipeline

from evaluation.errors import EvaluationError, some
from pipelines.derived import REFERENCE_PHOTOS_KEY, short_digest
from pipelines.release import Release, ReleaseError
from pipelines.typicality import reference_path


def require_apart(pipeline: Pipeline, files: Sequence[Path], repository: Path) -> bool:
    """Compares photos with those of the reference that the service judges by.

    Returns:
        Whether they could be compared: the release lies in the repository.

    Raises:
        EvaluationError: one is among the reference's photos.
    """
    try:
        release = Release.read(pipeline.name, pipeline.release or "", repository)
        if release.reference is None:
            return True
        path = repository / reference_path(pipeline.name, release.reference.sha256)
        with np.load(path, allow_pickle=False) as arrays:
            known = set(arrays[REFERENCE_PHOTOS_KEY].tolist())
    except (OSError, ValueError, LookupError, ReleaseError):
        return False
    digests = {file: content_digest(file) for file in files}
    shared = [file for file, each in digests.items() if each and short_digest(each) in known]
    if shared:
        raise EvaluationError(
            f"{len(shared)} photos are among those that the release's reference was made of, so "
            f"they would hide false alarms: {some([str(file) for file in shared])}; take them out, "
            "or make the reference without them (python -m export --reference)"
        )
    return True


def content_digest(file: Path) -> str | None:
    """SHA-256 of its content; None of one that cannot be read: it is named when its turn comes."""
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError:
        return None
