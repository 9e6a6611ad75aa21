import json

import pytest
from secondopinion import __version__

from client.tests.service import PHOTO, Response, problem


@pytest.fixture
def folder(tmp_path):
    """Photos in several folders and under several suffixes, and a file that macOS left there."""
    photos = tmp_path / "photos"
    (photos / "sub" / "deep").mkdir(parents=True)
    (photos / "b.JPG").write_bytes(PHOTO.encode() + b"cancer 0.95")
    (photos / "a.png").write_bytes(PHOTO.encode() + b"healthy 0.9")
    (photos / "sub" / "deep" / "c.TiFf").write_bytes(PHOTO.encode() + b"healthy 0.8")
    (photos / "._b.JPG").write_bytes(b"bad")
    return photos


def lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_folder_is_walked_and_its_photos_are_answered_in_order(command, folder):
    result = command("predict", folder)
    assert result.exit_code == 0
    header, *rows = [line.split() for line in result.stdout.splitlines()]
    assert header == ["file", "prediction", "confidence"]
    assert rows == [
        [str(folder / "a.png"), "healthy", "0.900"],
        [str(folder / "b.JPG"), "cancer", "0.950"],
        [str(folder / "sub/deep/c.TiFf"), "healthy", "0.800"],
    ]
    assert result.stderr == ""


def test_several_photos_let_people_at_a_screen_go_first(command, folder, service):
    def asked():
        return {seen.headers.get("x-respond-within-ms") for seen in service.seen if seen.body}

    command("predict", folder / "b.JPG")
    assert asked() == {None}
    service.seen.clear()
    command("predict", folder)
    assert asked() == {"60000"}
    service.seen.clear()
    command("predict", folder, "--respond-within", "2.5")
    assert asked() == {"2500"}


def test_a_time_that_is_none_is_a_wrong_question(command, folder):
    for said in ("0", "-1", "nan", "86401"):
        result = command("predict", folder, "--respond-within", said)
        assert (result.exit_code, "respond_within" in result.stderr) == (2, True)


def test_advanced_adds_uncertainty_disagreement_and_each_member(command, folder):
    result = command("predict", folder / "b.JPG", "--advanced")
    header, row = [line.split() for line in result.stdout.splitlines()]
    assert header[3:] == ["uncertainty", "disagreement", "vgg16", "regnet"]
    assert row[3:] == ["low", "0.040", "cancer", "0.950", "cancer", "0.950"]


def test_a_prediction_set_has_a_column_and_one_without_a_class_says_so(command, folder):
    (folder / "a.png").write_bytes(PHOTO.encode() + b"healthy 0.9 healthy,cancer")
    (folder / "b.JPG").write_bytes(PHOTO.encode() + b"cancer 0.95 none")
    header, *rows = [line.split() for line in command("predict", folder).stdout.splitlines()]
    assert header == ["file", "prediction", "confidence", "set"]
    assert [row[3:] for row in rows] == [["healthy,", "cancer"], ["none"], []]


def test_a_warning_has_a_column_and_its_text_is_said_once(command, folder):
    (folder / "a.png").write_bytes(PHOTO.encode() + b"healthy 0.9 blurred")
    (folder / "b.JPG").write_bytes(PHOTO.encode() + b"cancer 0.95 blurred")
    result = command("predict", folder)
    header, *rows = [line.split() for line in result.stdout.splitlines()]
    assert header == ["file", "prediction", "confidence", "warnings"]
    assert [row[3:] for row in rows] == [["blurred"], ["blurred"], []]
    assert result.stderr == "blurred: The image is blurred. Repeat the photo.\n"
    assert result.exit_code == 0


def test_an_atypical_image_is_named_with_the_advice(command, folder):
    (folder / "a.png").write_bytes(PHOTO.encode() + b"healthy 0.9 strange")
    result = command("predict", folder)
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows[0][-1] == "warnings"
    assert rows[1][-1] == "atypical"
    assert "atypical: Do not use the result." in result.stderr


