"""Temperatures: the fit, where it is refused, and what it does to an artefact and its release."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from export import formats, releases
from export.__main__ import app
from export.calibration import Calibrations, TemperatureError, temperature
from export.calibration_labels import halved
from export.repository import ModelRepository
from inference.decision import probabilities
from pipelines.calibration import MemberCalibration
from pipelines.enums import Format
from pipelines.load import load_definition, load_spec
from pipelines.manifest import Manifest
from pipelines.release import Release
from pipelines.release_files import ReleaseFiles
from tests.unit.export.conftest import CLASSES
from tests.unit.export.test_gate import answering

SNAKES = load_spec("snake_species")


def drawn(sharpness, count=4000, classes=3, seed=0):
    """Logits, times `sharpness`, of labels that are drawn from their softmax."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, classes))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(classes, p=row) for row in p])
    return logits * sharpness, labels


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 3.0])
def test_the_temperature_is_the_factor_that_logits_are_too_large_by(sharpness):
    assert temperature(*drawn(sharpness), "m") == pytest.approx(sharpness, rel=0.06)


def test_the_temperature_has_the_largest_likelihood():
    logits, labels = drawn(2.0, count=500)
    found = temperature(logits, labels, "m")

    def loss(of):
        p = probabilities(logits / of, 3, "m")
        return -np.log(p[np.arange(len(labels)), labels]).mean()

    assert loss(found) < min(loss(found * 1.02), loss(found / 1.02))


def test_a_member_that_is_right_about_everything_has_no_temperature():
    with pytest.raises(TemperatureError, match="right about nearly every photo"):
        temperature(np.eye(3)[[0, 1, 2]] * 0.1, np.array([0, 1, 2]), "m")


def test_swapped_labels_are_no_calibration():
    with pytest.raises(TemperatureError, match=r"no better than a guess.* changed places"):
        temperature(np.eye(2)[[0, 1]] * 4, np.array([1, 0]), "m")


def test_numbers_that_are_not_finite_are_no_calibration():
    with pytest.raises(TemperatureError, match="not finite"):
        temperature(np.array([[0.0, np.nan]]), np.array([0]), "m")


def photos_of(labels):
    """Image i is a picture of i."""
    pixels = np.arange(len(labels), dtype=np.uint8)[:, None, None, None]
    return halved(pixels, np.asarray(labels), "0" * 64)


def test_halves_share_no_photo_and_have_as_many_of_each_class():
    photos = photos_of([0, 1] * 40 + [2] * 10)
    first, second = photos.fitting, photos.measuring
    assert not {*first.pixels.ravel().tolist()} & {*second.pixels.ravel().tolist()}
    assert np.bincount(first.labels).tolist() == np.bincount(second.labels).tolist() == [20, 20, 5]


def test_errors_are_of_the_half_that_was_not_fitted_to():
    logits, labels = drawn(3.0, count=250, classes=10)
    photos = photos_of(labels)
    found = Calibrations(photos).of_checkpoint(SNAKES, "fp32", answering(logits))
    figures = found.figures
    assert (figures.fitted, figures.measured) == (
        len(photos.fitting.labels),
        len(photos.measuring.labels),
    )
    assert figures.fitted + figures.measured == 250
    assert figures.error_after.value < figures.error_before.value
    assert found.labels == tuple(photos.measuring.labels)
    own = logits[photos.measuring.pixels.ravel()] / figures.temperature
    np.testing.assert_allclose(found.logits, own, atol=1e-5)


def test_a_single_logit_is_calibrated_as_two_classes():
    two, labels = drawn(2.5, count=250, classes=2)
    mhist = load_spec("mhist")
    one = (two[:, 1:] - two[:, :1]).astype(np.float32)
    of_one = Calibrations(photos_of(labels)).of_checkpoint(mhist, "mlp", answering(one))
    of_two = Calibrations(photos_of(labels)).of_checkpoint(mhist, "mlp", answering(two))
    assert of_one.figures.temperature == pytest.approx(of_two.figures.temperature, rel=1e-4)


