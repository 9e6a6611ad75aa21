"""Makes a pipeline's references for typicality from reference photos, and publishes them."""

import hashlib
from dataclasses import dataclass

from export import reference_photos, references
from export.progress import OnProgress
from export.reference_forms import Form, ReferencePhotosError, forms, require_source
from export.reference_photos import Measured, ReferencePhotos
from export.repository import ModelRepository
from inference.reference_view import UnfitReferenceError
from inference.typicality import Reference
from pipelines.definition import PipelineDefinition


@dataclass(frozen=True)
class Published:
    """References that were made of one folder."""

    sha256: tuple[str, ...]
    """Of each one's file."""
    measured: Measured


def fit(
    whole: PipelineDefinition,
    repository: ModelRepository,
    given: ReferencePhotos,
    on_progress: OnProgress,
) -> Published:
    """Makes and publishes a reference for each precision that the member is published in.

    Formats of one checkpoint in one precision give the same features, and share a reference.

    Args:
        whole: the pipeline.
        repository: has its versions.
        given: `reference_photos.find`.
        on_progress: told of each photo.

    Raises:
        ReferencePhotosError: as `require_source`, or the photos cannot be fitted.
    """
    require_source(whole, repository)
    found = forms(whole, repository)
    measured = reference_photos.measure(given, whole, found, on_progress)
    fitted: list[Form | None] = [*found] or [None]
    made = [make(measured, whole, form) for form in fitted]
    return Published(tuple(references.publish(each, repository.root) for each in made), measured)


def make(measured: Measured, whole: PipelineDefinition, form: Form | None) -> Reference:
    """The reference of one form; None: of the picture's statistics alone.

    Raises:
        ReferencePhotosError: the numbers cannot be fitted.
    """
    digests = sorted(measured.digests)
    origin = references.origin_of(
        whole,
        form.manifest if form else None,
        len(digests),
        hashlib.sha256("".join(digests).encode()).hexdigest(),
    )
    features = measured.features[form.name] if form else None
    try:
        about = origin.model_dump(mode="json")
        return Reference.fit(measured.statistics, features, about, measured.digests)
    except UnfitReferenceError as error:
        of = form.name if form else "the picture's statistics"
        raise ReferencePhotosError(f"{whole.name}: {of}: {error}") from None
