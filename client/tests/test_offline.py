"""`secondopinion predict DIR --out FILE`: rows, what is asked again, and what is refused."""

import csv
import json
import os
import sys

import pytest
from secondopinion._results import columns

from client.tests.service import PHOTO, problem


def read(path):
    """The rows of results, by file, in whatever format; a file that is there twice is an error."""
    if path.suffix == ".parquet":
        import pyarrow.parquet  # noqa: PLC0415 - only where there is such a file

        rows = pyarrow.parquet.read_table(path).to_pylist()
    elif path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    else:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    files = [row["file"] for row in rows]
    assert len(files) == len(set(files))
    return dict(zip(files, rows, strict=True))


@pytest.fixture
def folder(tmp_path):
    photos = tmp_path / "photos"
    (photos / "sub").mkdir(parents=True)
    (photos / "a.jpg").write_text(PHOTO + "cancer 0.95")
    (photos / "b.jpg").write_text(PHOTO + "bad")
    (photos / "sub" / "a.jpg").write_text(PHOTO + "healthy 0.9")
    return photos


@pytest.fixture(params=[".csv", ".jsonl", ".parquet"])
def out(request, tmp_path):
    return tmp_path / f"results{request.param}"


@pytest.fixture
def predict(command, folder, tmp_path):
    """Runs it over the folder, to results.jsonl unless said otherwise."""

    def run(*words, out=tmp_path / "results.jsonl"):
        return command("predict", folder, "--out", out, *words)

    return run


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results.jsonl"


def test_each_photo_has_a_row_and_nothing_goes_to_standard_output(predict, out):
    result = predict(out=out)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert f"{out}: 2 answered, 1 failed" in result.stderr
    rows = read(out)
    assert list(rows) == ["a.jpg", "b.jpg", "sub/a.jpg"]
    assert rows["a.jpg"]["prediction"] == "cancer"
    assert float(rows["a.jpg"]["confidence"]) == 0.95
    assert len(rows["a.jpg"]["sha256"]) == 64


@pytest.mark.parametrize("out", [".csv", ".parquet"], indirect=True)
def test_the_columns_of_a_classifier(predict, out):
    assert predict(out=out).exit_code == 1
    rows = read(out)
    answered, failed = rows["a.jpg"], rows["b.jpg"]
    assert list(answered) == list(columns(detects=False))
    assert (answered["status"], failed["status"]) == ("ok", "failed")
    assert json.loads(answered["probabilities"]) == {"cancer": 0.95, "healthy": 0.05}
    assert float(answered["threshold"]) == 0.5
    assert (answered["pipeline"], answered["release"]) == ("oral_cancer", "1-3fa9c2d1")
    assert failed["error"] == "image_undecodable"
    assert failed["detail"] == "file: no image. Send a JPEG or a PNG."
    assert failed["request_id"] == "5f0c"
    assert not failed["prediction"]
    assert not answered["uncertainty"]


@pytest.mark.parametrize("out", [".csv", ".parquet"], indirect=True)
def test_whether_an_image_is_typical_is_a_column(predict, folder, out):
    (folder / "a.jpg").write_text(PHOTO + "cancer 0.7 strange")
    predict(out=out)
    rows = read(out)
    assert (rows["a.jpg"]["typical"], rows["sub/a.jpg"]["typical"]) == ("false", "true")
    assert float(rows["a.jpg"]["typicality"]) == 0.002
    assert not rows["b.jpg"]["typical"]


@pytest.mark.parametrize("out", [".csv", ".parquet"], indirect=True)
def test_a_prediction_set_its_coverage_and_whether_it_is_calibrated(predict, folder, out):
    (folder / "a.jpg").write_text(PHOTO + "cancer 0.7 cancer,healthy")
    predict(out=out)
    rows = read(out)
    assert json.loads(rows["a.jpg"]["set"]) == ["cancer", "healthy"]
    assert float(rows["a.jpg"]["coverage"]) == 0.95
    assert (rows["a.jpg"]["calibrated"], rows["sub/a.jpg"]["calibrated"]) == ("true", "false")
    assert not rows["sub/a.jpg"]["set"]


@pytest.mark.parametrize("out", [".csv", ".parquet"], indirect=True)
def test_the_quality_of_a_photo_is_in_its_row(predict, folder, out):
    (folder / "a.jpg").write_text(PHOTO + "cancer 0.7 blurred")
    predict(out=out)
    rows = read(out)
    assert json.loads(rows["a.jpg"]["warnings"]) == ["blurred"]
    assert json.loads(rows["sub/a.jpg"]["warnings"]) == []
    assert json.loads(rows["a.jpg"]["quality"])["sharpness"] == 3.5


