"""The folder of labelled photos that a calibration is fitted to, and what is refused in it."""

import numpy as np
import pytest

from export.calibration_labels import read_calibration_photos
from export.labelled_photos import EvidenceError
from pipelines.load import load_spec
from tests import photos

OF_CLASS = 101


@pytest.fixture
def spec():
    found = load_spec("oral_cancer")
    small = found.preprocessing.model_copy(update={"height": 16, "width": 16})
    return found.model_copy(update={"preprocessing": small})


@pytest.fixture
def folder(tmp_path):
    for label, name in enumerate(("healthy", "cancer")):
        (tmp_path / "labelled" / name).mkdir(parents=True)
        for number in range(OF_CLASS):
            data = photos.encoded(photos.photo(1000 * label + number, 16, 16), "PNG")
            (tmp_path / "labelled" / name / f"{number}.png").write_bytes(data)
    return tmp_path / "labelled"


def test_photos_are_halved_within_each_class_and_whatever_their_names(spec, folder):
    found = read_calibration_photos(spec, folder)
    assert found.fitting.pixels.shape == (102, 16, 16, 3)
    assert np.bincount(found.fitting.labels).tolist() == [51, 51]
    assert np.bincount(found.measuring.labels).tolist() == [50, 50]
    for number, path in enumerate(sorted((folder / "cancer").iterdir())):
        path.rename(path.with_name(f"patient_{OF_CLASS - number}.png"))
    again = read_calibration_photos(spec, folder)
    assert again.sha256 == found.sha256
    np.testing.assert_array_equal(again.fitting.pixels, found.fitting.pixels)


def test_another_label_is_another_calibration(spec, folder):
    before = read_calibration_photos(spec, folder).sha256
    (folder / "cancer" / "0.png").rename(folder / "healthy" / "moved.png")
    assert read_calibration_photos(spec, folder).sha256 != before


def test_a_class_with_too_few_photos_is_named_and_one_without_a_folder(spec, folder):
    for path in sorted((folder / "cancer").iterdir())[: OF_CLASS - 39]:
        path.unlink()
    with pytest.raises(EvidenceError, match=r"only 39 of 'cancer'.* 40 or more of each class"):
        read_calibration_photos(spec, folder)
    for path in (folder / "cancer").iterdir():
        path.unlink()
    with pytest.raises(EvidenceError, match="only 0 of 'cancer'"):
        read_calibration_photos(spec, folder)
    (folder / "cancer").rmdir()
    with pytest.raises(EvidenceError, match="no folder for 'cancer'"):
        read_calibration_photos(spec, folder)


def test_too_few_photos_in_all_are_refused(spec, folder):
    for name in ("healthy", "cancer"):
        for path in sorted((folder / name).iterdir())[:10]:
            path.unlink()
    with pytest.raises(EvidenceError, match=r"182 photos: add labelled photos; .* 200 or more"):
        read_calibration_photos(spec, folder)


def test_a_photo_of_the_validation_is_refused_whatever_its_name(spec, folder, tmp_path):
    seen = tmp_path / "validation" / "healthy"
    seen.mkdir(parents=True)
    (seen / "other.png").write_bytes((folder / "healthy" / "7.png").read_bytes())
    with pytest.raises(EvidenceError, match=r"7\.png is .*other\.png.* in no other folder"):
        read_calibration_photos(spec, folder, [tmp_path / "validation"])


def test_one_photo_under_two_labels_is_refused_and_copies_count_once(spec, folder):
    (folder / "healthy" / "copy.png").write_bytes((folder / "healthy" / "7.png").read_bytes())
    found = read_calibration_photos(spec, folder)
    assert len(found.fitting.labels) + len(found.measuring.labels) == 2 * OF_CLASS
    (folder / "cancer" / "copy.png").write_bytes((folder / "healthy" / "7.png").read_bytes())
    with pytest.raises(EvidenceError, match="one photo cannot be 'healthy' and 'cancer'"):
        read_calibration_photos(spec, folder)


def test_up_to_one_file_in_a_hundred_may_be_unreadable_and_is_named(spec, folder):
    for number in range(2):
        (folder / "cancer" / f"broken{number}.png").write_bytes(b"broken %d" % number)
    assert len(read_calibration_photos(spec, folder).left_out) == 2
    (folder / "cancer" / "broken2.png").write_bytes(b"broken 2")
    with pytest.raises(
        EvidenceError, match=r"3 files left out: .*broken0\.png.*more than 1% of 205 files"
    ):
        read_calibration_photos(spec, folder)
