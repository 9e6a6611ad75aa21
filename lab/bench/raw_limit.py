"""Runs `lab.bench.limit`: as one process with all threads, and as one process on each core."""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.bench import raw
from lab.bench.plan import VARIABLE
from lab.load import generator
from lab.machine import CORES
from lab.paths import ROOT
from lab.service.process_tree import ProcessTree


@dataclass(frozen=True)
class Shape:
    """How the cores are used: `processes` x `threads` = cores."""

    processes: int
    threads: int


SHAPES = tuple(dict.fromkeys((Shape(1, CORES), Shape(CORES, 1))))


def joined(parts: Sequence[tuple[int, float]]) -> tuple[int, float]:
    """The images of processes side by side, and the seconds in which all of them do so many.

    Each stops after a batch of its own; that a core rests until the last one has done so is no
    part of the limit. So their rates are added.

    Args:
        parts: images and seconds of each.
    """
    images = sum(count for count, _ in parts)
    return images, images / sum(count / seconds for count, seconds in parts)


class RawLimit:
    """The limit of one workload."""

    def __init__(self, workload: str, plan: Path, photos: Path, logs: Path) -> None:
        self.workload, self._plan, self._photos, self._logs = workload, plan, photos, logs
        self.best: dict[Shape, int] = {}
        """The best batch of each shape, once `search` found it."""
        self._fastest = SHAPES[0]
        self._stack = ExitStack()
        self._kept: list[ProcessTree] = []

    def close(self) -> None:
        """Ends what `beside` keeps running."""
        self._stack.close()

    def reference(self) -> list[list[float]]:
        """The numbers of each photo's right answer, one at a time."""
        with self._running(Shape(1, CORES)) as trees:
            answer = generator.talk(trees[0], {"photos": True})
        numbers: list[list[float]] = answer["numbers"]
        return numbers

    def search(self, batches: Sequence[int], seconds: float) -> list[raw.Limit]:
        """Tries batches with each shape, and keeps the best."""
        cells = []
        for shape in SHAPES:
            with self._running(shape) as trees:
                tried = [self._cell(trees, shape, batch, seconds, -1) for batch in batches]
            self.best[shape] = max(tried, key=lambda cell: cell.rate).batch
            cells += tried
        fastest = max(cells, key=lambda cell: cell.rate)
        self._fastest = Shape(fastest.processes, fastest.threads)
        return cells

    def beside(self, round_: int, seconds: float) -> raw.Limit:
        """The best shape once more, at once: its processes stay, and rest until the next time."""
        shape = self._fastest
        if not self._kept:
            self._kept = self._stack.enter_context(self._running(shape))
        return self._cell(self._kept, shape, self.best[shape], seconds, round_)

    def measure(self, round_: int, seconds: float) -> list[raw.Limit]:
        """Each shape with its best batch."""
        cells = []
        for shape, batch in self.best.items():
            with self._running(shape) as trees:
                cells.append(self._cell(trees, shape, batch, seconds, round_))
        return cells

    def _cell(
        self, trees: list[ProcessTree], shape: Shape, batch: int, seconds: float, round_: int
    ) -> raw.Limit:
        words = {"batch": batch, "seconds": seconds}
        with ThreadPoolExecutor(len(trees)) as pool:
            answers = list(pool.map(lambda tree: generator.talk(tree, words), trees))
        images, taken = joined([(answer["images"], answer["seconds"]) for answer in answers])
        return raw.Limit(
            round=round_,
            workload=self.workload,
            processes=shape.processes,
            threads=shape.threads,
            batch=batch,
            images=images,
            seconds=taken,
            cpu_seconds=sum(answer["cpu_seconds"] for answer in answers),
            pss_mib=sum(tree.memory().pss for tree in trees),
        )

    @contextmanager
    def _running(self, shape: Shape) -> Iterator[list[ProcessTree]]:
        trees: list[ProcessTree] = []
        command = ["-m", "lab.bench.limit", "--photos", str(self._photos)]
        try:
            for number in range(shape.processes):
                trees.append(
                    ProcessTree(
                        [sys.executable, *command, "--threads", str(shape.threads)],
                        environment={VARIABLE: str(self._plan)},
                        folder=ROOT,
                        log=self._logs / f"limit-{self.workload}-{number}.log",
                        pipes=True,
                    )
                )
            yield trees
        finally:
            for tree in trees:
                tree.stop()
