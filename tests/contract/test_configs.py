"""The committed model repository says what the pipelines' facts say, in words that native
backends know."""

from pathlib import Path

import pytest
import yaml
from google.protobuf import text_format
from google.protobuf.message import Message
from tritonclient.grpc import model_config_pb2 as pb

from export.repository import ModelRepository
from export.triton_config import as_text, configs, files
from pipelines import protocol
from pipelines.definition import PipelineDefinition
from pipelines.enums import Format
from pipelines.load import available, load_definition, load_spec
from pipelines.profile import DEFAULT_PROFILE
from pipelines.spec import PipelineSpec

ROOT = Path(__file__).parents[2]
REPOSITORY = ROOT / "model_repository"
ALLOWED = yaml.safe_load((Path(__file__).parent / "config_keys.yaml").read_text("utf-8"))
COMMITTED = sorted(
    path.relative_to(REPOSITORY)
    for pattern in (f"*/{protocol.CONFIG_FILENAME}", f"*/{protocol.PROFILE_CONFIGS}/*")
    for path in REPOSITORY.glob(pattern)
)
SERVED = [
    (name, profile)
    for name in available()
    for profile in [DEFAULT_PROFILE, *load_definition(name).profiles]
]


def read(path: Path) -> pb.ModelConfig:
    return text_format.Parse((REPOSITORY / path).read_text("utf-8"), pb.ModelConfig())


def under(profile: str, model: str) -> pb.ModelConfig:
    """A model's config under a profile, as Triton and the launcher choose it."""
    own = Path(model, protocol.PROFILE_CONFIGS, f"{profile}.pbtxt")
    return read(own if own in COMMITTED else Path(model, protocol.CONFIG_FILENAME))


def keys_of(message: Message, prefix: str = "") -> set[str]:
    """Dotted names of the leaf fields that a message sets; maps count as one."""
    keys: set[str] = set()
    for field, value in message.ListFields():
        name = prefix + field.name
        entry = field.message_type
        if entry is None or entry.GetOptions().map_entry:
            keys.add(name)
        else:
            for item in value if field.is_repeated else [value]:
                keys |= keys_of(item, f"{name}.") or {name}
    return keys


def test_regenerating_the_configs_changes_nothing(tmp_path):
    for name in available():
        ModelRepository(tmp_path).write_configs(load_definition(name), f"pipelines/{name}.yaml")
    written = {path.relative_to(tmp_path): path for path in tmp_path.rglob("*.pbtxt")}
    assert sorted(written) == COMMITTED, "run: make configs; remove the folders of former models"
    for name, path in written.items():
        assert (REPOSITORY / name).read_text("utf-8") == path.read_text("utf-8"), (
            "run: make configs"
        )


def test_a_config_that_no_profile_has_any_more_is_removed(tmp_path):
    repository, whole = ModelRepository(tmp_path), load_definition("oral_cancer")
    former = tmp_path / "oral_cancer" / protocol.PROFILE_CONFIGS / "former.pbtxt"
    repository.write_configs(whole, "x.yaml")
    former.write_text("")
    assert repository.write_configs(whole, "x.yaml") == [former]
    assert not former.exists()


def test_only_configs_that_differ_are_written_for_a_profile():
    written = set(files(load_definition("oral_cancer")))
    assert Path("oral_cancer_decision", protocol.PROFILE_CONFIGS, "onnx.pbtxt") in written
    assert Path("oral_cancer_regnet_onnx", protocol.CONFIG_FILENAME) in written
    assert Path("oral_cancer_vgg16", protocol.PROFILE_CONFIGS, "fast.pbtxt") not in written


@pytest.mark.parametrize(("name", "profile"), SERVED)
def test_every_model_says_where_it_runs_and_a_gpu_is_for_members_of_the_profile_gpu(name, profile):
    """Triton gives a model that says nothing a GPU wherever it sees one (docs/decisions/0029)."""
    spec = load_spec(name, profile=profile)
    members = {protocol.member_model(name, member) for member in spec.members}
    cpu, gpu = pb.ModelInstanceGroup.KIND_CPU, pb.ModelInstanceGroup.KIND_GPU
    for model in {*spec.models, *members}:
        config = under(profile, model)
        wanted = gpu if profile == "gpu" and model in members else cpu
        assert [group.kind for group in config.instance_group] == (
            [] if config.platform == "ensemble" else [wanted]
        ), model


@pytest.mark.parametrize("name", available())
def test_on_a_gpu_cudnn_does_not_try_every_algorithm_for_each_batch_size(name):
    for member in load_spec(name, profile="gpu").members:
        config = under("gpu", protocol.member_model(name, member))
        assert config.backend == Format.ONNX.backend
        assert config.parameters["cudnn_conv_algo_search"].string_value == "1"


@pytest.mark.parametrize("profile", ["gpu", "native_cpu"])
@pytest.mark.parametrize("name", available())
def test_for_native_backends_every_member_has_one_thread(name, profile):
    members = load_spec(name, profile=profile).members
    assert {member.threads for member in members.values()} == {1}


