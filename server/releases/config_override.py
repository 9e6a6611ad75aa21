"""The parameters that the launcher adds to a config when it loads a model; what Triton fills in.

The file holds facts. The artefact, the release, the generation of the backend processes and which
backends measure are known when a model is loaded. Nothing else is added.
"""

from collections.abc import Mapping

from google.protobuf.message import Message
from tritonclient.grpc import model_config_pb2 as pb

from pipelines.protocol import ConfigOverride

# What Triton writes into a live config where the file is silent.
_FILLED_IN = ("platform", "runtime", "version_policy", "model_transaction_policy")
_FILLED_IN_PART: dict[str, tuple[str, ...]] = {
    "dynamic_batching": ("preferred_batch_size",),
    "optimization": ("input_pinned_memory", "output_pinned_memory"),
}
_FILLED_IN_GROUP = ("name", "kind", "gpus")


def with_override(
    committed: pb.ModelConfig, parameters: Mapping[ConfigOverride, str], version: int | None
) -> pb.ModelConfig:
    """The config to load: the file's, with parameters and, of a member, one version."""
    config = pb.ModelConfig()
    config.CopyFrom(committed)
    for key, value in parameters.items():
        config.parameters[key].string_value = value
    if version is not None:
        config.version_policy.specific.versions[:] = [version]
    return config


def without_defaults(live: pb.ModelConfig, sent: pb.ModelConfig) -> pb.ModelConfig:
    """A live config less the fields that Triton fills in where the sent one is silent."""
    config = pb.ModelConfig()
    config.CopyFrom(live)
    _clear(config, sent, _FILLED_IN)
    for part, names in _FILLED_IN_PART.items():
        # To touch a part that is absent would make it present.
        if config.HasField(part):
            _clear(getattr(config, part), getattr(sent, part), names)
            if not sent.HasField(part) and not getattr(config, part).ListFields():
                config.ClearField(part)
    for group, sent_group in zip(config.instance_group, sent.instance_group, strict=False):
        _clear(group, sent_group, _FILLED_IN_GROUP)
    return config


def _clear(config: Message, sent: Message, names: tuple[str, ...]) -> None:
    said = {field.name for field, _ in sent.ListFields()}
    for name in names:
        if name not in said:
            config.ClearField(name)
