"""Turns a pipeline's facts into Triton's `config.pbtxt` files, through Triton's own protobuf."""

import json
from collections.abc import Iterable

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from pipelines import wire
from pipelines.spec import Format, PipelineSpec
from pipelines.wire import Output

FILENAME = "config.pbtxt"

_THREADS = {Format.ONNX: "intra_op_thread_count", Format.TORCHSCRIPT: "INTRA_OP_THREAD_COUNT"}


def configs(spec: PipelineSpec) -> dict[str, pb.ModelConfig]:
    """The configs of all models of a pipeline by model name, the ensemble last."""
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
        spec, wire.decode_model(spec.name), "image_decode", spec.serving.decode.instances
    )
    config.input.add(name=wire.ENCODED_IMAGE, data_type=pb.TYPE_STRING, dims=[1])
    config.output.add(name=wire.PIXELS, data_type=pb.TYPE_UINT8, dims=_pixel_dims(spec))
    _set(config, "preprocessing", spec.preprocessing.model_dump_json())
    _set(config, "limits", spec.limits.model_dump_json())
    _set(config, "threads", str(spec.serving.decode.threads))
    return config


def _member(spec: PipelineSpec, name: str) -> pb.ModelConfig:
    member = spec.members[name]
    config = _step(
        spec,
        wire.member_model(spec.name, name),
        member.format.backend,
        member.instances,
        spec.serving.queue_delay_us,
    )
    config.default_model_filename = member.format.filename
    config.input.add(name=wire.MEMBER_INPUT, data_type=pb.TYPE_UINT8, dims=_pixel_dims(spec))
    config.output.add(name=wire.MEMBER_OUTPUT, data_type=pb.TYPE_FP32, dims=[len(spec.classes)])
    _set(config, _THREADS[member.format], str(member.threads))
    return config


def _decision(spec: PipelineSpec) -> pb.ModelConfig:
    config = _step(
        spec, wire.decision_model(spec.name), "weighted_ensemble", spec.serving.decision.instances
    )
    config.input.add(name=wire.PIXELS, data_type=pb.TYPE_UINT8, dims=_pixel_dims(spec))
    _add_outputs(config, spec)
    decision = {
        "classes": spec.classes,
        "positive": spec.positive,
        "threshold": spec.threshold and spec.threshold.model_dump(),
        "members": list(spec.members),
        "weights": spec.weights,
        "uncertainty": spec.uncertainty.model_dump(
            include={
                level: {"disagreement_at_most", "margin_at_least"} for level in ("low", "medium")
            }
        ),
    }
    _set(config, "decision", json.dumps(decision))
    models = {name: wire.member_model(spec.name, name) for name in spec.members}
    _set(config, "models", json.dumps(models))
    _set(config, wire.Delta.RELEASE, spec.release)
    return config


def _ensemble(spec: PipelineSpec) -> pb.ModelConfig:
    config = pb.ModelConfig(
        name=spec.name, platform="ensemble", max_batch_size=spec.serving.max_batch
    )
    config.input.add(name=wire.ENCODED_IMAGE, data_type=pb.TYPE_STRING, dims=[1])
    _add_outputs(config, spec)
    _add_step(
        config,
        wire.decode_model(spec.name),
        {wire.ENCODED_IMAGE: wire.ENCODED_IMAGE},
        {wire.PIXELS: wire.PIXELS},
    )
    _add_step(
        config,
        wire.decision_model(spec.name),
        _same([wire.PIXELS]),
        _same(Output),
    )
    _set(config, wire.PIPELINE_PARAMETER, spec.model_dump_json())
    return config


def _step(
    spec: PipelineSpec, name: str, backend: str, instances: int, delay_us: int = 0
) -> pb.ModelConfig:
    """A model with the pipeline's batching and queue policy, still without tensors."""
    serving = spec.serving
    config = pb.ModelConfig(name=name, backend=backend, max_batch_size=serving.max_batch)
    config.instance_group.add(count=instances)
    batching = config.dynamic_batching
    batching.max_queue_delay_microseconds = delay_us
    batching.default_queue_policy.MergeFrom(
        pb.ModelQueuePolicy(
            timeout_action=pb.ModelQueuePolicy.REJECT,
            default_timeout_microseconds=serving.queue_timeout_ms * 1000,
            allow_timeout_override=True,
            max_queue_size=serving.queue_size,
        )
    )
    return config


def _add_outputs(config: pb.ModelConfig, spec: PipelineSpec) -> None:
    classes, members = len(spec.classes), len(spec.members)
    shapes = {
        Output.PROBABILITIES: (pb.TYPE_FP32, [classes]),
        Output.MEMBER_PROBABILITIES: (pb.TYPE_FP32, [members, classes]),
        Output.MEMBER_PREDICTION: (pb.TYPE_INT32, [members]),
        Output.PREDICTION: (pb.TYPE_INT32, [1]),
        Output.CONFIDENCE: (pb.TYPE_FP32, [1]),
        Output.DISAGREEMENT: (pb.TYPE_FP32, [1]),
        Output.ENTROPY: (pb.TYPE_FP32, [1]),
        Output.THRESHOLD: (pb.TYPE_FP32, [1]),
        Output.UNCERTAINTY_LEVEL: (pb.TYPE_INT32, [1]),
        Output.RELEASE: (pb.TYPE_STRING, [1]),
    }
    for name in Output:
        data_type, dims = shapes[name]
        config.output.add(name=name, data_type=data_type, dims=dims)


def _add_step(
    config: pb.ModelConfig, model: str, inputs: dict[str, str], outputs: dict[str, str]
) -> None:
    config.ensemble_scheduling.step.add(
        model_name=model, model_version=-1, input_map=inputs, output_map=outputs
    )


def _same(names: Iterable[str]) -> dict[str, str]:
    return {str(name): str(name) for name in names}


def _pixel_dims(spec: PipelineSpec) -> list[int]:
    return [spec.preprocessing.height, spec.preprocessing.width, 3]


def _set(config: pb.ModelConfig, key: str, value: str) -> None:
    config.parameters[key].string_value = value
