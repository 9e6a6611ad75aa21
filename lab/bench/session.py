"""Starts one contender, checks its answers, measures it under load, and stops it."""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.bench import raw
from lab.bench.contender import Contender, Deployment, Place
from lab.bench.workload import WORKLOADS
from lab.errors import ContenderError, LabError
from lab.load.__main__ import Target
from lab.load.closed_loop import TOLERANCE
from lab.load.generator import Generator
from lab.load.grpc import PROBABILITIES
from lab.paths import ROOT
from lab.service.process_tree import ProcessTree
from pipelines.enums import Task
from pipelines.protocol import Detected

_COLD_START_WITHIN = 120.0
_TRY_FOR = 2.0
"""How long one wait for an answer is, after which is looked whether the process still lives."""
_DETECTED = (
    Detected.BOXES,
    Detected.SCORES,
    Detected.CLASSES,
    Detected.AREAS,
    Detected.IMAGE_SIZE,
)
_OUTPUTS = {Task.DETECTION: _DETECTED, Task.SEGMENTATION: (*_DETECTED, Detected.MASKS)}
"""That are asked for over gRPC, by the task of a workload: what other servers answer, too."""
_COMPARED_AT = 8
"""Concurrency of the comparison: answers out of batches are compared too."""


@dataclass(frozen=True)
class RunContext:
    """What all sessions of a run share."""

    repository: Path
    photos: dict[str, Path]
    """A folder of JPEGs, by workload."""
    plans: dict[str, Path]
    """By workload."""
    references: dict[str, list[list[float]]]
    """Numbers of each photo's right answer, by workload."""
    classes: dict[str, Sequence[str]]
    """In the order of the probabilities, by workload."""
    scratch: Path
    """For logs and run-time files."""


class Session:
    """A contender in one of its deployments; ends with its context."""

    def __init__(self, context: RunContext, contender: Contender, deployment: Deployment) -> None:
        self._context, self._contender = context, contender
        self._first = deployment.workloads[0]
        self._name = f"{contender.name}-{self._first}"
        self._temporary = tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)
        self._launch = deployment.launch(
            Place(
                plan=context.plans[self._first],
                repository=context.repository,
                run=context.scratch / "run" / self._name,
                temporary=Path(self._temporary.name),
            )
        )
        self._tree: ProcessTree | None = None
        self._generators: dict[tuple[str, bool], Generator] = {}

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        if self._tree is not None:
            self._tree.stop()
        # Afterwards, so that no request is cut off from this side: see lab/load/grpc.py.
        for generator in self._generators.values():
            generator.stop()
        self._temporary.cleanup()

    def start(self) -> float:
        """Starts its processes; seconds from there to its first answer, which is right.

        Raises:
            ContenderError: it ended, or gave no answer in time.
            LabError: the answer is wrong.
        """
        generator = self.generator(self._first)
        started = time.monotonic()
        self._tree = ProcessTree(
            self._launch.argv,
            environment={**self._launch.environment, "TMPDIR": self._temporary.name},
            folder=ROOT,
            log=self._context.scratch / "logs" / f"{self._name}.log",
        )
        while (first := generator.first(_TRY_FOR)).at is None:
            if self._tree.ended or time.monotonic() - started > _COLD_START_WITHIN:
                words = self._tree.log_tail()
                raise ContenderError(f"does not start: {first.failed}; its log:\n{words}")
        self._require_same(self._first, first.apart)
        return first.at - started

    def compare(self, workload: str) -> float:
        """Asks about all photos; the largest difference of a probability from the reference.

        Raises:
            ContenderError: a photo was not answered.
            LabError: the difference is too large.
        """
        apart = self.generator(workload, patient=True).check(_COMPARED_AT)
        self._require_same(workload, apart)
        return apart

    @property
    def tree(self) -> ProcessTree:
        """The contender's processes, once they were started."""
        assert self._tree is not None, "start() comes first"  # noqa: S101
        return self._tree

    def _require_same(self, workload: str, apart: float) -> None:
        if apart > TOLERANCE:
            raise LabError(
                f"{self._contender.name}, {workload}: its probabilities differ from the "
                f"reference by {apart:.2g}, more than {TOLERANCE:g}: it does other work than the "
                "others, so nothing is timed. Find the difference first"
            )

    def cells(
        self,
        round_: int,
        workload: str,
        concurrency: tuple[int, ...],
        seconds: float,
        beside: Callable[[], raw.Limit],
    ) -> Iterator[raw.Cell]:
        """One cell for each concurrency, each after a wave that does not count.

        `beside` measures the limit; it is called before the first cell and after each.
        """
        generator = self.generator(workload)
        limit = beside()
        for workers in concurrency:
            generator.warm(workers)
            before = self.tree.cpu_seconds()
            found = generator.cell(workers, seconds)
            cpu = self.tree.cpu_seconds() - before
            memory = self.tree.memory()
            last, limit = limit, beside()
            yield raw.Cell(
                round=round_,
                contender=self._contender.name,
                workload=workload,
                concurrency=workers,
                cpu_seconds=cpu,
                pss_mib=memory.pss,
                uss_mib=memory.uss,
                limits=(last, limit),
                **found,
            )

    def generator(self, workload: str, *, patient: bool = False) -> Generator:
        """One for each workload, started when it is first needed; a patient one asks for time."""
        key = (workload, patient and bool(self._contender.patience))
        if key not in self._generators:
            path, parameters = self._contender.ask(WORKLOADS[workload])
            target = Target(
                protocol=self._contender.protocol,
                port=self._launch.port,
                path=path,
                parameters=parameters,
                classes=list(self._context.classes[workload]),
                photos=str(self._context.photos[workload]),
                reference=self._context.references[workload],
                headers={**self._launch.headers, **(self._contender.patience if key[1] else {})},
                outputs=list(_OUTPUTS.get(WORKLOADS[workload].task, PROBABILITIES)),
            )
            log = self._context.scratch / "logs" / f"{self._name}-generator.log"
            self._generators[key] = Generator(target, ROOT, log)
        return self._generators[key]
