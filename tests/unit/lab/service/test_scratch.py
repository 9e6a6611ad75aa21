"""A trial's repository has the real artefacts under other settings."""

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from lab.gpu.ensemble import on_gpu
from lab.service.scratch import scratch
from pipelines.load import load_spec


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


def test_members_can_be_sent_to_a_gpu_and_nothing_else_is(tmp_path):
    place = scratch(tmp_path / "trial", {"oral_cancer": four_threads}, tmp_path)
    on_gpu(place, load_spec("oral_cancer", place.specs))
    gpu = pb.ModelInstanceGroup.KIND_GPU
    for member in ("vgg16", "regnet"):
        (group,) = config_of(place, f"oral_cancer_{member}").instance_group
        assert (group.kind, list(group.gpus)) == (gpu, [0])
    (group,) = config_of(place, "oral_cancer_decode").instance_group
    assert group.kind != gpu
