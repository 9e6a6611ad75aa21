"""Reading a detector's labels."""

import json

import pytest
from pycocotools import mask as coco_mask

from evaluation.coco_labels import read
from evaluation.errors import EvaluationError

CLASSES = ["circle", "square"]
SQUARE = [10, 20, 40, 20, 40, 60, 10, 60]


def instances(**changes):
    document = {
        "info": {"year": 2024},
        "images": [{"id": 7, "file_name": "a.jpg", "width": 100, "height": 80}],
        "annotations": [annotation()],
        "categories": [{"id": 3, "name": "square"}, {"id": 9, "name": "unused star"}],
    }
    return document | changes


def annotation(**changes):
    said = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [10, 20, 30, 40], "area": 1200}
    return said | {"segmentation": [SQUARE], "iscrowd": 0} | changes


@pytest.fixture
def labels(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"photo")

    def write(document):
        file = tmp_path / "instances.json"
        file.write_text(document if isinstance(document, str) else json.dumps(document))
        return file

    return write


def test_boxes_become_corners_and_categories_become_classes(labels):
    (photo,) = read(labels(instances()), None, CLASSES, masks=False)
    assert (photo.file.name, photo.width, photo.height) == ("a.jpg", 100, 80)
    (square,) = photo.objects
    assert (square.label, square.box, square.mask) == ("square", (10, 20, 40, 60), None)


@pytest.mark.parametrize(
    "segmentation",
    [
        [SQUARE],
        [SQUARE[:6], [10, 20, 40, 60, 10, 60]],
        {"size": [80, 100], "counts": [10 * 80 + 20] + [40, 40] * 29 + [40, 60 * 80 + 20]},
    ],
    ids=["polygon", "two polygons", "run lengths"],
)
def test_every_form_of_a_mask_is_read(labels, segmentation):
    document = instances(annotations=[annotation(segmentation=segmentation)])
    (photo,) = read(labels(document), None, CLASSES, masks=True)
    mask = photo.objects[0].mask
    assert coco_mask.area(mask) == pytest.approx(1200, rel=0.05)
    assert coco_mask.toBbox(mask).tolist() == pytest.approx([10, 20, 30, 40], abs=1)
    again = instances(annotations=[annotation(segmentation=mask)])
    (same,) = read(labels(again), None, CLASSES, masks=True)
    assert same.objects[0].mask == mask


def test_a_photo_without_objects_counts(labels):
    (photo,) = read(labels(instances(annotations=[])), None, CLASSES, masks=True)
    assert photo.objects == []


def test_photos_may_lie_in_another_folder(labels, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "a.jpg").rename(tmp_path / "photos" / "a.jpg")
    (photo,) = read(labels(instances()), tmp_path / "photos", CLASSES, masks=False)
    assert photo.file.is_file()


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("{", "is not a COCO instances JSON: file: Invalid JSON"),
        ({"images": []}, "annotations: Field required"),
        (instances(images=[]), "lists no images"),
        (instances(images=instances()["images"] * 2), "two images have the same id"),
        (instances(annotations=[annotation(image_id=8)]), "annotation 1 is of an image"),
        (instances(annotations=[annotation(category_id=9)]), "no class 'unused star'"),
        (instances(annotations=[annotation(bbox=[1, 2, 3])]), "annotations.0.bbox"),
        (instances(annotations=[annotation(segmentation=None)]), "1 has no segmentation"),
        (
            instances(annotations=[annotation(segmentation={"size": [9, 9], "counts": [81]})]),
            "annotation 1: the mask's size is not that of its image",
        ),
    ],
)
def test_what_is_wrong_is_named(labels, document, says):
    with pytest.raises(EvaluationError, match=says):
        read(labels(document), None, CLASSES, masks=True)


def test_a_photo_that_is_not_there_is_named(labels, tmp_path):
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(EvaluationError, match=r"1 of 1 photos are not there: .*a.jpg"):
        read(labels(instances()), None, CLASSES, masks=False)


def test_a_table_is_no_labels_of_a_detector(tmp_path):
    with pytest.raises(EvaluationError, match="labels are a COCO instances JSON"):
        read(tmp_path / "nowhere.json", None, CLASSES, masks=False)
