"""The preflight knows how much shared memory the backend processes take."""

from types import SimpleNamespace

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from lab.paths import ROOT
from pipelines import protocol
from pipelines.load import load_spec
from server.launcher.shared_memory import needed_mib
from server.triton.installation import Installation

SPEC = load_spec("oral_cancer")


def release(*models):
    configs = {}
    for model in models:
        path = ROOT / "model_repository" / model / "config.pbtxt"
        configs[model] = text_format.Parse(path.read_text("utf-8"), pb.ModelConfig())
    decision = protocol.decision_model(SPEC.name)
    return SimpleNamespace(spec=SPEC, configs=configs, decision=decision)


def test_each_instance_has_a_region_for_a_full_batch(tmp_path):
    wheel = Installation(tmp_path, tmp_path)
    decode, decision = protocol.decode_model("oral_cancer"), protocol.decision_model("oral_cancer")
    pixels = 224 * 224 * 3
    one = release(decision)
    # Two instances; 16 images each, once as they came and once for either member.
    expected = 2 * (2**20 + 1.1 * 16 * 3 * pixels) / 2**20
    assert expected < needed_mib([one], wheel) < expected + 2
    expected = (2**20 + 1.1 * (16 * pixels + SPEC.limits.bytes)) / 2**20
    assert expected < needed_mib([release(decode)], wheel) < expected + 2
    one.configs[decision].instance_group[0].count = 8
    assert needed_mib([one], wheel) > 60
    assert needed_mib([one, one], wheel) > 120


def test_models_without_processes_need_none(tmp_path):
    container = Installation(tmp_path, None)
    member = protocol.member_model("oral_cancer", "vgg16")
    assert needed_mib([release("oral_cancer", member)], container) == 0
    backend = tmp_path / "backends" / "onnxruntime"
    backend.mkdir(parents=True)
    (backend / "model.py").touch()
    assert needed_mib([release("oral_cancer", member)], container) > 0
