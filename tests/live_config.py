"""Compares a live config of Triton with the committed file that it came from."""

from tritonclient.grpc import model_config_pb2 as pb

from pipelines.protocol import SPENT, ConfigOverride
from server.releases.config_override import without_defaults


def without_override(live: pb.ModelConfig, committed: pb.ModelConfig) -> pb.ModelConfig:
    """A live config less what launcher and Triton added: equal to the file that it came from.

    Args:
        live: from Triton's model-config API.
        committed: the parsed `config.pbtxt`; what it says itself is left to be compared.
    """
    config = without_defaults(live, committed)
    if not committed.HasField("version_policy"):
        config.ClearField("version_policy")
    for key in ConfigOverride:
        config.parameters.pop(key, None)
        if key in committed.parameters:
            config.parameters[key].CopyFrom(committed.parameters[key])
    added = [output for output in config.output if output.name == SPENT]
    if SPENT not in {output.name for output in committed.output}:
        for output in added:
            config.output.remove(output)
    return config
