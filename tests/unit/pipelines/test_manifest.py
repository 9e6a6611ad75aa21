"""The manifest of a version, and the check of its files."""

import json
from datetime import UTC, datetime

import pytest

from pipelines.manifest import CLASS_MAP_FILENAME, FILENAME, Manifest, ManifestError, sha256_of


@pytest.fixture
def version(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"weights")
    (tmp_path / CLASS_MAP_FILENAME).write_text('{"0": "a"}')
    manifest = Manifest(
        pipeline="p", member="m", version=1, artefact="model.onnx",
        artefact_sha256=sha256_of(tmp_path / "model.onnx"),
        class_map_sha256=sha256_of(tmp_path / CLASS_MAP_FILENAME),
        checkpoint_sha256="0", member_hash="0", weights="trained", parity_error=0.0,
        opset=20, libraries={}, created=datetime.now(UTC),
    )  # fmt: skip
    (tmp_path / FILENAME).write_text(manifest.model_dump_json())
    return tmp_path


def test_an_untouched_version_is_accepted(version):
    Manifest.read(version).verify(version)


@pytest.mark.parametrize("name", ["model.onnx", CLASS_MAP_FILENAME])
def test_a_changed_byte_is_reported_with_the_files_name(version, name):
    (version / name).write_bytes(b"weightz")
    with pytest.raises(ManifestError, match=f"{name}: corrupt or replaced"):
        Manifest.read(version).verify(version)


def test_a_missing_artefact_is_reported(version):
    (version / "model.onnx").unlink()
    with pytest.raises(ManifestError, match=r"model\.onnx: missing"):
        Manifest.read(version).verify(version)


def test_a_version_without_a_manifest_is_refused(version):
    (version / FILENAME).unlink()
    with pytest.raises(ManifestError, match=r"manifest\.json: missing"):
        Manifest.read(version)


@pytest.mark.parametrize("text", ["{", "{}", json.dumps({"pipeline": 3})])
def test_a_broken_manifest_is_refused_by_name(version, text):
    (version / FILENAME).write_text(text)
    with pytest.raises(ManifestError, match=r"manifest\.json"):
        Manifest.read(version)
