"""Chooses the reference for typicality that a release serves, among those of the repository."""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import ValidationError

from inference.reference_view import UnfitReferenceError
from inference.typicality import Reference
from pipelines import atomic_write
from pipelines.manifest import Manifest, sha256_of
from pipelines.release import ReleaseError
from pipelines.spec import PipelineSpec
from pipelines.typicality import ReferenceOrigin, ReleasedReference, reference_files, reference_path


def origin_of(
    spec: PipelineSpec, manifest: Manifest | None, photos: int, photos_sha256: str
) -> ReferenceOrigin:
    """What a reference that is made now says of itself.

    Args:
        spec: under the profile that it is made for.
        manifest: of the member whose features it has; None: the picture's statistics alone.
        photos: how many it is made of.
        photos_sha256: over the photos' own, sorted.
    """
    return ReferenceOrigin(
        pipeline=spec.name,
        photos=photos,
        photos_sha256=photos_sha256,
        preprocessing_sha256=spec.picture_hash,
        checkpoint_sha256=None if manifest is None else manifest.checkpoint_sha256,
        precision=None if manifest is None else spec.members[manifest.member].precision,
    )


def publish(reference: Reference, repository: Path) -> str:
    """Writes a reference, whose `about` is a `ReferenceOrigin`, to the place of its content.

    Returns:
        SHA-256 of its file.
    """
    origin = ReferenceOrigin.model_validate(reference.about)
    content = reference.content()
    sha256 = hashlib.sha256(content).hexdigest()
    atomic_write.write_bytes(repository / reference_path(origin.pipeline, sha256), content)
    return sha256


def choose(
    spec: PipelineSpec,
    manifests: Mapping[str, Manifest],
    repository: Path,
    *,
    published: Collection[str],
    serving: ReleasedReference | None,
) -> ReleasedReference | None:
    """The reference of a release made now; None where none fits.

    One with features of the member goes before one without. Of several the one that was just
    published is taken, else the one that serves, so that a roll back stays one, else the newest.
    A file that cannot be read, as of an earlier version, matters only where no other one fits.

    Args:
        spec: of the release.
        manifests: of its members.
        repository: the model repository.
        published: SHA-256 of references that have just been published.
        serving: what the release that serves names.

    Raises:
        ReleaseError: none fits, and a reference's file cannot be read.
    """
    if spec.typicality is None:
        return None
    there: list[ReleasedReference] = []
    unreadable: list[ReleaseError] = []
    for path in reference_files(spec.name, repository):
        try:
            there.append(_released(path))
        except ReleaseError as error:
            unreadable.append(error)
    fitting = [each for each in there if _fits(each.origin, spec, manifests)]
    if not fitting and unreadable:
        raise unreadable[0]

    def rank(each: ReleasedReference) -> tuple[bool, bool, bool]:
        return (
            each.origin.checkpoint_sha256 is None,
            each.sha256 not in published,
            serving is None or each.sha256 != serving.sha256,
        )

    return min(fitting, key=rank, default=None)


def _released(path: Path) -> ReleasedReference:
    try:
        origin = ReferenceOrigin.model_validate(Reference.load(path).about)
    except (UnfitReferenceError, ValidationError) as error:
        raise ReleaseError(f"{path}: no reference for typicality: remove it") from error
    return ReleasedReference(sha256=sha256_of(path), origin=origin)


def _fits(origin: ReferenceOrigin, spec: PipelineSpec, manifests: Mapping[str, Manifest]) -> bool:
    if (origin.pipeline, origin.preprocessing_sha256) != (spec.name, spec.picture_hash):
        return False
    if origin.checkpoint_sha256 is None:
        return True
    member = spec.typicality.member if spec.typicality else None
    return member is not None and (
        (origin.checkpoint_sha256, origin.precision)
        == (manifests[member].checkpoint_sha256, spec.members[member].precision)
    )