def test_json_is_one_answer_per_line_and_nothing_else(command, folder, service):
    service.demo = True
    result = command("predict", folder, "--json")
    answers = lines(result)
    assert [next(iter(answer)) for answer in answers] == ["file"] * 3
    assert [answer["file"][-5:] for answer in answers] == ["a.png", "b.JPG", ".TiFf"]
    assert answers[1]["probabilities"] == {"cancer": 0.95, "healthy": 0.05}
    assert answers[1]["from_a_newer_service"] == {"unknown": [1, 2, 3]}
    assert "DEMO WEIGHTS" in result.stderr


def test_json_keeps_the_order_when_later_photos_are_answered_first(command, tmp_path):
    for index in range(8):
        wait = 0.4 if index == 0 else 0.01
        (tmp_path / f"{index}.jpg").write_bytes(PHOTO.encode() + b"slow %g" % wait)
    answers = lines(command("predict", tmp_path, "--json"))
    assert [answer["file"][-5] for answer in answers] == list("01234567")


def test_a_bad_photo_does_not_stop_the_others(command, folder):
    (folder / "a2.jpg").write_bytes(PHOTO.encode() + b"bad")
    result = command("predict", folder)
    assert result.exit_code == 1
    assert result.stdout.count("0.") == 3
    assert [str(folder / "a2.jpg"), "failed"] in [x.split() for x in result.stdout.splitlines()]
    assert "a2.jpg: file: no image. Send a JPEG or a PNG." in result.stderr
    assert "3 answered, 1 failed" in result.stderr


def test_a_bad_photo_is_an_error_in_its_json_line(command, folder):
    (folder / "a2.jpg").write_bytes(PHOTO.encode() + b"bad")
    result = command("predict", folder, "--json")
    assert result.exit_code == 1
    failed = lines(result)[1]
    assert failed["error"]["code"] == "image_undecodable"
    assert failed["error"]["status"] == 422
    assert [set(line) & {"error"} for line in lines(result)].count(set()) == 3


def test_a_photo_that_cannot_be_opened_does_not_stop_the_others(command, folder):
    (folder / "a1.jpg").symlink_to(folder / "gone.jpg")
    result = command("predict", folder, "--json")
    assert result.exit_code == 1
    assert lines(result)[1]["error"] == {
        "code": "file_unreadable",
        "detail": "No such file or directory",
    }


@pytest.mark.parametrize(
    ("reply", "code"),
    [(Response("<html>", 502), None), (Response("<html>"), "answer_unexpected")],
)
def test_a_proxys_page_fails_that_photo_alone(command, folder, service, reply, code):
    service.replies.append(reply)
    result = command("predict", folder, "--json", "--concurrency", "1")
    assert result.exit_code == 1
    assert [line.get("error", {}).get("code", "") for line in lines(result)] == [code, "", ""]


def test_choices_reach_the_service(command, folder, service):
    words = ["--pipeline", "oral_cancer", "--threshold", "0.4", "--top-k", "2", "--member", "vgg16"]
    assert command("predict", folder / "a.png", *words).exit_code == 0
    (seen,) = service.asked
    assert seen.path == "/api/v1/pipelines/oral_cancer/predict"
    assert seen.query == {"threshold": "0.4", "top_k": "2", "member": "vgg16"}


def test_no_more_photos_are_on_their_way_than_asked_for(command, tmp_path, service):
    for index in range(9):
        (tmp_path / f"{index}.jpg").write_bytes(PHOTO.encode() + b"slow 0.05")
    assert command("predict", tmp_path, "--concurrency", "3").exit_code == 0
    assert service.most_in_flight == 3


def test_a_wrong_parameter_ends_the_run_with_one_message(command, folder, service):
    for photo in folder.glob("*.*"):
        photo.write_bytes(PHOTO.encode() + b"stop")
    result = command("predict", folder, "--concurrency", "1")
    assert result.exit_code == 2
    assert result.stderr.count("threshold: 7 is above 0.95.") == 1
    assert len(service.asked) == 1


def test_an_unknown_pipeline_ends_the_run_with_one_message(command, folder):
    result = command("predict", folder, "--pipeline", "nose")
    assert result.exit_code == 2
    assert result.stderr.count("nose: there is oral_cancer,") == 1


def test_a_missing_key_says_where_to_put_it(command, folder, service):
    service.replies.append(problem(401, "unauthorized"))
    result = command("predict", folder / "a.png")
    assert result.exit_code == 2
    assert "SECONDOPINION_API_KEY" in result.stderr


