"""Formats a run on a GPU as Markdown."""

from lab.gpu.raw import GpuRun
from lab.markdown import table


def page(run: GpuRun) -> str:
    """The whole page."""
    return "\n".join(
        [
            f"# {run.pipeline} on {run.device}\n",
            "<!-- Written by `python -m lab.gpu`: run that again instead of editing. -->\n",
            _measured(run),
            _members(run),
            _beside(run),
            _ensemble(run),
        ]
    )


def _measured(run: GpuRun) -> str:
    graphs = ", CUDA graphs" if run.graphs else ""
    return (
        f"`{run.command}` on {run.started[:10]}; torch {run.torch}, {run.dtype}, channels last"
        f"{graphs}, random weights. Measured limits of the device: {run.teraflops:.1f} TFLOP/s "
        f"(matrix product), {run.gigabytes_per_second:.0f} GB/s (copy). *limit*: what these two "
        "allow.\n"
    )


def _beside(run: GpuRun) -> str:
    return (
        "All members in turn, each at its best batch: at most "
        f"{run.ensemble_images_per_second:.0f} images/s. One core decodes "
        f"{run.decoded_per_core_second:.0f} photos/s (640 x 480, exactly as in training), so this "
        f"needs {run.decode_cores} cores for decoding alone.\n"
    )


def _members(run: GpuRun) -> str:
    lines = [
        [
            f"{member.name} ({member.architecture})",
            f"{member.gigaflops:.2f}",
            f"{point.batch}",
            f"{point.images_per_second:.0f}",
            f"{point.limit:.0f}",
            f"{point.images_per_second / point.limit:.0%}",
            point.bound,
        ]
        for member in run.members
        for point in member.points
    ]
    head = ["member", "GFLOP an image", "batch", "images/s", "limit", "of the limit", "limited by"]
    return table(head, lines)


def _ensemble(run: GpuRun) -> str:
    if not run.ensemble:
        return f"The ensemble through Triton was not measured: {run.ensemble_missing}.\n"
    lines = [
        [
            f"{each.callers}",
            f"{each.images_per_second:.0f}",
            f"{each.p50_ms or 0:.1f}",
            f"{each.p99_ms or 0:.1f}",
            f"{sum(each.cpu_ms.values()):.1f}",
        ]
        for each in run.ensemble
    ]
    head = ["callers", "images/s", "p50 ms", "p99 ms", "CPU ms an image"]
    return "## Through the gateway and Triton\n\n" + table(head, lines)
