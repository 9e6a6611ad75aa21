"""The workloads of the benchmark: which pipeline and models, with which weights."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.bench.plan import Member, Plan
from lab.errors import LabError
from pipelines.enums import Decoding, Task
from pipelines.profile import DEFAULT_PROFILE
from pipelines.protocol import DEFAULT_PIPELINE
from pipelines.release import Release, ReleaseError
from pipelines.release_files import version_folder

PIPELINE = DEFAULT_PIPELINE
"""Of the closed loops."""


@dataclass(frozen=True)
class Workload:
    """A question of a pipeline, answered from the same ONNX files by everyone."""

    name: str
    title: str
    profiles: Mapping[Decoding, str]
    """The serving profiles that have its members, by how they decode."""
    pipeline: str = PIPELINE
    task: Task = Task.CLASSIFICATION
    alone: str | None = None
    """The only member that is asked; None: all that the profile gives a weight."""
    against: str | None = None
    """The workload whose limit is the measure; None: its own."""
    longer: int = 1
    """A cell lasts so many times the seconds asked for: where an image takes long, the moments at
    its end, when the last ones are answered and cores rest already, would count for too much."""
    requests: int = 500
    """That arrive in one point of an open load: of 500, five may miss the bound. Fewer where an
    image takes long; of 100 only one may."""
    closed_loops: bool = True
    """Whether it is asked in closed loops, too."""

    def plan(self, repository: Path, decoding: Decoding) -> Plan:
        """The files and weights of the release that serves it in a model repository.

        Raises:
            LabError: no profile or no release serves it.
        """
        if decoding not in self.profiles:
            raise LabError(f"{self.name}: no profile serves it that decodes by `{decoding}`")
        profile = self.profiles[decoding]
        try:
            release = Release.current(self.pipeline, profile, repository)
        except ReleaseError as error:
            raise LabError(
                f"{error}\nWithout weights: python -m demo {self.pipeline} --profile {profile}"
            ) from None
        spec = release.spec
        weights = {name: member.weight for name, member in spec.members.items() if member.weight}
        asked = {self.alone: 1.0} if self.alone else weights
        return Plan(
            members=tuple(
                Member(str(repository / _artefact(release, self.pipeline, name)), weight)
                for name, weight in asked.items()
            ),
            spec=spec.model_dump(mode="json"),
        )


_TOGETHER = {Decoding.EXACT: "onnx", Decoding.FAST: "onnx_fast"}
_DEFAULT = {Decoding.EXACT: DEFAULT_PROFILE}
WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("heavy", "VGG16 and RegNetY, weighted", _TOGETHER, longer=3, requests=150),
        Workload("light", "RegNetY alone", _TOGETHER, alone="regnet_onnx"),
        Workload(
            "int8",
            "VGG16 and RegNetY in INT8, weighted",
            {Decoding.EXACT: "int8"},
            against="heavy",
            longer=2,
            requests=300,
        ),
        Workload(
            "snakes", "MobileNetV3, snake species", _DEFAULT, "snake_species", closed_loops=False
        ),
        Workload(
            "polyps",
            "ViT and MLP, weighted, histopathology",
            _DEFAULT,
            "mhist",
            longer=3,
            requests=100,
            closed_loops=False,
        ),
        Workload(
            "objects",
            "YOLOS, boxes",
            _DEFAULT,
            "object_detection",
            Task.DETECTION,
            longer=2,
            requests=150,
            closed_loops=False,
        ),
        Workload(
            "lesions",
            "Mask R-CNN, boxes and masks",
            _DEFAULT,
            "cervical_lesions",
            Task.SEGMENTATION,
            longer=2,
            requests=150,
            closed_loops=False,
        ),
    )
}


def measure_of(name: str, asked: Collection[str]) -> str:
    """The workload whose limit one is compared with, of those that a run has."""
    against = WORKLOADS[name].against
    return against if against is not None and against in asked else name


def _artefact(release: Release, pipeline: str, member: str) -> Path:
    version = release.members[member].version
    filename = release.spec.members[member].format.filename
    return version_folder(pipeline, member, version) / filename
