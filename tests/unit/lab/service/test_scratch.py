"""A trial's repository has the real artefacts under other settings."""

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from export.repository import ModelRepository
from lab.gpu.ensemble import on_gpu
from lab.service.scratch import scratch
from pipelines.load import load_definition, load_spec
from pipelines.profile import DEFAULT_PROFILE
from pipelines.release import Release
from tests.unit.server.releases import artefacts


def config_of(place, model):
    text = (place.repository / model / "config.pbtxt").read_text()
    return text_format.Parse(text, pb.ModelConfig())


def a_repository(folder):
    version = folder / "oral_cancer_vgg16" / "3"
    version.mkdir(parents=True)
    (version / "model.onnx").write_bytes(b"weights")
    other = folder / "mhist_vit" / "1"
    other.mkdir(parents=True)
    return folder


def four_threads(facts):
    facts["members"]["vgg16"]["threads"] = 4


def test_it_has_the_changed_config_and_the_same_artefact(tmp_path):
    repository = a_repository(tmp_path / "real")
    place = scratch(tmp_path / "trial", {"oral_cancer": four_threads}, repository)
    assert load_spec("oral_cancer", place.specs).members["vgg16"].threads == 4
    config = config_of(place, "oral_cancer_vgg16")
    assert config.parameters["intra_op_thread_count"].string_value == "4"
    linked = place.repository / "oral_cancer_vgg16" / "3" / "model.onnx"
    assert linked.samefile(repository / "oral_cancer_vgg16" / "3" / "model.onnx")
    assert not (place.repository / "mhist_vit").exists()


def test_a_new_one_takes_the_place_of_the_old_one(tmp_path):
    repository = a_repository(tmp_path / "real")
    scratch(tmp_path / "trial", {"mhist": lambda _: None}, repository)
    place = scratch(tmp_path / "trial", {"oral_cancer": four_threads}, repository)
    assert not (place.repository / "mhist").exists()


def test_the_version_that_serves_is_taken_and_not_a_newer_one(tmp_path):
    spec = load_spec("oral_cancer")
    for member in ("vgg16", "regnet"):
        artefacts.write_version(tmp_path / "real", spec, member)
    ModelRepository(tmp_path / "real").write_configs(load_definition("oral_cancer"), "a test")
    artefacts.write_release(tmp_path / "real", spec)
    artefacts.write_version(tmp_path / "real", spec, "vgg16", version=2)
    place = scratch(tmp_path / "trial", {"oral_cancer": four_threads}, tmp_path / "real")
    release = Release.current("oral_cancer", DEFAULT_PROFILE, place.repository)
    assert {name: member.version for name, member in release.members.items()} == {
        "vgg16": 1,
        "regnet": 1,
    }


def test_a_gpu_for_the_members_is_in_the_release(tmp_path):
    spec = load_spec("oral_cancer")
    for member in ("vgg16", "regnet"):
        artefacts.write_version(tmp_path / "real", spec, member)
    place = scratch(tmp_path / "trial", {"oral_cancer": lambda _: None}, tmp_path / "real")
    artefacts.verify(place.repository, spec)
    on_gpu(place, spec)
    artefacts.verify(place.repository, spec)


def test_members_can_be_sent_to_a_gpu_and_nothing_else_is(tmp_path):
    place = scratch(tmp_path / "trial", {"oral_cancer": four_threads}, tmp_path)
    on_gpu(place, load_spec("oral_cancer", place.specs))
    gpu = pb.ModelInstanceGroup.KIND_GPU
    for member in ("vgg16", "regnet"):
        (group,) = config_of(place, f"oral_cancer_{member}").instance_group
        assert (group.kind, list(group.gpus)) == (gpu, [0])
    (group,) = config_of(place, "oral_cancer_decode").instance_group
    assert group.kind != gpu
