"""`python -m export --reference DIR`: what images of a pipeline are compared with."""

import io
import shutil

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from typer.testing import CliRunner

from export import reference_fit, reference_photos, versions
from export.__main__ import app
from export.labelled_photos import Evidence
from export.reference_forms import ReferencePhotosError, forms
from export.reference_photos import Measured
from export.repository import ModelRepository
from inference.decode import decode
from inference.picture_statistics import COUNT
from inference.typicality import Reference
from pipelines.load import load_definition
from pipelines.release import Release
from pipelines.release_files import ReleaseFiles
from pipelines.typicality import reference_path

PHOTOS = 1000
UNREADABLE = 10


def photo(number):
    """A small picture of smooth noise."""
    random = np.random.default_rng(number)
    coarse = Image.fromarray(random.integers(40, 220, (6, 9, 3), dtype=np.uint8))
    file = io.BytesIO()
    coarse.resize((48, 32), Image.Resampling.BICUBIC).save(file, "PNG", compress_level=1)
    return file.getvalue()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of 1,000 photos in two folders."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(PHOTOS):
        path = folder / str(number % 2) / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(photo(number))
    return folder


@pytest.fixture
def folder(photos, tmp_path):
    """A copy of it, as links, that a test may spoil."""
    copy = tmp_path / "reference"
    copy.mkdir()
    for path in sorted(photos.rglob("*.png")):
        (copy / path.name).symlink_to(path)
    return copy


@pytest.fixture
def facts(facts):
    """Tiny members in three forms: TorchScript, ONNX, INT8."""
    facts["members"]["regnet_onnx"] = {"checkpoint": "regnet", "format": "onnx"}
    facts["members"]["regnet_int8"] = {"quantisation": {"of": "regnet_onnx", "method": "static"}}
    facts["quantisation_gate"] = {
        "images_at_least": 20,
        "agreement_at_least": 0,
        "accuracy_drop_at_most": 1,
        "sensitivity_drop_at_most": 1,
    }
    facts["profiles"] = {
        "onnx": {"instead": {"regnet": "regnet_onnx"}},
        "int8": {"instead": {"regnet": "regnet_int8"}},
    }
    facts["typicality"] = {
        "member": "regnet",
        "false_alarms": 0.01,
        "recommendation": "Another kind of image.",
    }
    return facts


@pytest.fixture
def whole(specs, tiny):
    with torch.no_grad():
        tiny.head.weight.mul_(20)
    return load_definition("oral_cancer", specs)


@pytest.fixture
def repository(tmp_path):
    return ModelRepository(tmp_path / "repository")


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    """Where the first test that needs versions leaves a copy of them for the others."""
    return tmp_path_factory.mktemp("made") / "repository"


@pytest.fixture
def exported(whole, tiny, repository, tmp_path, made_once):
    """The members' versions, without configs or a release; their checkpoint."""
    weights = tmp_path / "weights.pt"
    torch.save(tiny.state_dict(), weights)
    if made_once.exists():
        shutil.copytree(made_once, repository.root)
        return weights
    pixels = np.random.default_rng(0).integers(0, 256, (20, 32, 48, 3), dtype=np.uint8)
    evidence = Evidence(pixels[:16], pixels, np.arange(20) % 2)
    versions.export(whole, {"regnet": weights, "vgg16": weights}, repository, evidence=evidence)
    shutil.copytree(repository.root, made_once)
    return weights


@pytest.fixture
def command(repository, specs):
    def run(*arguments):
        places = ["--repository", str(repository.root), "--specs", str(specs)]
        result = CliRunner().invoke(app, ["oral_cancer", *map(str, arguments), *places])
        return result.exit_code, " ".join(result.output.split())

    return run


def current(repository, profile):
    release = Release.current("oral_cancer", profile, repository.root)
    ReleaseFiles(repository.root).verify(release)
    return release


@pytest.mark.usefixtures("exported")
def test_each_release_names_a_reference_of_its_members_precision(
    command, folder, repository, whole
):
    status, output = command("--reference", folder)
    assert status == 0, output
    assert "2 references of 1000 photos" in output
    named = {
        profile: current(repository, profile).reference for profile in ("default", "onnx", "int8")
    }
    assert named["default"] == named["onnx"]
    assert named["default"].origin.precision == "fp32"
    assert named["int8"].origin.precision == "int8"
    assert named["int8"].origin.photos == PHOTOS
    found = {}
    for profile, reference in named.items():
        path = repository.root / reference_path("oral_cancer", reference.sha256)
        found[profile] = Reference.load(path)
    assert not np.array_equal(found["default"].features.mean, found["int8"].features.mean)
    # It is of what the artefact itself gives, and its own photos are typical.
    rules = reference_photos.photos.decode_rules(whole)
    (form,) = [each for each in forms(whole, repository) if each.name == "regnet"]
    images = [decode(photo(number), rules) for number in range(PHOTOS, PHOTOS + 50)]
    features = reference_photos.open_features(form, whole)([each.pixels for each in images])
    pictures = np.stack([each.picture for each in images])
    assert (found["default"].typicality(pictures, features) > 0.01).mean() > 0.9
    noise = np.random.default_rng(1).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    other = decode(file.getvalue(), rules)
    features = reference_photos.open_features(form, whole)([other.pixels])
    assert found["default"].typicality(other.picture[None], features)[0] <= 0.01


