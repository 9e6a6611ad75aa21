import pytest
from PIL import Image

from export.repository import ModelRepository
from inference.rules import DecodeRules
from lab.bench.__main__ import CLOSED
from lab.bench.workload import WORKLOADS
from lab.errors import LabError
from lab.load.photos import ensure
from pipelines.enums import Decoding
from pipelines.load import FOLDER, load_definition, load_spec
from tests.unit.server.releases import artefacts

VGG16 = "oral_cancer_vgg16/{}/model.onnx"
REGNET = "oral_cancer_regnet_onnx/1/model.onnx"


@pytest.fixture
def repository(tmp_path):
    """A release of version 2 of one member, of which a third was made since."""
    ModelRepository(tmp_path).write_configs(load_definition("oral_cancer"), "a test")
    for profile in ("onnx", "onnx_fast"):
        spec = load_spec("oral_cancer", profile=profile)
        if profile == "onnx":
            artefacts.write_version(tmp_path, spec, "vgg16", version=2)
            artefacts.write_version(tmp_path, spec, "regnet_onnx")
        artefacts.write_release(tmp_path, spec)
    artefacts.write_version(tmp_path, spec, "vgg16", version=3)
    return tmp_path


def test_the_released_versions_are_served_with_the_pipelines_weights(repository):
    plan = WORKLOADS["heavy"].plan(repository, Decoding.EXACT)
    assert {member.path: member.weight for member in plan.members} == {
        str(repository / VGG16.format(2)): 0.4,
        str(repository / REGNET): 0.6,
    }
    rules = DecodeRules.from_spec(plan.spec)
    assert plan.spec["classes"] == ["healthy", "cancer"]
    assert rules.reserve is None
    assert (rules.height, rules.width, rules.interpolation) == (
        224,
        224,
        Image.Resampling.BILINEAR,
    )


def test_one_member_alone_decides_alone(repository):
    plan = WORKLOADS["light"].plan(repository, Decoding.FAST)
    (member,) = plan.members
    assert DecodeRules.from_spec(plan.spec).reserve is not None
    assert (member.path, member.weight) == (str(repository / REGNET), 1.0)


def test_each_pipeline_has_a_workload_and_only_one_is_asked_in_closed_loops():
    names = {path.stem for path in FOLDER.glob("*.yaml")}
    assert {workload.pipeline for workload in WORKLOADS.values()} == names
    for workload in WORKLOADS.values():
        assert workload.task is load_spec(workload.pipeline).task
        assert workload.alone in {None, *load_definition(workload.pipeline).members}
    assert set(CLOSED) == {"heavy", "light", "int8"}


def test_photos_are_of_what_the_pipeline_looks_at(tmp_path):
    seen = {
        ensure(tmp_path / name, (64, 64), name).joinpath("00.jpg").read_bytes()
        for name in ("oral_cancer", "mhist", "snake_species", "object_detection")
    }
    assert len(seen) == 4


def test_without_a_release_the_remedy_is_named(tmp_path):
    with pytest.raises(LabError, match=r"no release: .*\n.*python -m demo oral_cancer"):
        WORKLOADS["heavy"].plan(tmp_path, Decoding.EXACT)
