"""Folders of photos that quantised members are made and judged with."""

import numpy as np
import pytest

from export.labelled_photos import EvidenceError, read_evidence
from pipelines.load import load_spec
from pipelines.spec import QuantisationGate
from tests import photos

PER_CLASS = 10


@pytest.fixture
def snakes():
    spec = load_spec("snake_species")
    return spec.model_copy(update={"quantisation_gate": QuantisationGate(images_at_least=100)})


@pytest.fixture
def validation(snakes, tmp_path):
    folder = tmp_path / "validation"
    for label, name in enumerate(snakes.classes):
        (folder / name).mkdir(parents=True)
        for number in range(PER_CLASS):
            data = photos.encoded(photos.photo(100 * label + number, 64, 48))
            (folder / name / f"{number}.jpg").write_bytes(data)
    return folder


@pytest.fixture
def calibration(tmp_path):
    folder = tmp_path / "calibration"
    (folder / "inner").mkdir(parents=True)
    for number in range(20):
        data = photos.encoded(photos.photo(5000 + number, 64, 48), "PNG")
        (folder / "inner" / f"{number}.png").write_bytes(data)
    return folder


def test_both_folders_are_read_at_the_pipelines_size(snakes, calibration, validation):
    evidence = read_evidence(snakes, calibration, validation)
    assert evidence.calibration.shape == (20, 320, 320, 3)
    assert evidence.pixels.shape == (100, 320, 320, 3)
    assert np.bincount(evidence.labels).tolist() == [PER_CLASS] * 10
    third = np.asarray(photos.photo(200, 64, 48).resize((320, 320)))
    close = np.abs(evidence.pixels[evidence.labels == 2].astype(int) - third).mean(axis=(1, 2, 3))
    assert close.min() < 8 < np.median(close)


def test_without_calibration_only_labelled_photos_are_read(snakes, validation):
    assert len(read_evidence(snakes, None, validation).calibration) == 0


def test_a_photo_in_both_folders_is_refused_whatever_its_name(snakes, calibration, validation):
    twin = validation / "Vipera berus" / "3.jpg"
    (calibration / "other_name.jpg").write_bytes(twin.read_bytes())
    with pytest.raises(
        EvidenceError, match="a calibration image must not be a validation image"
    ) as raised:
        read_evidence(snakes, calibration, validation)
    assert str(twin) in str(raised.value)
    assert "other_name.jpg" in str(raised.value)


def test_folders_that_are_not_the_classes_are_named(snakes, calibration, validation):
    (validation / "Vipera aspis").rename(validation / "viper")
    with pytest.raises(
        EvidenceError, match="no folder for 'Vipera aspis'; no class is named 'viper'"
    ):
        read_evidence(snakes, calibration, validation)


def test_files_that_are_no_photos_do_not_count(snakes, calibration, validation):
    (validation / "Vipera aspis" / "0.jpg").write_bytes(b"no photo")
    with pytest.raises(EvidenceError, match=r"99 of 100 files can be read.* asks for 100"):
        read_evidence(snakes, calibration, validation)


def test_too_few_calibration_photos_are_refused(snakes, calibration, validation):
    for path in sorted(calibration.rglob("*.png"))[:5]:
        path.unlink()
    with pytest.raises(EvidenceError, match=r"15 photos .* needs 16 or more"):
        read_evidence(snakes, calibration, validation)


def test_files_that_cannot_be_read_are_named_with_the_reason(snakes, calibration, validation):
    (calibration / "notes.txt").write_text("none")
    (validation / "Vipera aspis" / "more.JFIF").write_bytes(photos.encoded(photos.photo(1))[:400])
    (validation / "Vipera aspis" / "._more.jpg").write_text("none")
    left_out = read_evidence(snakes, calibration, validation).left_out
    assert sorted(path.name for path in left_out) == ["more.JFIF", "notes.txt"]
    assert all(left_out.values())