@pytest.mark.usefixtures("whole")
def test_an_export_with_a_reference_makes_both(command, folder, repository, exported):
    forms_of = ["--checkpoint", f"vgg16={exported}", "--checkpoint", f"regnet={exported}"]
    status, output = command(*forms_of, "--reference", folder)
    assert status == 0, output
    release = current(repository, "default")
    assert release.members["regnet"].version == 2
    assert release.reference.origin.photos == PHOTOS


@pytest.mark.usefixtures("exported")
def test_an_empty_folder_and_one_of_five_photos_are_refused(command, tmp_path, repository):
    few = tmp_path / "few"
    few.mkdir()
    status, output = command("--reference", few)
    assert status == 1
    assert "no photo in it: give --reference DIR with 1000 or more" in output
    for number in range(5):
        (few / f"{number}.png").write_bytes(photo(number))
    status, output = command("--reference", few)
    assert status == 1
    assert "5 different photos are too few" in output
    assert not list(repository.root.rglob("*.npz"))


@pytest.mark.usefixtures("exported")
def test_copies_of_a_photo_count_once(command, folder):
    path = min(folder.iterdir())
    content = path.read_bytes()
    other = max(folder.iterdir())
    other.unlink()
    other.write_bytes(content)
    status, output = command("--reference", folder)
    assert status == 1
    assert "999 different photos are too few" in output


@pytest.mark.usefixtures("exported")
def test_photos_that_cannot_be_read_are_named_and_refused_above_one_in_a_hundred(
    command, folder, repository
):
    for number in range(UNREADABLE):
        (folder / f"broken{number}.jpg").write_bytes(photo(number)[: 100 + number])
    status, output = command("--reference", folder)
    assert status == 0, output
    assert f"{UNREADABLE} files left out" in output
    assert "broken0.jpg" in output
    assert current(repository, "default").reference.origin.photos == PHOTOS
    (folder / "broken.txt").write_text("no photo")
    status, output = command("--reference", folder)
    assert status == 1
    assert f"{UNREADABLE + 1} files left out" in output
    assert "more than 1% of 1011 files: remove or repair them" in output


@pytest.mark.usefixtures("exported")
def test_photos_that_the_pipeline_is_judged_with_are_refused(command, folder, tmp_path, repository):
    judged = tmp_path / "labelled" / "cancer"
    judged.mkdir(parents=True)
    (judged / "renamed.png").write_bytes(photo(3))
    status, output = command("--reference", folder, "--validation", judged.parent)
    assert status == 1
    assert "1 of its photos are among those that the pipeline is judged with" in output
    assert "renamed.png" in output
    assert not list(repository.root.rglob("*.npz"))


def test_a_member_without_a_version_and_a_yaml_without_typicality_are_told(
    command, folder, facts, specs
):
    status, output = command("--reference", folder)
    assert status == 1
    assert "regnet has no version to take features from: give --checkpoint regnet=FILE" in output
    del facts["typicality"]
    (specs / "oral_cancer.yaml").write_text(yaml.safe_dump(facts), "utf-8")
    status, output = command("--reference", folder)
    assert status == 1
    assert "oral_cancer.yaml says no `typicality`" in output


@pytest.mark.usefixtures("exported")
def test_where_no_member_is_named_the_pictures_statistics_serve_alone(
    command, folder, facts, specs, repository
):
    del facts["typicality"]["member"]
    (specs / "oral_cancer.yaml").write_text(yaml.safe_dump(facts, sort_keys=False), "utf-8")
    status, output = command("--reference", folder)
    assert status == 0, output
    reference = current(repository, "default").reference
    assert reference.origin.precision is None
    path = repository.root / reference_path("oral_cancer", reference.sha256)
    assert Reference.load(path).features is None


@pytest.mark.usefixtures("exported")
def test_features_of_no_variance_are_refused_by_the_members_name(whole, repository):
    (form, *_) = forms(whole, repository)
    random = np.random.default_rng(0)
    measured = Measured(
        statistics=random.normal(size=(PHOTOS, COUNT)).astype(np.float32),
        features={form.name: np.ones((PHOTOS, 4), np.float32)},
        digests=tuple(f"{number:064x}" for number in range(PHOTOS)),
    )
    expected = rf"oral_cancer: {form.name}: the features are the same for all photos, so they tell"
    with pytest.raises(ReferencePhotosError, match=expected):
        reference_fit.make(measured, whole, form)


@pytest.mark.usefixtures("exported")
def test_a_photo_whose_features_are_not_finite_is_named(command, folder, monkeypatch):
    spoiled = sorted(folder.iterdir())[500]
    # White, by which the member below knows it.
    spoiled.unlink()
    Image.new("RGB", (48, 32), (255, 255, 255)).save(spoiled)

    def open_features(*_):
        return lambda images: np.stack(
            [np.full(4, np.nan if image.min() == 255 else image.mean()) for image in images]
        )

    monkeypatch.setattr(reference_photos, "open_features", open_features)
    status, output = command("--reference", folder)
    assert status == 1
    assert f"{spoiled.name}: regnet gives features of it that are not finite: remove" in output
