"""Reading a classification's labels."""

import pytest

from evaluation.errors import EvaluationError
from evaluation.labels import read

CLASSES = ["healthy", "cancer"]


@pytest.fixture
def photos(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"photo")
    return tmp_path


def table(folder, text, encoding="utf-8"):
    file = folder / "labels.csv"
    file.write_text(text, encoding=encoding)
    return file


def test_a_table_names_files_beside_it_and_may_have_more_columns(photos):
    found = read(table(photos, "label,age,file\ncancer,61,a.jpg\nhealthy,,b.jpg\n"), CLASSES)
    assert [(photo.file.name, photo.label) for photo in found] == [
        ("a.jpg", "cancer"),
        ("b.jpg", "healthy"),
    ]
    assert found[0].file.parent == photos


def test_a_table_that_a_spreadsheet_saved_with_a_byte_order_mark_is_read(photos):
    assert len(read(table(photos, "file,label\na.jpg,cancer\n", "utf-8-sig"), CLASSES)) == 1


def test_a_folder_has_a_sub_folder_for_each_class(tmp_path):
    for path in ("healthy/a.jpg", "cancer/deep/b.png", "cancer/.DS_Store", "README.md"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"photo")
    found = read(tmp_path, CLASSES)
    assert [(photo.file.name, photo.label) for photo in found] == [
        ("b.png", "cancer"),
        ("a.jpg", "healthy"),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file,label\na.jpg,tumour\n", "no class 'tumour'; rename it to one of: healthy, cancer"),
        ("file,label\na.jpg,cancer\nc.jpg,healthy\n", "1 of 2 photos are not there: .*c.jpg"),
        ("file,label\na.jpg,cancer\n./a.jpg,cancer\n", "named more than once: .*a.jpg"),
        ("file,label\na.jpg,\n", "line 2 has no label"),
        ("file,label\n", "holds no photos"),
        ("", "no column file and no column label"),
        ("file;label\na.jpg;cancer\n", "no column file and .*file;label.* with commas"),
        ("name,label\na.jpg,cancer\n", "no column file, but: name, label"),
    ],
)
def test_what_is_wrong_in_a_table_is_named(photos, text, says):
    with pytest.raises(EvaluationError, match=says):
        read(table(photos, text), CLASSES)


def test_a_table_in_another_encoding_is_refused(photos):
    with pytest.raises(EvaluationError, match="is not a CSV file in UTF-8"):
        read(table(photos, "file,label\nä.jpg,cancer\n", "latin-1"), CLASSES)


def test_labels_that_are_not_there_are_named(tmp_path):
    with pytest.raises(EvaluationError, match=r"nowhere.csv: No such file"):
        read(tmp_path / "nowhere.csv", CLASSES)


def test_photos_outside_the_classes_folders_are_refused_and_not_dropped(tmp_path):
    (tmp_path / "healthy").mkdir()
    (tmp_path / "stray.jpg").write_bytes(b"BM photo")
    with pytest.raises(EvaluationError, match=r"have no label: stray.jpg"):
        read(tmp_path, CLASSES)


def test_an_empty_folder_is_refused(tmp_path):
    (tmp_path / "healthy").mkdir()
    with pytest.raises(EvaluationError, match="holds no photos"):
        read(tmp_path, CLASSES)


def test_of_many_names_the_first_are_shown_and_the_others_counted(photos):
    rows = "".join(f"missing-{index}.jpg,cancer\n" for index in range(30))
    with pytest.raises(EvaluationError, match=r"30 of 30 .*missing-4.jpg and 25 more"):
        read(table(photos, f"file,label\n{rows}"), CLASSES)
