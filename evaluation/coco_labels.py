"""Labelled photos of a detector: a COCO instances file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pycocotools import mask as coco_mask
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evaluation.errors import EvaluationError, some
from evaluation.labels import check_classes, check_files
from evaluation.metrics.objects import Rle, Truth

_SHOWN_PROBLEMS = 3
_CORNERS = 6  # numbers of the smallest polygon, a triangle


_Polygon = Annotated[list[float], Field(min_length=_CORNERS)]


@dataclass(frozen=True)
class AnnotatedPhoto:
    """A photo, its size in pixels as it was labelled, its objects, and the columns asked for."""

    file: Path
    width: int
    height: int
    objects: list[Truth]
    columns: Mapping[str, str] = field(default_factory=dict)


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Image(_Part):
    model_config = ConfigDict(extra="allow", frozen=True)

    id: int
    file_name: str
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]


class _CodedMask(_Part):
    size: Annotated[list[int], Field(min_length=2, max_length=2)]
    counts: list[int] | str


class _Annotation(_Part):
    id: int
    image_id: int
    category_id: int
    bbox: Annotated[list[float], Field(min_length=4, max_length=4)]
    segmentation: list[Annotated[list[float], Field(min_length=_CORNERS)]] | _CodedMask | None = (
        None
    )
    iscrowd: bool = False


class _Category(_Part):
    id: int
    name: str


class _Instances(_Part):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def read(
    labels: Path,
    images: Path | None,
    classes: Sequence[str],
    *,
    masks: bool,
    columns: Sequence[str] = (),
) -> list[AnnotatedPhoto]:
    """Reads and checks a COCO instances file.

    Args:
        labels: The JSON; its `file_name`s are relative to `images`, else to its own folder.
        images: Folder of the photos.
        classes: The names that a category with objects may have.
        masks: Whether every object needs a segmentation; without, it is not read.
        columns: Further keys of each entry of `images` to read; others are passed over.

    Returns:
        The photos in the file's order. One without objects counts: what is found in it is false.

    Raises:
        EvaluationError: Something is missing, unknown, doubled or not readable.
    """
    instances = _parse(labels)
    names = {category.id: category.name for category in instances.categories}
    sizes = {image.id: image for image in instances.images}
    if not sizes:
        raise EvaluationError(f"{labels}: lists no images; `images` names the photos")
    if len(sizes) < len(instances.images):
        raise EvaluationError(f"{labels}: two images have the same id; give each its own")
    objects: dict[int, list[Truth]] = {image: [] for image in sizes}
    for each in instances.annotations:
        if each.image_id not in sizes or each.category_id not in names:
            raise EvaluationError(
                f"{labels}: annotation {each.id} is of an image or a category that is not listed"
            )
        objects[each.image_id].append(
            _object(labels, each, names[each.category_id], sizes[each.image_id], masks=masks)
        )
    check_classes(labels, (each.label for image in objects.values() for each in image), classes)
    folder = images or labels.parent
    check_files(labels, [folder / image.file_name for image in sizes.values()])
    return [
        AnnotatedPhoto(
            folder / image.file_name,
            image.width,
            image.height,
            objects[image.id],
            _columns(labels, image, columns),
        )
        for image in sizes.values()
    ]


def _columns(labels: Path, image: _Image, columns: Sequence[str]) -> dict[str, str]:
    said = image.model_extra or {}
    if missing := [name for name in columns if name not in said]:
        raise EvaluationError(f"{labels}: image {image.id} has no {' and no '.join(missing)}")
    return {name: str(said[name]) for name in columns}


def _parse(labels: Path) -> _Instances:
    try:
        return _Instances.model_validate_json(labels.read_bytes())
    except OSError as error:
        raise EvaluationError(
            f"{labels}: {error.strerror}; a detector's labels are a COCO instances JSON"
        ) from error
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, problem['loc'])) or 'file'}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        ]
        raise EvaluationError(
            f"{labels}: is not a COCO instances JSON: {some(problems, _SHOWN_PROBLEMS)}"
        ) from error


def _object(labels: Path, each: _Annotation, name: str, image: _Image, *, masks: bool) -> Truth:
    x, y, width, height = each.bbox
    if masks and not each.segmentation:
        raise EvaluationError(
            f"{labels}: annotation {each.id} has no segmentation; masks can only be measured "
            "where every object has one"
        )
    mask = None
    if masks:
        try:
            mask = _mask(each.segmentation, image)
        except ValueError as error:
            raise EvaluationError(f"{labels}: annotation {each.id}: {error}") from error
    return Truth(name, (x, y, x + width, y + height), mask, crowd=each.iscrowd)


def _mask(segmentation: list[list[float]] | _CodedMask | None, image: _Image) -> Rle:
    coded: Any
    if isinstance(segmentation, _CodedMask):
        if segmentation.size != [image.height, image.width]:
            raise ValueError("the mask's size is not that of its image")
        coded = segmentation.model_dump()
        if isinstance(segmentation.counts, list):
            coded = coco_mask.frPyObjects(coded, image.height, image.width)
    else:
        parts = coco_mask.frPyObjects(segmentation, image.height, image.width)
        coded = coco_mask.merge(parts)
    counts = coded["counts"]
    return {
        "size": [image.height, image.width],
        "counts": counts.decode("ascii") if isinstance(counts, bytes) else counts,
    }
