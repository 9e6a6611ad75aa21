"""The committed model repository says what the pipelines' facts say, in words that native
backends know."""

from pathlib import Path

import pytest
import yaml
from google.protobuf import text_format
from google.protobuf.message import Message
from tritonclient.grpc import model_config_pb2 as pb

from export.repository import ModelRepository
from export.triton_config import FILENAME, as_text, configs
from pipelines.load import available, load_spec
from pipelines.spec import PipelineSpec

ROOT = Path(__file__).parents[2]
REPOSITORY = ROOT / "model_repository"
ALLOWED = yaml.safe_load((Path(__file__).parent / "config_keys.yaml").read_text("utf-8"))
COMMITTED = sorted(REPOSITORY.glob(f"*/{FILENAME}"))


def read(path: Path) -> pb.ModelConfig:
    return text_format.Parse(path.read_text("utf-8"), pb.ModelConfig())


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


@pytest.mark.parametrize("name", available())
def test_regenerating_the_configs_changes_nothing(name, tmp_path):
    ModelRepository(tmp_path).write_configs(load_spec(name), f"pipelines/{name}.yaml")
    for path in tmp_path.glob(f"*/{FILENAME}"):
        committed = REPOSITORY / path.parent.name / FILENAME
        assert committed.read_text("utf-8") == path.read_text("utf-8"), "run: make configs"


def test_every_committed_config_belongs_to_a_pipeline():
    generated = {name for pipeline in available() for name in configs(load_spec(pipeline))}
    assert {path.parent.name for path in COMMITTED} == generated


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.parent.name)
def test_every_key_and_parameter_is_documented_for_its_backend(path):
    config = read(path)
    backend = config.backend or config.platform
    assert keys_of(config) <= ALLOWED["keys"].keys()
    documented = {*ALLOWED["parameters"].get(backend, ()), *ALLOWED["ours"].get(backend, ())}
    assert set(config.parameters) <= documented


def test_an_undocumented_key_would_be_noticed():
    config = pb.ModelConfig(name="x")
    config.optimization.graph.level = 1
    assert not keys_of(config) <= ALLOWED["keys"].keys()


@pytest.mark.parametrize("name", available())
def test_the_whole_spec_travels_in_the_ensemble(name):
    config = read(REPOSITORY / name / FILENAME)
    travelled = PipelineSpec.model_validate_json(config.parameters["pipeline"].string_value)
    assert travelled == load_spec(name)


def test_a_config_without_batching_still_says_max_batch_size():
    assert "max_batch_size: 0" in as_text(pb.ModelConfig(name="x"), "x.yaml")


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.parent.name)
def test_a_model_that_takes_no_batches_has_no_batcher(path):
    config = read(path)
    assert (config.max_batch_size > 0) or not config.HasField("dynamic_batching")


@pytest.mark.parametrize("name", available())
def test_each_step_of_the_ensemble_is_fed_what_it_takes_in_the_form_it_is_given(name):
    """Triton compares types and dimensions when it loads the ensemble."""
    ensemble = read(REPOSITORY / name / FILENAME)
    forms = {tensor.name: (tensor.data_type, list(tensor.dims)) for tensor in ensemble.input}
    for step in ensemble.ensemble_scheduling.step:
        model = read(REPOSITORY / step.model_name / FILENAME)
        assert set(step.input_map) == {tensor.name for tensor in model.input}
        assert set(step.output_map) == {tensor.name for tensor in model.output}
        for tensor in model.input:
            assert forms[step.input_map[tensor.name]] == (tensor.data_type, list(tensor.dims))
        for tensor in model.output:
            forms[step.output_map[tensor.name]] = (tensor.data_type, list(tensor.dims))
    for tensor in ensemble.output:
        assert forms[tensor.name] == (tensor.data_type, list(tensor.dims))
