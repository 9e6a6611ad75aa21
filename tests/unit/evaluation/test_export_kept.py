"""`export-kept`: kept images as a labelled set that an evaluation reads."""

import csv
import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from evaluation import coco_labels, labels
from tests.unit.evaluation.test_feedback_run import OBJECT, case, right, said  # noqa: F401

JPEG = b"\xff\xd8\xff\xe0 a photo"
CLASSES = ["circle", "square"]


@pytest.fixture
def kept(case, service):  # noqa: F811 - the fixture
    def add(*feedback, content=JPEG, **answer):
        name = case(*feedback, **answer)
        service.cases[-1]["image_kept"] = True
        if content:
            service.images[name] = content
        return name

    return add


def export(evaluate, pipeline="lesions"):
    return evaluate("export-kept", pipeline, "set")


def test_a_classifications_set_is_one_that_an_evaluation_reads(kept, case, evaluate, tmp_path):  # noqa: F811
    sick, well = kept(right("cancer"), **said("healthy")), kept(right("healthy"), **said("healthy"))
    kept(**said("cancer"))
    kept(("before", "cancer"), **said("cancer"))
    case(right("cancer"), **said("cancer"))
    status, output, _ = export(evaluate)
    assert (status, output) == (0, "2 images written to set\n")
    found = labels.read(tmp_path / "set" / "labels.csv", ["healthy", "cancer"])
    assert [(photo.file.name, photo.label) for photo in found] == [
        (f"{sick}.jpg", "cancer"),
        (f"{well}.jpg", "healthy"),
    ]
    assert {photo.file.read_bytes() for photo in found} == {JPEG}


def test_a_class_may_have_a_slash_in_its_name(kept, evaluate, service, tmp_path, monkeypatch):
    from tests.unit.evaluation import service as module  # noqa: PLC0415

    monkeypatch.setitem(
        module.PIPELINES, "lesions", ("classification", ["a/b", "c"], "c", module.THRESHOLD)
    )
    kept(right("a/b"), **said("c"))
    export(evaluate)
    with (tmp_path / "set" / "labels.csv").open(encoding="utf-8", newline="") as rows:
        assert [row["label"] for row in csv.DictReader(rows)] == ["a/b"]


def test_a_detectors_set_is_one_that_an_evaluation_reads(kept, evaluate, tmp_path):
    pixels = np.zeros((100, 100), np.uint8)
    pixels[:40, :40] = 1
    counts = coco_mask.encode(np.asfortranarray(pixels))["counts"].decode("ascii")
    masked = OBJECT | {"mask": {"size": [100, 100], "counts": counts}}
    answer = {"pipeline": "outlines", "detections": [], "image": {"width": 100, "height": 100}}
    with_object, empty = kept(right([masked]), **answer), kept(right([]), **answer)
    status, output, _ = export(evaluate, "outlines")
    assert (status, output) == (0, "2 images written to set\n")
    found = coco_labels.read(tmp_path / "set" / "labels.json", None, CLASSES, masks=True)
    assert [photo.file.stem for photo in found] == [with_object, empty]
    (only,) = found[0].objects
    assert (only.label, only.box, found[1].objects) == ("circle", (0, 0, 40, 40), [])
    assert coco_mask.area(only.mask) == 1600
    assert json.loads((tmp_path / "set" / "labels.json").read_text())["annotations"][0]["bbox"] == [
        0, 0, 40, 40
    ]  # fmt: skip


def test_an_image_that_was_deleted_meanwhile_is_counted(kept, evaluate):
    kept(right("cancer"), **said("cancer"))
    kept(right("cancer"), content=None, **said("cancer"))
    status, output, _ = export(evaluate)
    assert (status, output) == (1, "1 images written to set; 1 were deleted meanwhile\n")


def test_without_kept_images_nothing_is_written_and_the_way_is_told(case, evaluate, tmp_path):  # noqa: F811
    case(right("cancer"), **said("cancer"))
    status, _, errors = export(evaluate)
    assert status == 2
    assert "no kept image has feedback" in errors
    assert "keep_images" in errors
    assert not (tmp_path / "set").exists()


def test_what_is_no_image_ends_it_and_leaves_nothing(kept, evaluate, tmp_path):
    kept(right("cancer"), content=b"text", **said("cancer"))
    status, _, errors = export(evaluate)
    assert status == 2
    assert "is no image" in errors
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_not_written_into(kept, evaluate, tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "file").touch()
    kept(right("cancer"), **said("cancer"))
    status, _, errors = export(evaluate)
    assert status == 2
    assert "set: is there already" in errors
