import pytest
from PIL import Image

from inference.rules import DecodeRules
from lab.bench.workload import WORKLOADS
from lab.errors import LabError
from pipelines.enums import Decoding


def put(repository, member, version):
    folder = repository / f"oral_cancer_{member}" / str(version)
    folder.mkdir(parents=True)
    (folder / "model.onnx").touch()
    return str(folder / "model.onnx")


def test_the_newest_versions_are_served_with_the_pipelines_weights(tmp_path):
    put(tmp_path, "vgg16", 9)
    vgg16, regnet = put(tmp_path, "vgg16", 10), put(tmp_path, "regnet_onnx", 1)
    plan = WORKLOADS["heavy"].plan(tmp_path, Decoding.EXACT)
    assert {member.path: member.weight for member in plan.members} == {vgg16: 0.4, regnet: 0.6}
    rules = DecodeRules.from_spec(plan.spec)
    assert plan.spec["classes"] == ["healthy", "cancer"]
    assert rules.reserve is None
    assert (rules.height, rules.width, rules.interpolation) == (
        224,
        224,
        Image.Resampling.BILINEAR,
    )


def test_one_member_alone_decides_alone(tmp_path):
    regnet = put(tmp_path, "regnet_onnx", 1)
    plan = WORKLOADS["light"].plan(tmp_path, Decoding.FAST)
    (member,) = plan.members
    assert DecodeRules.from_spec(plan.spec).reserve is not None
    assert (member.path, member.weight) == (regnet, 1.0)


def test_a_missing_file_is_named_with_the_remedy(tmp_path):
    with pytest.raises(LabError, match=r"oral_cancer_vgg16 has no ONNX file: run `make demo"):
        WORKLOADS["heavy"].plan(tmp_path, Decoding.EXACT)
