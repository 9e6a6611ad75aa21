"""Photos are found by what files hold; what is none is named."""

import os
import shutil
import socket
from pathlib import Path

import pytest
from secondopinion.photo_files import below, described

FIELD = Path(__file__).parent / "field_photos"
JPEG = b"\xff\xd8\xff\xe0"


def names(found):
    return [path.name for path in found.photos]


def test_photos_of_the_field_are_found_whatever_their_names():
    found = below(FIELD)
    assert names(found) == ["IM0001", "a.JPG", "b.jfif", "c.jpe", "d.MPO", "e.HEIC"]
    assert {path.name: reason for path, reason in found.left_out.items()} == {
        "f.dcm": "is DICOM: export its image as PNG or JPEG"
    }


@pytest.mark.parametrize(
    "head",
    [
        JPEG,
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"RIFF\0\0\0\0WEBP",
        b"BM",
        b"II*\0",
        b"MM\0*",
        b"MM\0+",
        b"\0\0\0\x18ftypheic",
        b"\0\0\0\x18ftypavif",
        b"\0\0\0\x0cjP  \r\n\x87\n",
    ],
)
def test_an_image_is_known_by_how_it_begins(tmp_path, head):
    (tmp_path / "IM0001").write_bytes(head)
    (tmp_path / "video.jpg").write_bytes(b"\0\0\0\x18ftypisom")
    found = below(tmp_path)
    assert names(found) == ["IM0001"]
    assert described(found.left_out).startswith("1 file left out: ")
    assert described(found.left_out).endswith("video.jpg: is no image")


def test_what_a_system_leaves_in_folders_is_passed_over(tmp_path):
    for name in ("._a.jpg", ".DS_Store", "Thumbs.db", "desktop.ini", ".notes"):
        (tmp_path / name).write_bytes(b"none" if name[:2] != "._" else JPEG)
    for name in ("__MACOSX", ".thumbnails"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").write_bytes(JPEG)
    (tmp_path / ".hidden.jpg").write_bytes(JPEG)
    found = below(tmp_path)
    assert names(found) == [".hidden.jpg"]
    assert not found.left_out


def test_linked_folders_are_searched_once_and_circles_end(tmp_path):
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    (folder / "sub").mkdir(parents=True)
    elsewhere.mkdir()
    (folder / "sub" / "a.jpg").write_bytes(JPEG)
    (elsewhere / "b.jpg").write_bytes(JPEG)
    (folder / "again").symlink_to(folder / "sub")
    (folder / "circle").symlink_to(folder)
    (folder / "linked").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder)
    found = below(folder)
    assert [str(path.relative_to(folder)) for path in found.photos] == ["linked/b.jpg", "sub/a.jpg"]
    assert not found.left_out


def test_what_is_no_ordinary_file_is_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.jpg"))
        found = below(tmp_path)
    assert {path.name: reason for path, reason in found.left_out.items()} == {
        "gone.jpg": "No such file or directory",
        "pipe.jpg": "is no ordinary file",
        "socket.jpg": "is no ordinary file",
    }


def test_results_are_no_photos(tmp_path):
    (tmp_path / "a.jpg").write_bytes(JPEG)
    (tmp_path / "results.csv").write_text("file")
    shutil.copytree(tmp_path, tmp_path / "drawn")
    found = below(tmp_path, passing_over=[tmp_path / "results.csv", tmp_path / "drawn"])
    assert names(found) == ["a.jpg"]
    assert not found.left_out


def test_many_are_counted_and_the_first_are_named(tmp_path):
    for index in range(12):
        (tmp_path / f"{index:02}.txt").write_text("none")
    said = described(below(tmp_path).left_out, 2)
    assert said.startswith("12 files left out: ")
    assert "01.txt: is no image and 10 more" in said


def test_what_is_left_out_is_named_in_the_same_order_whichever_was_read_first():
    reasons = {Path("b.jpg"): "is empty", Path("a.jpg"): "is no image"}
    said = "2 files left out: a.jpg: is no image; b.jpg: is empty"
    assert described(reasons) == described(dict(reversed(reasons.items()))) == said
