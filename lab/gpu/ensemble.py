"""Measures the whole ensemble in Triton, with members on a GPU where their runtimes support it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime
import torch
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from lab.gpu.raw import Ensemble
from lab.load.http import upload
from lab.load.measurement import measure
from lab.paths import CACHE
from lab.service.scratch import Scratch, scratch
from lab.service.service import Service
from pipelines import protocol
from pipelines.enums import Format
from pipelines.spec import PipelineSpec

CALLERS = (1, 32, 128)
_SECONDS = 5.0


def missing(spec: PipelineSpec) -> str | None:
    """Why the members cannot run on a GPU here; None: they can."""
    formats = {member.format for member in spec.members.values()}
    if (
        Format.ONNX in formats
        and "CUDAExecutionProvider" not in onnxruntime.get_available_providers()
    ):
        return "this ONNX Runtime has no CUDA: install onnxruntime-gpu"
    if Format.TORCHSCRIPT in formats and not torch.cuda.is_available():
        return "this torch has no CUDA: install a CUDA build of the same version"
    return None


def measure_ensemble(
    spec: PipelineSpec, repository: Path, photos: Sequence[bytes]
) -> list[Ensemble]:
    """Starts a service with the members on the first GPU, and asks it over HTTP.

    Raises:
        LabError: it does not start.
    """
    place = scratch(CACHE / "gpu", {spec.name: _as_it_is}, repository)
    on_gpu(place, spec)
    path = f"/api/v1/pipelines/{spec.name}/predict"
    requests = [upload(path, [photo]) for photo in photos]
    found = []
    with Service(
        [spec.name], place.repository, log=CACHE / "logs" / "gpu.log", specs=place.specs
    ) as service:
        for callers in CALLERS:
            asked = measure(service, requests, concurrency=callers, seconds=_SECONDS, warm=callers)
            found.append(
                Ensemble(
                    callers=callers,
                    images_per_second=asked.rate,
                    p50_ms=asked.p50_ms,
                    p99_ms=asked.p99_ms,
                    cpu_ms={
                        role: 1000 * seconds / max(asked.requests, 1)
                        for role, seconds in asked.cpu_seconds.items()
                    },
                )
            )
    return found


def on_gpu(place: Scratch, spec: PipelineSpec) -> None:
    """Says in the configs of a scratch repository that members run on the first GPU."""
    for member in spec.members:
        path = place.repository / protocol.member_model(spec.name, member) / "config.pbtxt"
        config = text_format.Parse(path.read_text("utf-8"), pb.ModelConfig())
        for group in config.instance_group:
            group.kind = pb.ModelInstanceGroup.KIND_GPU
            group.gpus[:] = [0]
        path.write_text(text_format.MessageToString(config, as_utf8=True), "utf-8")
    place.release(spec.name)


def _as_it_is(_facts: dict[str, Any]) -> None:
    """The pipeline's own settings."""