def test_openvino_is_asked_for_in_the_words_of_the_native_backend():
    facts = load_definition("oral_cancer").model_dump(exclude_unset=True)
    facts["profiles"]["new"] = {"members": {"vgg16": {"acceleration": "openvino"}}}
    spec = PipelineDefinition.model_validate(facts).resolve("new")
    config = configs(spec)["oral_cancer_vgg16"]
    (accelerator,) = config.optimization.execution_accelerators.cpu_execution_accelerator
    assert accelerator.name == "openvino"
    assert float(config.parameters["tolerance"].string_value) == spec.parity.tolerance
    assert keys_of(config) <= ALLOWED["keys"].keys()
    assert set(config.parameters) <= ALLOWED["parameters"]["onnxruntime"].keys()


@pytest.mark.parametrize("path", COMMITTED, ids=str)
def test_every_key_and_parameter_is_documented_for_its_backend(path):
    config = read(path)
    backend = config.backend or config.platform
    assert keys_of(config) <= ALLOWED["keys"].keys()
    documented = {*ALLOWED["parameters"].get(backend, ()), *ALLOWED["ours"].get(backend, ())}
    assert set(config.parameters) <= documented


@pytest.mark.parametrize("path", COMMITTED, ids=str)
def test_every_parameter_of_a_member_has_a_value_that_its_backend_takes(path):
    config = read(path)
    for name, facts in ALLOWED["parameters"].get(config.backend, {}).items():
        if name in config.parameters:
            assert fits(config.parameters[name].string_value, facts["values"]), name


def fits(text: str, values: str | list[int]) -> bool:
    if isinstance(values, list):
        return text in map(str, values)
    return text.isdigit() if values == "whole number" else float(text) > 0


def test_a_value_that_a_backend_does_not_take_would_be_noticed():
    assert not fits("two", "whole number")
    assert not fits("3", [0, 1, 2])


def test_an_undocumented_key_would_be_noticed():
    config = pb.ModelConfig(name="x")
    config.optimization.graph.level = 1
    assert not keys_of(config) <= ALLOWED["keys"].keys()


@pytest.mark.parametrize(("name", "profile"), SERVED)
def test_the_ensemble_and_its_steps_have_the_whole_spec_and_nothing_beside_it(name, profile):
    spec = load_spec(name, profile=profile)
    steps = {name, protocol.decode_model(name), protocol.decision_model(name)} & {*spec.models}
    assert len(steps) == (2 if spec.serving.one_process else 3)
    for step in steps:
        parameters = under(profile, step).parameters
        assert set(parameters) == {protocol.PIPELINE_PARAMETER}, step
        travelled = PipelineSpec.model_validate_json(parameters["pipeline"].string_value)
        assert travelled == spec
        assert travelled.profile == profile


def test_a_config_without_batching_still_says_max_batch_size():
    assert "max_batch_size: 0" in as_text(pb.ModelConfig(name="x"), "x.yaml")


@pytest.mark.parametrize("path", COMMITTED, ids=str)
def test_a_model_that_takes_no_batches_has_no_batcher(path):
    config = read(path)
    assert (config.max_batch_size > 0) or not config.HasField("dynamic_batching")


@pytest.mark.parametrize("path", COMMITTED, ids=str)
def test_triton_may_have_a_batch_ready_for_a_process_that_gets_free(path):
    """Any bound on what waits keeps it from that (docs/decisions/0025)."""
    assert not read(path).dynamic_batching.HasField("default_queue_policy")


@pytest.mark.parametrize(
    ("bounds", "policy"),
    [
        ({"queue_size": 3}, pb.ModelQueuePolicy(max_queue_size=3)),
        (
            {"queue_timeout_ms": 150},
            pb.ModelQueuePolicy(default_timeout_microseconds=150_000, allow_timeout_override=True),
        ),
    ],
    ids=["size", "time"],
)
def test_a_pipeline_may_bound_what_waits(bounds, policy):
    spec = load_spec("mhist")
    bounded = spec.model_copy(update={"serving": spec.serving.model_copy(update=bounds)})
    models = [config for config in configs(bounded).values() if config.platform != "ensemble"]
    assert models
    for config in models:
        assert config.dynamic_batching.default_queue_policy == policy


@pytest.mark.parametrize(("name", "profile"), SERVED)
def test_each_step_of_the_ensemble_is_fed_what_it_takes_in_the_form_it_is_given(name, profile):
    """Triton compares types and dimensions when it loads the ensemble."""
    ensemble = under(profile, name)
    forms = {tensor.name: (tensor.data_type, list(tensor.dims)) for tensor in ensemble.input}
    for step in ensemble.ensemble_scheduling.step:
        model = under(profile, step.model_name)
        assert set(step.input_map) == {tensor.name for tensor in model.input}
        assert set(step.output_map) == {tensor.name for tensor in model.output}
        for tensor in model.input:
            assert forms[step.input_map[tensor.name]] == (tensor.data_type, list(tensor.dims))
        for tensor in model.output:
            forms[step.output_map[tensor.name]] = (tensor.data_type, list(tensor.dims))
    for tensor in ensemble.output:
        assert forms[tensor.name] == (tensor.data_type, list(tensor.dims))