@pytest.mark.parametrize("out", [".csv", ".parquet"], indirect=True)
def test_advanced_fills_uncertainty_disagreement_and_opinions(predict, out):
    predict("--advanced", out=out)
    row = read(out)["a.jpg"]
    assert (row["uncertainty"], float(row["disagreement"])) == ("low", 0.04)
    assert json.loads(row["opinions"])["vgg16"]["prediction"] == "cancer"


@pytest.mark.parametrize("out", [".csv", ".parquet"], indirect=True)
def test_the_columns_of_a_detector(predict, folder, out, tmp_path):
    (folder / "a.jpg").write_text(PHOTO + "found circle 0.9 square 0.75")
    (folder / "sub" / "a.jpg").write_text(PHOTO + "found")
    words = ["--pipeline", "object_detection", "--visualization", tmp_path / "drawn"]
    assert predict(*words, out=out).exit_code == 1
    rows = read(out)
    assert list(rows["a.jpg"]) == list(columns(detects=True))
    assert int(rows["a.jpg"]["count"]) == 2
    assert json.loads(rows["a.jpg"]["predictions"])[1]["class"] == "square"
    assert (int(rows["a.jpg"]["width"]), int(rows["a.jpg"]["height"])) == (100, 50)
    assert rows["a.jpg"]["visualization"] == str(tmp_path / "drawn" / "a.png")
    assert (tmp_path / "drawn" / "sub" / "a.png").exists()
    assert int(rows["sub/a.jpg"]["count"]) == 0
    assert rows["sub/a.jpg"]["predictions"] == "[]"


def test_lines_are_what_json_prints_and_hold_no_picture(predict, folder, results, tmp_path):
    (folder / "a.jpg").write_text(PHOTO + "found circle 0.9")
    predict("--pipeline", "object_detection", "--visualization", tmp_path / "drawn")
    rows = read(results)
    assert rows["a.jpg"]["visualization"] == str(tmp_path / "drawn" / "a.png")
    assert rows["a.jpg"]["from_a_newer_service"] == {"unknown": [1, 2, 3]}
    assert rows["b.jpg"]["error"]["status"] == 422


def test_a_second_run_asks_again_only_about_what_failed(predict, folder, service, results):
    predict()
    service.seen.clear()
    (folder / "b.jpg").write_text(PHOTO + "healthy 0.8")
    assert predict().exit_code == 0
    assert [seen.body for seen in service.asked] == [b"BM healthy 0.8"]
    assert read(results)["b.jpg"]["prediction"] == "healthy"
    service.seen.clear()
    assert predict().exit_code == 0
    assert not service.asked


def test_failed_photos_can_be_kept_until_they_change(predict, folder, service):
    predict()
    service.seen.clear()
    assert predict("--keep-failed").exit_code == 1
    assert not service.asked
    (folder / "b.jpg").write_text(PHOTO + "healthy 0.8")
    assert predict("--keep-failed").exit_code == 0
    assert len(service.asked) == 1


def test_a_photo_whose_content_changed_is_asked_again(predict, folder, service, results):
    predict("--keep-failed")
    service.seen.clear()
    status = (folder / "a.jpg").stat()
    (folder / "a.jpg").write_text(PHOTO + "cancer 0.75")
    # Neither its size nor its time tells.
    os.utime(folder / "a.jpg", ns=(status.st_atime_ns, status.st_mtime_ns))
    predict("--keep-failed")
    assert [seen.body for seen in service.asked] == [b"BM cancer 0.75"]
    assert read(results)["a.jpg"]["confidence"] == 0.75


def test_a_photo_that_was_only_touched_or_copied_is_not_asked_again(
    predict, folder, service, results
):
    predict("--keep-failed")
    rows = read(results)
    service.seen.clear()
    for photo in folder.rglob("*.jpg"):
        photo.write_bytes(photo.read_bytes())
    predict("--keep-failed")
    assert not service.asked
    assert read(results) == rows


def test_new_photos_are_added_and_removed_ones_left_out(predict, folder, service, results):
    predict("--keep-failed")
    service.seen.clear()
    (folder / "0.jpg").write_text(PHOTO + "healthy 0.7")
    (folder / "b.jpg").unlink()
    assert predict().exit_code == 0
    assert len(service.asked) == 1
    assert list(read(results)) == ["0.jpg", "a.jpg", "sub/a.jpg"]


def test_a_photo_that_cannot_be_read_has_a_row(predict, folder, results):
    (folder / "gone.jpg").symlink_to(folder / "nowhere")
    assert predict().exit_code == 1
    assert read(results)["gone.jpg"]["error"]["code"] == "file_unreadable"


