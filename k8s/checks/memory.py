"""Checks that each Triton pod has the memory which its pipelines need."""

from collections.abc import Iterator
from pathlib import Path

import yaml
from pydantic import BaseModel

from k8s.checks.errors import ChecksError
from k8s.checks.rendering import Rendered
from k8s.checks.workloads import workloads

_FILE = Path(__file__).with_suffix(".yaml")
_UNITS = {"Mi": 1 / 1024, "Gi": 1.0, "Ti": 1024.0}
_PIPELINES = "--pipelines="


class Needs(BaseModel):
    """GiB of a Triton pod; the file says how they were measured."""

    itself: float
    pipelines: dict[str, float]
    spare: float

    def of(self, asked: str) -> float:
        """GiB for the launcher's `--pipelines`: names with commas, or `all`.

        Raises:
            ChecksError: one has no figure.
        """
        names = list(self.pipelines) if asked == "all" else asked.split(",")
        if unknown := [name for name in names if name not in self.pipelines]:
            raise ChecksError(f"{_FILE.name}: no figure for {', '.join(unknown)}; measure it")
        return self.itself + sum(self.pipelines[name] for name in names)


def problems(rendered: Rendered) -> Iterator[str]:
    """Requests below what the pipelines need, limits without room for large photos."""
    needs = Needs.model_validate(yaml.safe_load(_FILE.read_text("utf-8")))
    for overlay in rendered.overlays:
        for workload in workloads(overlay):
            for container in workload.pod["containers"]:
                words = container.get("args", [])
                asked = [word for word in words if word.startswith(_PIPELINES)]
                for word in asked:
                    need = needs.of(word.removeprefix(_PIPELINES))
                    least = {"requests": need, "limits": need + needs.spare}
                    for kind, gib in least.items():
                        amount = container["resources"][kind]["memory"]
                        if _gib(amount) < gib:
                            yield (
                                f"{overlay.name}: {workload.name}: {word}: resources.{kind}.memory "
                                f"is {amount}; it needs {gib:.1f}Gi ({_FILE.name})"
                            )


def _gib(amount: str) -> float:
    """A quantity of memory in GiB.

    Raises:
        ChecksError: it has none of the usual units.
    """
    number, unit = amount[:-2], amount[-2:]
    if unit not in _UNITS:
        raise ChecksError(f"memory: {amount}: write it in {', '.join(_UNITS)}")
    return float(number) * _UNITS[unit]
