"""The steps of a run: the device's limits, the members, decoding, the whole ensemble."""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from lab.errors import LabError
from lab.gpu import decoding, ensemble, member, roofline
from lab.gpu.raw import Ensemble, GpuRun, MemberResult, Point
from lab.gpu.roofline import Roofline
from pipelines.enums import Task
from pipelines.spec import PipelineSpec

_DECODE_SECONDS = 2.0
# Sides of matrices, and bytes of a copy: enough to fill the device, little enough for a CPU.
_LARGE, _SMALL = (8192, 2**30), (1024, 2**26)

OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Extent:
    """What is measured."""

    spec: PipelineSpec
    architectures: tuple[str, ...]
    """In place of the pipeline's; empty: its own."""
    batches: tuple[int, ...]
    device: torch.device
    graphs: bool
    photos: Path
    repository: Path

    @property
    def dtype(self) -> torch.dtype:
        """FP16; on a CPU, which has no fast FP16, FP32."""
        return torch.float16 if self.device.type == "cuda" else torch.float32


def measure(extent: Extent, command: str, on_step: OnStep) -> GpuRun:
    """Everything.

    Raises:
        LabError: the pipeline's members are no classifiers, or not even one image fits.
        ExportError: an architecture is not known.
    """
    spec, started = extent.spec, datetime.now(UTC)
    if spec.task is not Task.CLASSIFICATION or spec.preprocessing.size is None:
        raise LabError(f"{spec.name} is no classification: choose another --pipeline")
    on_step("the device's own limits")
    limits = roofline.measure(
        extent.device, extent.dtype, *(_LARGE if extent.device.type == "cuda" else _SMALL)
    )
    on_step(str(limits))
    members = tuple(_member(extent, named, limits, on_step) for named in _named(extent))
    rate = in_turn([each.best.images_per_second for each in members])
    on_step("decoding")
    photos = decoding.photos_of(extent.photos)
    per_core = decoding.images_per_core_second(photos, spec, _DECODE_SECONDS)
    missing = _missing(extent)
    served: list[Ensemble] = []
    if missing is None:
        on_step("the ensemble through Triton")
        served = ensemble.measure_ensemble(spec, extent.repository, photos)
    return GpuRun(
        command=command,
        started=started.isoformat(timespec="seconds"),
        device=_name(extent.device),
        torch=torch.__version__,
        dtype=str(extent.dtype).removeprefix("torch."),
        graphs=extent.graphs,
        teraflops=limits.flops / 1e12,
        gigabytes_per_second=limits.bandwidth / 1e9,
        pipeline=spec.name,
        members=members,
        ensemble_images_per_second=rate,
        decoded_per_core_second=per_core,
        decode_cores=decoding.cores(rate, per_core),
        ensemble=tuple(served),
        ensemble_missing=missing,
    )


def in_turn(rates: list[float]) -> float:
    """Images a second of a device that sends each through several networks of these rates."""
    return 1 / sum(1 / rate for rate in rates)


def _named(extent: Extent) -> list[tuple[str, str, int]]:
    """Name, architecture and logits of each member to run."""
    if extent.architectures:
        return [(name, name, len(extent.spec.classes)) for name in extent.architectures]
    return [
        (name, facts.architecture, extent.spec.logits(name))
        for name, facts in extent.spec.members.items()
        if facts.weight and facts.quantisation is None
    ]


def _member(
    extent: Extent, named: tuple[str, str, int], limits: Roofline, on_step: OnStep
) -> MemberResult:
    name, architecture, logits = named
    size = extent.spec.preprocessing.size
    assert size is not None  # noqa: S101 - measure() refuses others
    model = member.build(architecture, logits, extent.device, extent.dtype)
    image = torch.randn(1, 3, *size, device=extent.device).to(extent.dtype)
    needs = member.work(model, image)
    points = []
    on_step(f"{name}: {needs.flops / 1e9:.2f} GFLOP an image")
    found = member.speeds(model, needs, image, extent.batches, limits, graphs=extent.graphs)
    for speed in found:
        on_step(
            f"{name}, batch {speed.batch}: {speed.images_per_second:.0f} images/s, "
            f"{speed.share:.0%} of the limit ({speed.bound})"
        )
        points.append(
            Point(
                batch=speed.batch,
                images_per_second=speed.images_per_second,
                limit=speed.limit,
                bound=speed.bound,
            )
        )
    if not points:
        raise LabError(f"{name}: the smallest batch does not fit the device's memory")
    return MemberResult(
        name=name,
        architecture=architecture,
        gigaflops=needs.flops / 1e9,
        points=tuple(points),
    )


def _missing(extent: Extent) -> str | None:
    if extent.device.type != "cuda":
        return "it runs on a GPU only"
    if extent.architectures:
        return "other architectures than the pipeline's were asked for"
    return ensemble.missing(extent.spec)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
