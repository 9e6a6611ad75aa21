"""`secondopinion predict` with a detector: its table, its lines and its pictures."""

import json
from pathlib import Path

import pytest
from secondopinion._pictures import Pictures

from client.tests import documents
from client.tests.service import PHOTO

DETECTOR = ["--pipeline", "object_detection"]


@pytest.fixture
def folder(tmp_path):
    photos = tmp_path / "photos"
    (photos / "sub").mkdir(parents=True)
    (photos / "a.jpg").write_text(PHOTO + "found circle 0.9 square 0.754")
    (photos / "b.jpg").write_text(PHOTO + "found" + " circle 0.9" * 6)
    (photos / "sub" / "a.png").write_text(PHOTO + "found")
    return photos


def test_the_table_has_counts_and_the_best_detections(command, folder):
    result = command("predict", folder, *DETECTOR)
    assert result.exit_code == 0
    header, a, b, none = result.stdout.splitlines()
    assert header.split() == ["file", "count", "detections"]
    assert a.rstrip().split(maxsplit=2)[1:] == ["2", "circle 0.90, square 0.75"]
    assert b.rstrip().endswith("circle 0.90, circle 0.90, circle 0.90, circle 0.90, 2 more")
    assert none.split() == [str(folder / "sub/a.png"), "0"]


def test_a_bad_photo_among_detections_is_a_failed_row(command, folder):
    (folder / "c.jpg").write_text(PHOTO + "bad")
    result = command("predict", folder, *DETECTOR)
    assert result.exit_code == 1
    assert [str(folder / "c.jpg"), "failed"] in [x.split() for x in result.stdout.splitlines()]


def test_pictures_mirror_the_folders_and_json_names_them(command, folder, tmp_path):
    drawn = tmp_path / "drawn"
    result = command("predict", folder, *DETECTOR, "--visualization", drawn, "--json")
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    names = [Path("a.png"), Path("b.png"), Path("sub/a.png")]
    assert [line["visualization"] for line in lines] == [str(drawn / name) for name in names]
    assert sorted(p.relative_to(drawn) for p in drawn.rglob("*.*")) == names
    assert {path.read_bytes() for path in drawn.rglob("*.png")} == {documents.PICTURE}


def test_without_a_directory_no_picture_is_asked_for(command, folder, service):
    assert command("predict", folder, *DETECTOR).exit_code == 0
    assert [seen.query for seen in service.asked] == [{}] * 3


@pytest.mark.parametrize("place", ["", "drawn", "sub"])
def test_pictures_do_not_go_among_the_photos(command, folder, service, place):
    result = command("predict", folder, *DETECTOR, "--visualization", folder / place)
    assert result.exit_code == 2
    assert "name a folder of their own" in result.stderr
    assert not service.seen
    alone = command("predict", folder / "a.jpg", *DETECTOR, "--visualization", folder)
    assert alone.exit_code == 2


def test_photos_of_one_name_get_different_pictures():
    photos = [Path("in", name) for name in ("a.jpg", "a.TIF", "A.bmp", "a.jpg.png", "b.jpg")]
    pictures = Pictures(Path("out"), photos, [Path("in")])
    assert [str(pictures.path(photo)) for photo in photos] == [
        "out/a.jpg.png",
        "out/a.TIF.png",
        "out/A.bmp.png",
        "out/a.jpg.png.png",
        "out/b.png",
    ]


def test_photos_named_one_by_one_are_mirrored_from_their_common_folder():
    photos = [Path("x/1/a.jpg"), Path("y/../x/2/a.jpg")]
    pictures = Pictures(Path("out"), photos, [])
    assert [str(pictures.path(photo)) for photo in photos] == ["out/1/a.png", "out/2/a.png"]


def test_polygons_are_asked_for(command, folder):
    result = command("predict", folder, "--pipeline", "cervical_lesions", "--polygons", "--json")
    first = json.loads(result.stdout.splitlines()[0])
    assert first["predictions"][0]["polygons"] == [[0.0, 5.5, 8.0, 5.5, 8.0, 15.5]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--advanced", *DETECTOR], "no members to compare"),
        (["--visualization", "drawn"], "nothing to draw"),
        (["--explain", "--json", *DETECTOR], "does not show where it looked"),
        (["--explain"], "--json"),
        (["--explain", "--out", "results.csv"], "--out FILE.jsonl"),
    ],
)
def test_what_a_pipeline_has_no_answer_to_is_said_before_a_photo_is_sent(
    command, folder, service, words, said
):
    result = command("predict", folder, *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not service.asked


def test_the_pipelines_are_listed_with_task_and_precision(command):
    listed = command("pipelines").stdout
    assert "segmentation" in listed
    assert "yolos (fp32), yolos_int8 (int8, on request)" in listed
