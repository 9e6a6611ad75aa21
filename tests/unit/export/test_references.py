"""Which reference for typicality a release serves."""

import os

import pytest

from export import references, releases
from export.repository import ModelRepository
from pipelines.load import load_definition, load_spec
from pipelines.manifest import Manifest
from pipelines.release import Release, ReleaseError
from pipelines.release_files import version_folder
from pipelines.typicality import reference_path
from tests.references import made
from tests.unit.server.releases import artefacts

WHOLE = load_definition("oral_cancer")
DEFAULT, ONNX, INT8 = (load_spec("oral_cancer", profile=n) for n in ("default", "onnx", "int8"))


@pytest.fixture
def repository(tmp_path):
    """All configs, and words for weights of three profiles' members."""
    found = ModelRepository(tmp_path)
    found.write_configs(WHOLE, "x.yaml")
    for spec in (DEFAULT, ONNX, INT8):
        for member in spec.members:
            if not found.versions(f"oral_cancer_{member}"):
                artefacts.write_version(tmp_path, spec, member)
    return found


def manifest(repository, member, version=1):
    return Manifest.read(repository.root / version_folder("oral_cancer", member, version))


def published(repository, spec, member=None, seed=0, age=0):
    """SHA-256 of a reference that was published `age` seconds ago."""
    of = None if member is None else manifest(repository, member)
    sha256 = references.publish(made(spec, of, seed), repository.root)
    path = repository.root / reference_path("oral_cancer", sha256)
    moment = path.stat().st_mtime - age
    os.utime(path, (moment, moment))
    return sha256


def reference_of(repository, spec, new=()):
    found = releases.compose(spec, repository, {}, new).reference
    return found and found.sha256


def test_without_a_reference_a_release_has_none(repository):
    assert reference_of(repository, DEFAULT) is None


def test_formats_of_one_precision_share_a_reference_and_int8_has_its_own(repository):
    fp32 = published(repository, DEFAULT, "regnet")
    assert reference_of(repository, DEFAULT) == reference_of(repository, ONNX) == fp32
    assert reference_of(repository, INT8) is None

    int8 = published(repository, INT8, "regnet_int8")
    assert reference_of(repository, INT8) == int8
    assert reference_of(repository, ONNX) == fp32


def test_a_reference_of_the_picture_alone_serves_where_none_has_the_members_features(repository):
    alone = published(repository, DEFAULT)
    assert reference_of(repository, INT8) == reference_of(repository, DEFAULT) == alone

    both = published(repository, DEFAULT, "regnet", age=60)
    assert reference_of(repository, DEFAULT) == both
    assert reference_of(repository, INT8) == alone


def test_a_reference_of_another_checkpoint_or_preprocessing_is_not_served(repository):
    published(repository, DEFAULT, "regnet")
    artefacts.write_version(repository.root, DEFAULT, "regnet", 2, checkpoint_sha256="1" * 64)
    assert reference_of(repository, DEFAULT) is None

    other = DEFAULT.model_copy(
        update={"preprocessing": DEFAULT.preprocessing.model_copy(update={"height": 256})}
    )
    references.publish(made(other), repository.root)
    assert reference_of(repository, DEFAULT) is None


def test_the_serving_reference_stays_until_another_one_is_published(repository):
    old = published(repository, DEFAULT, "regnet", age=60)
    releases.make(WHOLE, repository)
    new = published(repository, DEFAULT, "regnet", seed=1)

    releases.make(WHOLE, repository)
    assert Release.current("oral_cancer", "default", repository.root).reference.sha256 == old
    releases.make(WHOLE, repository, {}, [new])
    assert Release.current("oral_cancer", "default", repository.root).reference.sha256 == new
    releases.make(WHOLE, repository)
    assert Release.current("oral_cancer", "default", repository.root).reference.sha256 == new


def test_a_release_that_loses_its_reference_is_named_with_the_remedy(repository):
    published(repository, DEFAULT, "regnet")
    releases.make(WHOLE, repository)
    artefacts.write_version(repository.root, DEFAULT, "regnet", 2, checkpoint_sha256="1" * 64)

    done = releases.make(WHOLE, repository, {"regnet": 2})

    lost = done.lost_references[0]
    assert "of profile default does not judge typicality any more" in lost
    assert "python -m export oral_cancer --reference DIR" in lost


@pytest.mark.parametrize("content", [b"", b"no archive"])
def test_a_file_that_is_no_reference_is_named(repository, content):
    path = repository.root / reference_path("oral_cancer", "b" * 64)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(ReleaseError, match=f"{path.name}: no reference for typicality: remove it"):
        releases.compose(DEFAULT, repository)


def test_a_reference_of_an_earlier_version_gives_way_to_one_that_fits(repository):
    path = repository.root / reference_path("oral_cancer", "b" * 64)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"of an earlier version")
    fitting = published(repository, DEFAULT, "regnet")
    assert releases.compose(DEFAULT, repository).reference.sha256 == fitting


def test_a_pipeline_without_typicality_names_no_reference(repository):
    published(repository, DEFAULT)
    without = DEFAULT.model_copy(update={"typicality": None})
    found = references.choose(without, {}, repository.root, published=(), serving=None)
    assert found is None