def test_int8_inherits_the_temperature_and_measures_its_own_logits():
    logits, labels = drawn(3.0, count=250, classes=2)
    mhist = load_definition("mhist")
    photos = photos_of(labels)
    calibrations = Calibrations(photos)
    original = calibrations.of_checkpoint(mhist, "mlp", answering(logits))
    own = answering((logits + 0.5 * np.random.default_rng(1).normal(size=logits.shape)) / 3)
    int8 = calibrations.of_quantised(mhist, "mlp_int8", original, own, photos.fitting)
    assert int8.figures.temperature == original.figures.temperature
    assert (int8.photos_sha256, int8.labels) == (original.photos_sha256, original.labels)
    assert int8.logits != original.logits
    fp16 = calibrations.of_quantised(mhist, "vit_fp16", original, own, photos.fitting)
    assert fp16 == original
    assert calibrations.of_quantised(mhist, "mlp_int8", None, own, photos.fitting) is None


def test_a_calibration_of_before_is_taken_and_its_int8_form_measured_on_the_gates_photos():
    logits, labels = drawn(2.0, count=250, classes=10)
    photos = photos_of(labels)
    known = Calibrations(photos).of_checkpoint(SNAKES, "fp32", answering(logits))
    calibrations = Calibrations(known={"fp32": known})
    assert calibrations.of_checkpoint(SNAKES, "fp32", None) == known
    int8 = calibrations.of_quantised(SNAKES, "int8", known, answering(logits / 2), photos.fitting)
    assert int8.labels == tuple(photos.fitting.labels)
    assert int8.photos_sha256 != known.photos_sha256
    assert int8.figures.temperature == known.figures.temperature
    assert Calibrations().of_checkpoint(SNAKES, "fp32", None) is None


# The whole way, with tiny members: folder, temperature, artefact, manifest, release.


@pytest.fixture
def labelled(tmp_path):
    """Noise, brighter where it is cancer, but not always."""
    from PIL import Image  # noqa: PLC0415

    rng = np.random.default_rng(5)
    for index in range(240):
        label = index % 2
        level = rng.normal(110 + 25 * label, 30)
        pixels = np.clip(rng.normal(level, 20, (32, 48, 3)), 0, 255).astype(np.uint8)
        folder = tmp_path / "labelled" / CLASSES[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return tmp_path / "labelled"


@pytest.fixture
def brightness(tiny, tmp_path):
    """A checkpoint that knows bright from dark, and is far too sure of it."""
    with torch.no_grad():
        convolution = tiny.body[0]
        convolution.weight.fill_(1 / 27)
        convolution.bias.fill_(2.0)
        tiny.head.weight.copy_(torch.tensor([[-0.6] * 4, [0.6] * 4]))
        # 122 of 255, normalised, is about 0.1.
        tiny.head.bias.copy_(torch.tensor([0.6, -0.6]) * 4 * 2.13)
    path = tmp_path / "bright.pt"
    torch.save(tiny.state_dict(), path)
    return path


@pytest.fixture
def repository(tmp_path):
    return ModelRepository(tmp_path / "model_repository")


@pytest.fixture
def export(specs, repository, brightness):
    def run(*arguments, members=("vgg16", "regnet")):
        given = [f"--checkpoint={member}={brightness}" for member in members]
        places = ["--repository", str(repository.root), "--specs", str(specs)]
        words = ["oral_cancer", "--classes-confirmed", *given, *map(str, arguments), *places]
        result = CliRunner().invoke(app, words)
        return result.exit_code, " ".join(result.output.split())

    return run


def assert_done(result):
    status, output = result
    assert status == 0, output


def test_an_export_with_labelled_photos_gives_a_calibrated_release(
    export, repository, labelled, specs
):
    status, output = export()
    plain = Release.current("oral_cancer", "default", repository.root)
    assert status == 0, output
    assert plain.calibration is None

    status, output = export("--calibration-labels", labelled)
    assert status == 0, output
    assert "oral_cancer: calibration error" in output
    release = Release.current("oral_cancer", "default", repository.root)
    ReleaseFiles(repository.root).verify(release)
    assert release.identity != plain.identity
    found = release.calibration.ensemble
    assert found.error_after.value < found.error_before.value
    assert len(found.set_from) == 2
    assert set(release.calibration.members) == {"vgg16", "regnet"}

    folder = repository.root / "oral_cancer_vgg16" / "2"
    manifest = Manifest.read(folder)
    assert manifest.calibration.temperature == release.members["vgg16"].temperature > 1
    # The graph has it: the new artefact's logits are the old one's, divided.
    before, after = (
        formats.open_artefact(
            repository.root / "oral_cancer_vgg16" / version / "model.onnx", Format.ONNX
        )
        for version in "12"
    )
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 48, 3), np.uint8)
    np.testing.assert_allclose(
        after(pixels), before(pixels) / manifest.calibration.temperature, rtol=1e-4, atol=1e-3
    )
    # Of the second half the release knows logits, and neither names nor pixels.
    said = MemberCalibration.read(folder)
    assert len(said.labels) == len(said.logits) == 120
    assert "png" not in (folder / "calibration.json").read_text()