@pytest.mark.parametrize("out", [".csv", ".parquet", ".jsonl"], indirect=True)
def test_names_that_are_no_unicode_or_hold_commas_and_newlines_have_rows(predict, folder, out):
    names = [os.fsdecode(b"\xff.jpg"), 'x,"y"\n.jpg', "zäh 牙.jpg"]
    for name in names:
        (folder / name).write_text(PHOTO + "cancer 0.9")
    predict(out=out)
    assert len(read(out)) == 6
    assert {'x,"y"\n.jpg', "zäh 牙.jpg"} <= set(read(out))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--pipeline", "object_detection"], "pipeline oral_cancer, now object_detection"),
        (["--threshold", "0.4"], "threshold by default, now 0.4"),
        (["--member", "vgg16"], "member by default, now vgg16"),
        (["--top-k", "2"], "top_k by default, now 2"),
        (["--advanced"], "advanced False, now True"),
    ],
)
def test_another_question_is_refused_before_a_photo_is_sent(
    predict, service, results, words, named
):
    predict()
    before = results.read_bytes()
    service.seen.clear()
    result = predict(*words)
    assert result.exit_code == 2
    assert named in result.stderr
    assert "--restart" in result.stderr
    assert not service.asked
    assert results.read_bytes() == before


def test_another_release_is_refused_unless_all_begins_anew(predict, service, results):
    predict()
    service.release = "2-aaaa"
    refused = predict()
    assert refused.exit_code == 2
    assert "release 1-3fa9c2d1, now 2-aaaa" in refused.stderr
    service.seen.clear()
    predict("--restart")
    assert len(service.asked) == 3
    assert read(results)["a.jpg"]["release"] == "2-aaaa"


def test_a_release_that_changes_during_a_run_is_said_and_stands_in_its_rows(
    predict, folder, results
):
    (folder / "b.jpg").write_text(PHOTO + "release 2-aaaa")
    result = predict("--concurrency", "1")
    assert "the release changed during the run" in result.stderr
    assert "1-3fa9c2d1 (1), 2-aaaa (2)" in result.stderr
    assert [row["release"] for row in read(results).values()] == ["1-3fa9c2d1", *["2-aaaa"] * 2]


def test_a_service_that_goes_away_ends_the_run_and_the_next_one_goes_on(
    predict, folder, service, results
):
    service.replies.append(problem(401, "unauthorized"))
    assert predict("--concurrency", "1").exit_code == 2
    assert read(results) == {}
    assert predict().exit_code == 1
    assert len(read(results)) == 3


def test_results_without_their_journal_are_not_overwritten(predict, results, service):
    results.write_text("mine\n")
    result = predict()
    assert result.exit_code == 2
    assert "without its journal" in result.stderr
    assert results.read_text() == "mine\n"
    assert predict("--restart").exit_code == 1
    assert len(read(results)) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "results.xlsx"], ".csv, .jsonl, .parquet"),
        (["--out", "none/results.csv"], "no such directory"),
        (["--out", "a.csv", "--json"], "leave out --json"),
        (["--restart"], "goes with --out"),
        (["--keep-failed"], "goes with --out"),
    ],
)
def test_a_wrong_combination_is_said_before_anything_is_asked(
    command, folder, service, words, said
):
    result = command("predict", folder, *words)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", "").split())
    assert not service.seen


def test_only_one_directory_goes_to_a_file(command, folder, results):
    for paths in ([folder, folder / "sub"], [folder / "a.jpg"]):
        result = command("predict", *paths, "--out", results)
        assert result.exit_code == 2
        assert "one directory" in result.stderr


def test_without_pyarrow_parquet_names_what_to_install(predict, tmp_path, service, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    result = predict(out=tmp_path / "results.parquet")
    assert result.exit_code == 2
    assert "pip install 'secondopinion[parquet]'" in result.stderr
    assert not service.seen


def test_demo_weights_are_announced_and_stand_in_the_rows(predict, service, results):
    service.demo = True
    assert predict().stderr.count("DEMO WEIGHTS") == 1
    assert read(results)["a.jpg"]["weights"] == "demo"


def test_a_file_that_is_no_image_has_a_row_and_the_results_themselves_have_none(
    predict, folder, tmp_path
):
    (folder / "notes.txt").write_text("none")
    inside = folder / "results.jsonl"
    for _ in range(2):
        assert predict(out=inside).exit_code == 1
        rows = read(inside)
        assert sorted(rows) == ["a.jpg", "b.jpg", "notes.txt", "sub/a.jpg"]
        assert rows["notes.txt"]["error"]["detail"] == "is no image"
    assert predict("--skip-unreadable", out=tmp_path / "other.jsonl").exit_code == 1
    assert "notes.txt" not in read(tmp_path / "other.jsonl")
