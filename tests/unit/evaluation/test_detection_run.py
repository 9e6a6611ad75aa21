"""`python -m evaluation` of detectors, against a small service."""

import json

import pytest

CATEGORIES = [{"id": 1, "name": "circle"}, {"id": 2, "name": "square"}]
PHOTOS = {
    "a.jpg": ([["circle", 0.9, 10, 10, 50, 50]], [("circle", 10, 10, 50, 50)]),
    "b.jpg": (
        [["square", 0.8, 0, 0, 40, 40], ["circle", 0.2, 50, 50, 90, 90]],
        [("square", 0, 0, 40, 40), ("circle", 50, 50, 90, 90)],
    ),
    "c.jpg": ([["circle", 0.6, 0, 0, 20, 20]], []),
}


def label_set(folder, photos=PHOTOS, side=100):
    folder.mkdir(exist_ok=True)
    images, annotations = [], []
    for number, (file, (answer, objects)) in enumerate(photos.items(), 1):
        (folder / file).write_text(json.dumps(answer))
        images.append({"id": number, "file_name": file, "width": side, "height": side})
        for label, x1, y1, x2, y2 in objects:
            annotations.append({
                "id": len(annotations) + 1,
                "image_id": number,
                "category_id": 1 if label == "circle" else 2,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "segmentation": [[x1, y1, x2, y1, x2, y2, x1, y2]],
            })  # fmt: skip
    document = {"images": images, "annotations": annotations, "categories": CATEGORIES}
    (folder / "instances.json").write_text(json.dumps(document))
    return folder / "instances.json"


def report(folder):
    return json.loads((folder / "report.json").read_text())


def test_a_detector_is_asked_for_low_scores_and_counted_at_its_threshold(
    evaluate, service, tmp_path
):
    status, output, errors = evaluate("objects", label_set(tmp_path / "set"), "--out", "run")
    assert (status, errors) == (0, "")
    assert {query["threshold"] for _, _, query in service.seen} == {"0.05"}
    said = report(tmp_path / "run")
    scores = said["scores"]
    assert (said["task"], said["threshold"], scores["asked_from"]) == ("detection", 0.5, 0.05)
    # From 0.5 on: two hits, the circle of c.jpg is false, that of b.jpg (0.2) is missed.
    assert (scores["hits"], scores["false_alarms"], scores["missed"]) == (2, 1, 1)
    assert scores["precision"] == pytest.approx(2 / 3)
    assert scores["recall"] == pytest.approx(2 / 3)
    # Circles by score: hit, false, hit. Precision 1 up to a recall of 0.5 (51 levels), then 2/3.
    circles = (51 + 50 * 2 / 3) / 101
    assert scores["boxes"]["classes"]["circle"]["at_50"] == pytest.approx(circles)
    assert scores["boxes"]["at_50"] == pytest.approx((circles + 1) / 2)
    assert (scores["masks"], scores["mask_iou"]) == (None, None)
    assert [photo["missed"] for photo in said["answers"]] == [0, 1, 0]
    assert "Asked for scores from 0.05" in output
    assert (tmp_path / "run" / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_another_threshold_counts_and_leaves_the_average_precision(evaluate, service, tmp_path):
    labels = label_set(tmp_path / "set")
    evaluate("objects", labels, "--out", "default")
    evaluate("objects", labels, "--threshold", "0.1", "--out", "low")
    default, low = report(tmp_path / "default")["scores"], report(tmp_path / "low")["scores"]
    assert (default["missed"], low["missed"]) == (1, 0)
    assert default["boxes"] == low["boxes"]


def test_a_segmentation_is_measured_by_its_masks_too(evaluate, tmp_path):
    status, output, _ = evaluate("outlines", label_set(tmp_path / "set"), "--out", "run")
    scores = report(tmp_path / "run")["scores"]
    assert status == 0
    assert scores["masks"]["at_50_95"] == pytest.approx(scores["boxes"]["at_50_95"])
    assert scores["mask_iou"] == pytest.approx(1)
    assert "mAP@0.5 of masks" in output


def test_nothing_found_and_nothing_there_is_no_error(evaluate, tmp_path):
    status, output, _ = evaluate(
        "objects", label_set(tmp_path / "set", {"a.jpg": ([], [])}), "--out", "run"
    )
    scores = report(tmp_path / "run")["scores"]
    assert status == 0
    assert (scores["boxes"]["at_50"], scores["precision"]) == (None, None)
    assert "not defined" in output


def test_a_photo_labelled_in_another_size_fails_and_says_why(evaluate, tmp_path):
    labels = label_set(tmp_path / "set")
    document = json.loads(labels.read_text())
    document["images"][0]["width"] = 80
    labels.write_text(json.dumps(document))
    status, _, errors = evaluate("objects", labels, "--out", "run")
    assert status == 1
    assert "a.jpg: labelled as 80 x 100, but upright" in errors
    assert report(tmp_path / "run")["photos"] == 2


def test_a_detector_wants_a_coco_file(evaluate, service, tmp_path):
    (tmp_path / "labels.csv").write_text("file,label\n")
    status, _, errors = evaluate("objects", "labels.csv")
    assert status == 2
    assert "labels.csv: is not a COCO instances JSON" in errors
    assert service.seen == []
