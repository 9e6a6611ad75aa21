"""Opens the reference that a decision step judges typicality by. Runs in Triton."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import triton_python_backend_utils as pb_utils

from inference.reference_view import UnfitReferenceError
from inference.rules import Spec
from inference.typicality import Judge, Reference
from pipelines.protocol import ConfigOverride


def judge_of(spec: Spec, given: Mapping[str, str], args: Mapping[str, str]) -> Judge | None:
    """The judge of the release that is served; None where it has no reference.

    Args:
        spec: the served one.
        given: the config's parameters; the launcher's `reference` says which file it is.
        args: the backend's, which say where the decision model's folder is.

    Raises:
        pb_utils.TritonModelException: the file is missing, or not the one that is named.
    """
    if ConfigOverride.REFERENCE not in given or spec.get("typicality") is None:
        return None
    named = json.loads(given[ConfigOverride.REFERENCE])
    path = Path(args["model_repository"]).parent / named["file"]
    try:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != named["sha256"]:
            raise pb_utils.TritonModelException(f"{path}: is not the reference of this release")
        reference = Reference.from_bytes(data)
    except (OSError, UnfitReferenceError) as error:
        raise pb_utils.TritonModelException(f"{path}: cannot be read: {error}") from None
    return Judge(reference, float(spec["typicality"]["false_alarms"]))


def featured_member(spec: Spec, judge: Judge | None) -> str | None:
    """The member whose features are compared; None where none has any."""
    if judge is None or judge.reference.features is None:
        return None
    member: str | None = spec["typicality"]["member"]
    return member
