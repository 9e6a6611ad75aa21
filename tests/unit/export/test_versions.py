"""Publishing versions: gated, whole, never overwritten."""

import json

import numpy as np
import onnx
import pytest
import torch
import yaml

from export import formats, parity
from export.errors import CheckpointError, ParityError, RepositoryError, UnknownMemberError
from export.graph import ServedMember
from export.repository import ModelRepository
from export.versions import export
from pipelines import protocol
from pipelines.load import load_spec
from pipelines.manifest import Manifest, sha256_of
from tests import photos


@pytest.fixture
def repository(tmp_path):
    return ModelRepository(tmp_path / "model_repository")


@pytest.fixture
def weights(tiny, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(tiny.state_dict(), path)
    return path


def published(repository):
    """Everything below the version folders, and whatever else was left lying about."""
    return sorted(path for path in repository.root.rglob("*") if path.is_file())


def test_a_version_comes_with_a_manifest(spec, repository, weights):
    export(spec, {"vgg16": weights, "regnet": weights}, repository)
    folder = repository.root / "oral_cancer_vgg16" / "1"
    manifest = Manifest.read(folder)
    manifest.verify(folder)
    assert manifest.artefact == "model.onnx"
    assert manifest.artefact_sha256 == sha256_of(folder / "model.onnx")
    assert manifest.checkpoint_sha256 == sha256_of(weights)
    assert manifest.member_hash == spec.member_hash("vgg16")
    assert manifest.weights == "trained"
    assert manifest.opset == formats.OPSET
    assert manifest.parity_error <= spec.parity.tolerance
    assert manifest.libraries["torch"].startswith("2.13")
    assert json.loads((folder / "class_map.json").read_text()) == spec.class_map()
    assert Manifest.read(repository.root / "oral_cancer_regnet" / "1").artefact == "model.pt"


def test_the_next_export_gets_the_next_version(spec, repository, weights):
    export(spec, {"vgg16": weights, "regnet": weights}, repository)
    again = export(spec, {"vgg16": weights, "regnet": weights}, repository)
    assert {item.manifest.version for item in again} == {2}
    assert repository.versions("oral_cancer_vgg16") == [1, 2]


def test_a_version_is_never_overwritten(spec, repository, weights):
    export(spec, {"vgg16": weights}, repository, version=4)
    before = {path: path.read_bytes() for path in published(repository)}
    with pytest.raises(RepositoryError, match="never overwritten"):
        export(spec, {"vgg16": weights}, repository, version=4)
    assert {path: path.read_bytes() for path in published(repository)} == before


def test_beyond_the_tolerance_nothing_is_written(spec, repository, weights, monkeypatch):
    good = formats.open_artefact

    def bent(path, format_):
        run = good(path, format_)
        return lambda pixels: run(pixels) + (path.parent.name == "regnet") * np.float32(1e-2)

    monkeypatch.setattr(formats, "open_artefact", bent)
    with pytest.raises(ParityError, match=r"regnet.*parity\.tolerance"):
        export(spec, {"vgg16": weights, "regnet": weights}, repository)
    assert published(repository) == []


def test_without_photos_the_shipped_ones_are_compared_and_a_folder_without_any_is_named(
    spec, tmp_path
):
    compared = parity.photos_to_compare(None, spec)
    assert len(compared) == 4
    assert len({pixels.tobytes() for pixels in compared}) == 4
    kept = parity.photos_to_compare(None, load_spec("cervical_lesions"))
    assert {pixels.shape[:2] for pixels in kept} == {(480, 640), (500, 300), (416, 416), (120, 160)}
    with pytest.raises(ParityError, match="no image in it can be read: give --photos DIR"):
        parity.photos_to_compare(tmp_path / "specs", spec)


def test_an_artefact_that_answers_nan_does_not_pass(spec, repository, weights, monkeypatch):
    monkeypatch.setattr(
        formats, "open_artefact", lambda *_: lambda pixels: np.full((len(pixels), 2), np.nan)
    )
    with pytest.raises(ParityError):
        export(spec, {"vgg16": weights}, repository)
    assert published(repository) == []


def test_a_bad_second_checkpoint_publishes_nothing(spec, repository, weights, tmp_path):
    with pytest.raises(CheckpointError):
        export(spec, {"vgg16": weights, "regnet": tmp_path / "absent.pt"}, repository)
    assert published(repository) == []


def test_an_unknown_member_lists_the_known_ones(spec, repository, weights):
    with pytest.raises(UnknownMemberError, match="its members are: vgg16, regnet"):
        export(spec, {"resnet": weights}, repository)


@pytest.mark.parametrize("format_", ["onnx", "torchscript"])
def test_either_format_gives_the_checkpoints_logits(facts, specs, tiny, tmp_path, format_):
    facts["members"]["vgg16"]["format"] = format_
    (specs / "oral_cancer.yaml").write_text(yaml.safe_dump(facts, sort_keys=False))
    spec = load_spec("oral_cancer", specs)
    shape, member = spec.preprocessing, spec.members["vgg16"]
    served = ServedMember(tiny, shape).eval()
    path = tmp_path / member.format.filename
    formats.write(served, shape.height, shape.width, member.format, path)
    run = formats.open_artefact(path, member.format)
    for batch in (1, 2, 5):
        pixels = np.stack(
            [np.asarray(photos.photo(seed, shape.width, shape.height)) for seed in range(batch)]
        )
        with torch.inference_mode():
            normalised = torch.from_numpy(pixels).float() / 255 - torch.tensor(shape.mean)
            expected = tiny((normalised / torch.tensor(shape.std)).permute(0, 3, 1, 2)).numpy()
        np.testing.assert_allclose(run(pixels), expected, atol=1e-5)


def test_an_onnx_artefact_names_its_tensors_and_leaves_the_batch_open(spec, repository, weights):
    (exported,) = export(spec, {"vgg16": weights}, repository)
    graph = onnx.load(exported.folder / "model.onnx").graph
    assert [tensor.name for tensor in graph.input] == [protocol.MEMBER_INPUT]
    assert [tensor.name for tensor in graph.output] == [protocol.MEMBER_OUTPUT]
    dims = graph.input[0].type.tensor_type.shape.dim
    assert dims[0].dim_param
    assert [dim.dim_value for dim in dims[1:]] == [32, 48, 3]


def test_demo_weights_call_themselves_demo(spec, repository, tiny, tmp_path):
    path = tmp_path / "demo.pt"
    torch.save({"state_dict": tiny.state_dict(), "weights": "demo"}, path)
    (exported,) = export(spec, {"vgg16": path}, repository)
    assert exported.manifest.weights == "demo"


def test_photos_of_the_users_own_are_used(spec, repository, weights, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "notes.txt").write_text("no photo")
    with pytest.raises(ParityError, match="no image in it can be read"):
        export(spec, {"vgg16": weights}, repository, photos=folder)
    (folder / "a.jpg").write_bytes(photos.encoded(photos.photo(1)))
    assert export(spec, {"vgg16": weights}, repository, photos=folder)
