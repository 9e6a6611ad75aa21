"""Writes the images that a service kept, with the labels of their feedback, as a labelled set."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secondopinion import Case, Client, NotFoundError, Pipeline

from evaluation.errors import EvaluationError
from evaluation.feedback_cases import fetch, label_of
from evaluation.feedback_report import box_of
from evaluation.labels import FILE, LABEL
from pipelines.formats import sniff

IMAGES, TABLE, INSTANCES = "images", "labels.csv", "labels.json"
"""Names within a set: the folder of the images, and their labels; COCO instances of a detector."""


@dataclass(frozen=True)
class Exported:
    """How many images were written, and how many labelled ones could not be had.

    Attributes:
        gone: Were deleted, or their time was over, between the list and the question.
    """

    written: int
    gone: int


def export(client: Client, pipeline: Pipeline, folder: Path) -> Exported:
    """Writes a set that `python -m evaluation PIPELINE` reads.

    Its labels are in `labels.csv`, of a detector in `labels.json` (COCO instances), beside the
    folder `images`. Files are named by their predictions' ids.

    Args:
        client: The service.
        pipeline: What it says of the pipeline.
        folder: An empty folder.

    Raises:
        EvaluationError: No kept image has a label, or one is no image of a known format.
        SecondOpinionError: The service is gone, or the key may not ask.
    """
    cases = [
        case
        for case in fetch(client, pipeline.name, unlabelled=False)
        if case.image_kept and label_of(case) is not None
    ]
    if not cases:
        raise EvaluationError(
            f"{pipeline.name}: no kept image has feedback. Images are kept where the pipeline's "
            "YAML says `keep_images` and the request consents (docs/feedback.md)"
        )
    write = _detector if pipeline.detects else _classifier
    written = write(client, pipeline, cases, folder)
    return Exported(written, len(cases) - written)


def _classifier(client: Client, pipeline: Pipeline, cases: Sequence[Case], folder: Path) -> int:
    (folder / IMAGES).mkdir()
    rows = []
    for case, content in _images(client, cases):
        label = label_of(case)
        name = label.label if label else None
        if name not in pipeline.classes:
            raise EvaluationError(f"{pipeline.name}: a label is none of its classes: {name}")
        file = _file_name(case, content)
        (folder / IMAGES / file).write_bytes(content)
        rows.append([f"{IMAGES}/{file}", name])
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines).writerows([[FILE, LABEL], *rows])
    return len(rows)


def _detector(client: Client, pipeline: Pipeline, cases: Sequence[Case], folder: Path) -> int:
    categories = {name: index for index, name in enumerate(pipeline.classes, 1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    (folder / IMAGES).mkdir()
    for case, content in _images(client, cases):
        if case.image is None:
            raise EvaluationError(f"{case.prediction_id}: the service did not record its size")
        name = _file_name(case, content)
        (folder / IMAGES / name).write_bytes(content)
        image = len(images) + 1
        images.append(
            {
                "id": image,
                "file_name": f"{IMAGES}/{name}",
                "width": case.image.width,
                "height": case.image.height,
            }
        )
        label = label_of(case)
        for each in (label.objects if label else None) or ():
            if each.class_name not in categories:
                raise EvaluationError(
                    f"{pipeline.name}: a label is none of its classes: {each.class_name}"
                )
            x1, y1, x2, y2 = box_of(each)
            annotation: dict[str, Any] = {
                "id": len(annotations) + 1,
                "image_id": image,
                "category_id": categories[each.class_name],
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
            }
            if each.mask is not None:
                annotation["segmentation"] = {
                    "size": list(each.mask.size),
                    "counts": each.mask.counts,
                }
            annotations.append(annotation)
    document = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": index, "name": name} for name, index in categories.items()],
    }
    (folder / INSTANCES).write_text(json.dumps(document), "utf-8")
    return len(images)


def _images(client: Client, cases: Sequence[Case]) -> Iterator[tuple[Case, bytes]]:
    """Those that can still be had."""
    for case in cases:
        try:
            yield case, client.kept_image(case.prediction_id)
        except NotFoundError:
            continue


def _file_name(case: Case, content: bytes) -> str:
    if (found := sniff(content)) is None:
        raise EvaluationError(f"{case.prediction_id}: what the service kept is no image")
    return f"{case.prediction_id}{found.suffixes[0]}"