def test_a_key_that_does_not_cover_the_pipeline_ends_the_run_with_one_message(
    command, folder, service
):
    service.replies.append(problem(403, "forbidden", "pipeline: the credentials do not cover it."))
    result = command("predict", folder, "--concurrency", "1")
    assert result.exit_code == 2
    assert result.stderr.count("pipeline: the credentials do not cover it.") == 1
    assert "operator" in result.stderr
    assert len(service.asked) == 1


def test_demo_weights_are_announced_once(command, folder, service):
    service.demo = True
    result = command("predict", folder)
    assert result.stderr.count("DEMO WEIGHTS") == 1
    assert "DEMO" not in result.stdout


@pytest.mark.parametrize("words", [["predict", "a.png"], ["pipelines"], ["ready"]])
def test_an_unreachable_service_is_named_with_the_remedy(
    command, folder, closed_url, words, monkeypatch
):
    monkeypatch.chdir(folder)
    result = command(*words, "--url", closed_url)
    assert result.exit_code == 2
    assert closed_url in result.stderr
    assert "make serve" in result.stderr
    assert result.stdout == ""


def test_a_malformed_url_is_named(command, folder):
    result = command("predict", folder, "--url", "nonsense")
    assert result.exit_code == 2
    assert "'nonsense' is not the URL" in result.stderr


def test_a_missing_path_is_named_and_nothing_is_asked(command, folder, service):
    result = command("predict", folder, folder / "none.jpg")
    assert result.exit_code == 2
    assert "none.jpg: no such file or directory" in " ".join(result.stderr.split())
    assert not service.seen


def test_a_directory_without_photos_is_named_with_what_is_in_it(command, tmp_path):
    (tmp_path / "notes.txt").write_text("none")
    result = command("predict", tmp_path)
    assert result.exit_code == 2
    assert "no photos in this directory; 1 file left out: " in result.stderr
    assert "notes.txt: is no image" in result.stderr


def test_a_file_that_is_no_image_is_a_failed_row(command, folder):
    (folder / "scan.dcm").write_bytes(b"\0" * 128 + b"DICM")
    result = command("predict", folder)
    assert result.exit_code == 1
    assert "scan.dcm: is DICOM: export its image as PNG or JPEG" in result.stderr
    assert "3 answered, 1 failed" in result.stderr
    failed = lines(command("predict", folder, "--json"))[-2]
    assert failed["error"]["code"] == "file_unreadable"


def test_what_is_no_image_can_be_left_out_and_is_counted_and_named(command, folder):
    (folder / "notes.txt").write_text("none")
    (folder / "empty.jpg").write_bytes(b"")
    result = command("predict", folder, "--skip-unreadable")
    assert result.exit_code == 0
    assert "2 files left out: " in result.stderr
    assert "notes.txt: is no image" in result.stderr
    assert "empty.jpg: is empty" in result.stderr


@pytest.mark.parametrize("words", [["--concurrency", "0"], ["--top-k", "0"], ["--colour"]])
def test_a_wrong_option_is_a_usage_error(command, folder, words):
    assert command("predict", folder, *words).exit_code == 2


def test_the_pipelines_are_listed(command):
    result = command("pipelines")
    assert result.exit_code == 0
    assert "oral_cancer (default)" in result.stdout
    assert "healthy, cancer" in result.stdout
    assert "demo" in result.stdout


def test_readiness_is_the_exit_code(command, service):
    assert (command("ready").stdout, command("ready").exit_code) == ("ready\n", 0)
    service.ready = False
    assert (command("ready").stdout, command("ready").exit_code) == ("not ready\n", 1)


def test_the_version_is_said(command):
    assert command("--version").stdout == f"secondopinion {__version__}\n"


@pytest.mark.parametrize("words", [["--help"], ["predict", "--help"]])
def test_the_help_says_that_this_is_no_medical_device(command, words):
    assert "No medical device" in command(*words).stdout


def test_where_the_members_looked_is_in_the_lines(command, tmp_path):
    photo = tmp_path / "a.jpg"
    photo.write_text(PHOTO + "cancer 0.95")
    result = command("predict", photo, "--explain", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["explanation"]["members"]["vgg16"]["cells"][0][1] == 0.5