def test_a_head_that_is_not_divided_does_not_pass_the_parity_gate(export, labelled, monkeypatch):
    monkeypatch.setattr("export.graph._change", lambda *_: None)
    status, output = export("--calibration-labels", labelled)
    assert status == 1
    assert "parity.tolerance" in output


def test_other_weights_in_the_yaml_get_sets_of_their_own_without_an_export(
    export, repository, labelled, specs
):
    assert_done(export("--calibration-labels", labelled))
    # Two trainings that differ.
    folder = repository.root / "oral_cancer_regnet" / "1"
    said = json.loads((folder / "calibration.json").read_text())
    said["logits"] = [[0.5 * a, 0.5 * b] for a, b in said["logits"]]
    (folder / "calibration.json").write_text(json.dumps(said))

    def ensemble(weight):
        whole = load_definition("oral_cancer", specs)
        members = dict(whole.members)
        members["vgg16"] = members["vgg16"].model_copy(update={"weight": weight})
        spec = whole.resolve("default").model_copy(
            update={"members": {name: members[name] for name in ("vgg16", "regnet")}}
        )
        return releases.compose(spec, repository).calibration.ensemble

    assert ensemble(0.9).set_from != ensemble(0.1).set_from


def test_a_member_without_calibration_leaves_the_ensemble_without_sets(
    export, repository, labelled
):
    assert_done(export("--calibration-labels", labelled, members=("vgg16",)))
    assert_done(export(members=("regnet",)))
    release = Release.current("oral_cancer", "default", repository.root)
    assert release.calibration.ensemble is None
    assert set(release.calibration.members) == {"vgg16"}
    assert release.members["regnet"].temperature is None


def test_members_that_were_calibrated_on_other_photos_give_no_set_together(
    export, repository, labelled
):
    assert_done(export("--calibration-labels", labelled, members=("vgg16",)))
    (labelled / "cancer" / "1.png").unlink()
    assert_done(export("--calibration-labels", labelled, members=("regnet",)))
    release = Release.current("oral_cancer", "default", repository.root)
    assert release.calibration.ensemble is None
    assert set(release.calibration.members) == {"vgg16", "regnet"}


def test_a_broken_calibration_file_makes_no_release(export, repository, labelled, specs):
    assert_done(export("--calibration-labels", labelled))
    whole = load_definition("oral_cancer", specs)
    (repository.root / "oral_cancer_vgg16" / "1" / "calibration.json").write_text("{}")
    made = releases.make(whole, repository)
    assert not made.made
    assert "calibration.json: Field required: export it again" in made.problems[0]


def test_a_detector_is_not_calibrated(tmp_path, labelled):
    words = ["object_detection", f"--checkpoint=yolos={labelled}", "--calibration-labels", labelled]
    result = CliRunner().invoke(app, [*map(str, words), "--repository", str(tmp_path / "r")])
    assert result.exit_code == 1
    assert "only a classification is calibrated" in " ".join(result.output.split())
