"""Formats the size of a cluster as Markdown tables."""

import json
from pathlib import Path

from lab.markdown import table
from lab.scale.raw import Curve, Scale
from lab.scale.sizing import GPUS, HEADROOM, RATES, Costs, beside, busiest, step

ASSUMED_RATE = 2000.0
"""Images a second of a GPU until one is measured: an assumption."""

_BESIDE = f"""\
Cores at {HEADROOM:.0%} of their time, from the costs above; network without answers. The images a \
second of a GPU are assumptions, whatever GPU makes them.
"""
_STEPS = """\
Each GPU makes {rate:g} images/s ({source}). Read from the model store: by all nodes at once, \
when each GPU's node takes a release anew.
"""


def on_paper(scale: Scale, costs: Costs, gpu: Path) -> str:
    """The tables, computed from a run.

    Args:
        scale: the run.
        costs: of one photo, from it.
        gpu: what `python -m lab.gpu` measured, if it ran.
    """
    rate, source = _gpu_rate(gpu)
    return "\n".join(
        [
            "### What one core answers\n",
            _one_core(scale, costs),
            "### What a GPU needs beside it\n",
            _BESIDE,
            _beside(costs),
            "### From one machine to a thousand GPUs\n",
            _STEPS.format(rate=rate, source=source),
            _steps(scale, costs, rate),
        ]
    )


def _one_core(scale: Scale, costs: Costs) -> str:
    steps = {
        "gateway": costs.gateway,
        "tritonserver": costs.triton,
        "decode": costs.decode,
        "decision": costs.decision,
        "members on the CPU": costs.members,
        "all of it": costs.beside + costs.members,
        "all but the members": costs.beside,
    }
    lines = [
        [name, f"{ms:.2f}", f"{1000 / ms:.0f}", f"{1000 * HEADROOM / ms:.0f}"]
        for name, ms in steps.items()
        if ms
    ]
    head = ["step", "CPU ms an image", "images/s a core", f"planned, at {HEADROOM:.0%}"]
    light, every = scale.of(Curve.LIGHT)[-1], busiest(scale)
    return (
        f"The members' figures are those of {every.x:g} callers above; the others' those of "
        f"{light.x:g} callers who ask for `{scale.lightest}` alone, where there is most to do "
        "for them.\n\n" + table(head, lines)
    )


def _beside(costs: Costs) -> str:
    head = ["GPU's images/s", "gateway", "tritonserver", "decode", "decision", "cores", "Gbit/s"]
    lines = []
    for rate in RATES:
        need = beside(costs, rate)
        parts = (need.gateway, need.triton, need.decode, need.decision, need.all)
        lines.append([f"{rate}", *(f"{part:.1f}" for part in parts), f"{need.gigabits:.2f}"])
    return table(head, lines)


def _steps(scale: Scale, costs: Costs, rate: float) -> str:
    head = [
        "GPUs",
        "images/s",
        "cores beside",
        "gateway processes",
        "Gbit/s in",
        "Prometheus series",
        "samples/s",
        "GiB from the model store",
    ]
    lines = []
    for gpus in GPUS:
        at = step(costs, scale, gpus, rate)
        lines.append(
            [
                f"{gpus}",
                f"{at.rate:.0f}",
                f"{at.cores:.0f}",
                f"{at.gateways}",
                f"{at.gigabits:.1f}",
                f"{at.series}",
                f"{at.samples:.0f}",
                f"{at.rollout_gib:.1f}",
            ]
        )
    return table(head, lines)


def _gpu_rate(path: Path) -> tuple[float, str]:
    """Of the slowest way of the ensemble's members on a GPU, if it was measured."""
    if not path.is_file():
        return ASSUMED_RATE, "an assumption: no GPU was measured"
    facts = json.loads(path.read_text("utf-8"))
    return float(facts["ensemble_images_per_second"]), f"measured on {facts['device']}"
