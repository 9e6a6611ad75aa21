"""Whether an image is of the kind that the models learnt from, as types."""

from msgspec import Struct


class ImageKind(Struct, frozen=True, kw_only=True):
    """What the service says of the kind of an image.

    Attributes:
        typical: False where the image is not of the kind that the models learnt from: then do not
            rely on the answer. None where nothing judges it.
        typicality: The share of images of the models' kind that are as unusual, at most, 0 to 1;
            None where nothing judges it.
        views: What was compared with the reference photos: `picture`, `features`.
        recommendation: What the pipeline advises for an image that is not typical, else None.
        reason: Why nothing judges it, else None.
    """

    typical: bool | None = None
    typicality: float | None = None
    views: tuple[str, ...] = ()
    recommendation: str | None = None
    reason: str | None = None


class TypicalityFacts(Struct, frozen=True, kw_only=True):
    """How a pipeline tells images of another kind.

    Attributes:
        false_alarms: The share of images of the models' kind that is flagged at most, 0 to 1.
        views: What is compared with the reference photos: `picture`, `features`.
        reference: SHA-256 of what was fitted to the reference photos.
        photos: How many reference photos there are.
        photos_sha256: SHA-256 over those of the photos.
    """

    false_alarms: float
    views: tuple[str, ...] = ()
    reference: str | None = None
    photos: int | None = None
    photos_sha256: str | None = None
