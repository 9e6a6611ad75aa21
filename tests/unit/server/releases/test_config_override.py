"""A live config less the override is the committed one; what Triton fills in was seen in 2.51."""

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from pipelines.protocol import ConfigOverride
from server.releases.config_override import with_override, without_defaults
from tests.live_config import without_override

MEMBER = """
name: "m" backend: "onnxruntime" max_batch_size: 16 default_model_filename: "model.onnx"
input { name: "INPUT__0" data_type: TYPE_UINT8 dims: [2, 2, 3] }
output { name: "OUTPUT__0" data_type: TYPE_FP32 dims: 2 }
instance_group { count: 2 }
dynamic_batching { max_queue_delay_microseconds: 2000 }
parameters { key: "intra_op_thread_count" value { string_value: "1" } }
"""
FILLED_IN = """
platform: "onnxruntime_onnx" runtime: "model.py"
dynamic_batching { preferred_batch_size: 16 }
optimization { input_pinned_memory { enable: true } output_pinned_memory { enable: true } }
"""
ENSEMBLE = """
name: "e" platform: "ensemble" max_batch_size: 16
ensemble_scheduling { step { model_name: "m" model_version: -1 } }
parameters { key: "release" value { string_value: "committed" } }
"""


def parsed(text: str) -> pb.ModelConfig:
    return text_format.Parse(text, pb.ModelConfig())


def live_member() -> pb.ModelConfig:
    sent = with_override(
        parsed(MEMBER), {ConfigOverride.SHA256: "ab", ConfigOverride.GENERATION: "2"}, version=4
    )
    live = pb.ModelConfig()
    live.CopyFrom(sent)
    live.MergeFrom(parsed(FILLED_IN))
    live.instance_group[0].name = "m_0"
    live.instance_group[0].kind = pb.ModelInstanceGroup.KIND_CPU
    assert without_defaults(live, sent) == sent
    return live


def test_what_is_loaded_is_the_file_and_the_override():
    sent = with_override(
        parsed(MEMBER), {ConfigOverride.SHA256: "ab", ConfigOverride.GENERATION: "2"}, version=4
    )
    assert list(sent.version_policy.specific.versions) == [4]
    assert sent.parameters["sha256"].string_value == "ab"
    assert sent.parameters["intra_op_thread_count"].string_value == "1"


def test_a_live_config_less_the_override_is_the_file():
    assert without_override(live_member(), parsed(MEMBER)) == parsed(MEMBER)


def test_an_ensemble_keeps_its_scheduling_and_its_own_parameters():
    committed = parsed(ENSEMBLE)
    sent = with_override(
        committed, {ConfigOverride.RELEASE: "1-abc", ConfigOverride.ARTEFACTS: "{}"}, version=None
    )
    live = pb.ModelConfig()
    live.CopyFrom(sent)
    live.version_policy.latest.num_versions = 1
    live.model_transaction_policy.decoupled = False
    assert without_defaults(live, sent) == sent
    assert without_override(live, committed) == committed


def test_any_other_difference_stays_visible():
    changes = (
        ("max_batch_size", 8),
        ("default_model_filename", "other.onnx"),
        ("backend", "pytorch"),
    )
    for field, value in changes:
        live = live_member()
        setattr(live, field, value)
        assert without_override(live, parsed(MEMBER)) != parsed(MEMBER), field
    live = live_member()
    live.instance_group[0].count = 1
    assert without_override(live, parsed(MEMBER)) != parsed(MEMBER)
    live = live_member()
    live.parameters["unknown"].string_value = "x"
    assert without_override(live, parsed(MEMBER)) != parsed(MEMBER)


def test_what_the_file_says_itself_is_compared_and_not_taken_for_filled_in():
    committed = parsed(MEMBER)
    committed.instance_group[0].kind = pb.ModelInstanceGroup.KIND_GPU
    assert without_override(live_member(), committed) != committed
