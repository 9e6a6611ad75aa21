"""A pipeline's facts as Triton's `config.pbtxt` files, by Triton's own protobuf."""

from collections.abc import Iterable
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from export import tensors
from export.tensors import Tensor
from pipelines import protocol
from pipelines.definition import PipelineDefinition
from pipelines.enums import Acceleration, Format, Kind, Task
from pipelines.profile import DEFAULT_PROFILE
from pipelines.spec import PipelineSpec

_THREADS = {Format.ONNX: "intra_op_thread_count", Format.TORCHSCRIPT: "INTRA_OP_THREAD_COUNT"}

_HEURISTIC = "1"
"""cuDNN's search for the fastest convolution. The native backend's default tries all of them for
every new batch size, which takes seconds each time (its README, "CUDA Execution Provider")."""

_KINDS = {Kind.CPU: pb.ModelInstanceGroup.KIND_CPU, Kind.GPU: pb.ModelInstanceGroup.KIND_GPU}


def files(whole: PipelineDefinition) -> dict[Path, pb.ModelConfig]:
    """The configs of all models under all profiles by path in the repository.

    A model's `config.pbtxt` is the one of the first profile that serves it, the default before
    the others; those that differ from it lie in `configs/`, where Triton looks first if it is
    started with `--model-config-name`.
    """
    found: dict[Path, pb.ModelConfig] = {}
    for profile in [DEFAULT_PROFILE, *whole.profiles]:
        spec = whole.resolve(profile)
        for model, config in configs(spec).items():
            first = found.setdefault(Path(model, protocol.CONFIG_FILENAME), config)
            if first != config and model in spec.models:
                found[Path(model, protocol.PROFILE_CONFIGS, f"{profile}.pbtxt")] = config
    return found


def configs(spec: PipelineSpec) -> dict[str, pb.ModelConfig]:
    """The configs of all models of a pipeline by model name, loaded or not; the ensemble last."""
    members = [_member(spec, name) for name in spec.members]
    every = [_decode(spec), *members, _decision(spec), _ensemble(spec)]
    return {config.name: config for config in every}


def as_text(config: pb.ModelConfig, source: str) -> str:
    """The content of a `config.pbtxt`; `source` is the file that its facts come from."""
    head = f"# Generated from {source} by `python -m export --configs`: change that file instead.\n"
    # text_format leaves out a zero, but Triton demands the key.
    zero = "max_batch_size: 0\n" if config.max_batch_size == 0 else ""
    return head + zero + text_format.MessageToString(config, as_utf8=True)


def _decode(spec: PipelineSpec) -> pb.ModelConfig:
    config = _step(
        spec, protocol.decode_model(spec.name), "image_decode", spec.serving.decode.instances
    )
    _take(config, [tensors.ENCODED])
    _give(config, tensors.decoded(spec))
    _set_spec(config, spec)
    return config


def _member(spec: PipelineSpec, name: str) -> pb.ModelConfig:
    member = spec.members[name]
    config = _step(
        spec,
        protocol.member_model(spec.name, name),
        member.format.backend,
        member.instances,
        spec.serving.queue_delay_us,
    )
    config.default_model_filename = member.format.filename
    config.max_batch_size = spec.max_batch(name)
    _take(config, [tensors.member_input(spec)])
    _give(config, tensors.member_outputs(spec, name))
    if spec.preprocessing.size is None:
        config.ClearField("dynamic_batching")
    _set(config, _THREADS[member.format], str(member.threads))
    config.instance_group[0].kind = _KINDS[member.kind]
    if member.kind is Kind.GPU and member.format is Format.ONNX:
        _set(config, "cudnn_conv_algo_search", _HEURISTIC)
    if member.acceleration is Acceleration.OPENVINO:
        accelerators = config.optimization.execution_accelerators
        accelerators.cpu_execution_accelerator.add(name=member.acceleration)
        _set(config, "tolerance", str(spec.parity.tolerance))
    return config


def _decision(spec: PipelineSpec) -> pb.ModelConfig:
    classification = spec.task is Task.CLASSIFICATION
    backend = "weighted_ensemble" if classification else "detection"
    config = _step(
        spec, protocol.decision_model(spec.name), backend, spec.serving.decision.instances
    )
    _take(config, tensors.decided_on(spec))
    _give(config, tensors.answered(spec))
    _set_spec(config, spec)
    return config


def _ensemble(spec: PipelineSpec) -> pb.ModelConfig:
    config = pb.ModelConfig(
        name=spec.name, platform="ensemble", max_batch_size=spec.serving.max_batch
    )
    _take(config, [tensors.ENCODED])
    _give(config, tensors.answered(spec))
    steps = {
        protocol.decode_model(spec.name): ([tensors.ENCODED], tensors.decoded(spec)),
        protocol.decision_model(spec.name): (tensors.decided_on(spec), tensors.answered(spec)),
    }
    for model, (inputs, outputs) in steps.items():
        if model not in spec.models:
            continue
        config.ensemble_scheduling.step.add(
            model_name=model, model_version=-1, input_map=_same(inputs), output_map=_same(outputs)
        )
    _set_spec(config, spec)
    return config


def _step(
    spec: PipelineSpec, name: str, backend: str, instances: int, delay_us: int = 0
) -> pb.ModelConfig:
    """A model on the CPU with the pipeline's batching and queue policy, still without tensors."""
    serving = spec.serving
    config = pb.ModelConfig(name=name, backend=backend, max_batch_size=serving.max_batch)
    # Without a kind Triton would run it on every GPU that it sees (docs/decisions/0029).
    config.instance_group.add(count=instances, kind=_KINDS[Kind.CPU])
    batching = config.dynamic_batching
    batching.max_queue_delay_microseconds = delay_us
    # Only where it is asked for: any of its keys keeps Triton from having a batch ready for a
    # process that gets free (docs/decisions/0025).
    if serving.queue_size is not None:
        batching.default_queue_policy.max_queue_size = serving.queue_size
    if serving.queue_timeout_ms is not None:
        batching.default_queue_policy.default_timeout_microseconds = serving.queue_timeout_ms * 1000
        batching.default_queue_policy.allow_timeout_override = True
    return config


def _take(config: pb.ModelConfig, inputs: Iterable[Tensor]) -> None:
    for name, data_type, dims in inputs:
        config.input.add(name=name, data_type=data_type, dims=dims)


def _give(config: pb.ModelConfig, outputs: Iterable[Tensor]) -> None:
    for name, data_type, dims in outputs:
        config.output.add(name=name, data_type=data_type, dims=dims)


def _same(named: Iterable[Tensor]) -> dict[str, str]:
    return {str(name): str(name) for name, _, _ in named}


def _set(config: pb.ModelConfig, key: str, value: str) -> None:
    config.parameters[key].string_value = value


def _set_spec(config: pb.ModelConfig, spec: PipelineSpec) -> None:
    """Gives a step its only source of facts; nothing beside it repeats one."""
    _set(config, protocol.PIPELINE_PARAMETER, spec.model_dump_json())
