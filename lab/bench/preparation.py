"""Prepares a run: plans, photos, right answers, and the contenders that can be started."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab.bench import environment, raw
from lab.bench.contender import Contender, Deployment
from lab.bench.raw_limit import RawLimit
from lab.bench.session import RunContext
from lab.bench.workload import WORKLOADS
from lab.errors import ContenderError
from lab.load import photos
from lab.paths import CACHE
from pipelines.enums import Decoding

LIMIT_SHARE = 0.4
"""Of a cell's seconds, for each batch that the search for the limit tries, and for the limit
before and after a cell."""

Start = tuple[Contender, Deployment]
OnStep = Callable[[str], None]
OnFailure = Callable[[Contender, str], None]


@dataclass(frozen=True)
class Prepared:
    """What sessions need."""

    context: RunContext
    limits: dict[str, RawLimit]
    """By workload."""
    searched: list[raw.Limit] = field(default_factory=list)
    """Cells of the search for each limit's best batch."""


@contextmanager
def prepared(
    workloads: Sequence[str],
    *,
    decoding: Decoding,
    photo_size: tuple[int, int],
    repository: Path,
    batches: Sequence[int],
    seconds: float,
    on_step: OnStep,
) -> Iterator[Prepared]:
    """Everyone's right answers, and the best batch of each limit, whose processes end with it.

    Args:
        workloads: names.
        decoding: how everyone decodes.
        photo_size: width and height.
        repository: Triton's.
        batches: that the search for a limit tries; none: no limit is measured.
        seconds: of a cell; more of slow workloads.
        on_step: told of each step.

    Raises:
        LabError: models are missing.
    """
    plans = {name: WORKLOADS[name].plan(repository, decoding) for name in workloads}
    paths = {name: plan.write(CACHE / "plans" / f"{name}.json") for name, plan in plans.items()}
    on_step("photos")
    folders = {name: photos.ensure_for(WORKLOADS[name].pipeline, photo_size) for name in workloads}
    limits: dict[str, RawLimit] = {}
    references: dict[str, list[list[float]]] = {}
    searched: list[raw.Limit] = []
    with ExitStack() as stack:
        for name, path in paths.items():
            limits[name] = limit = RawLimit(name, path, folders[name], CACHE / "logs")
            stack.callback(limit.close)
            on_step(f"limit, {name}: reference, best batch")
            references[name] = limit.reference()
            if batches:
                searched += limit.search(batches, seconds * WORKLOADS[name].longer * LIMIT_SHARE)
        context = RunContext(
            repository=repository,
            photos=folders,
            plans=paths,
            references=references,
            classes={name: plan.spec["classes"] for name, plan in plans.items()},
            scratch=CACHE,
        )
        yield Prepared(context, limits, searched)


def deployments(
    contenders: Sequence[Contender],
    workloads: Sequence[str],
    decoding: Decoding,
    on_step: OnStep,
    on_failure: OnFailure,
) -> Iterator[Start]:
    """Of the contenders that serve what is asked and whose environment can be built.

    Each deployment has those of its workloads that are asked.
    """
    for contender in contenders:
        asked = [
            replace(deployment, workloads=names)
            for deployment in contender.deployments
            if decoding in deployment.decodings
            and (names := tuple(name for name in deployment.workloads if name in workloads))
        ]
        if not asked:
            on_step(f"{contender.name}: serves nothing of what is asked")
            continue
        on_step(f"{contender.name}: environment")
        try:
            if contender.environment:
                environment.ensure(contender.environment)
        except ContenderError as error:
            on_failure(contender, str(error))
            continue
        for deployment in asked:
            yield contender, deployment


def described(starts: Sequence[Start]) -> list[raw.Described]:
    """The contenders of these deployments, with their versions."""
    each = {contender.name: contender for contender, _ in starts}
    return [environment.described(contender, sys.executable) for contender in each.values()]
