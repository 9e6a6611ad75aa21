"""Writes many rows of the audit log into a database, rolls them up, and times questions."""

import json
import random
import resource
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, insert, select

from database.engine import open_engine, reading, upgrade
from database.tables import chains, predictions, usage_hours
from database.usage import HOUR, Dimension, check, refresh, totals

_HOURS = 720
_FIRST_HOUR = 490_000
_AT_ONCE = 10_000
_OUTCOMES = [None] * 18 + ["image_undecodable", "image_quality"]
_LEVELS = ("low", "low", "low", "medium", "high")
_PIPELINES = ("oral_cancer", "cervical_lesions", "mhist")
_KIB = 1024


@dataclass(frozen=True)
class Measured:
    """Seconds of each step, and what came of it."""

    written: float
    rolled_up: float
    hours: int
    """Rows of the sums by the hour."""
    questions: dict[str, tuple[float, float]]
    """Seconds of each, and the CPU seconds among them."""
    memory_mib: float
    """The process's highest, less what it was before the questions and the roll-up."""
    differences: int
    """Sums that are not those of the rows."""


def measure(path: Path, count: int, callers: int) -> Measured:
    """Makes a database of so many rows of a month, and asks it.

    Args:
        path: of a SQLite file that is not there yet.
        count: rows.
        callers: who sent them.
    """
    engine = open_engine(f"sqlite:///{path}")
    upgrade(engine)
    began = time.perf_counter()
    _write(engine, count, callers)
    written = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refresh(engine)
    rolled_up = time.perf_counter()
    questions = {}
    for by in ([], *([each] for each in Dimension), [Dimension.CALLER, Dimension.HOUR]):
        asked, before_it = time.perf_counter(), time.process_time()
        # As the route does it: what came since is rolled up first.
        refresh(engine)
        totals(engine, by, since=0, until=10**6, where={}, limit=10_001)
        took = (time.perf_counter() - asked, time.process_time() - before_it)
        questions["by " + (",".join(by) or "nothing")] = took
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    with reading(engine).connect() as connection:
        hours = connection.scalar(select(func.count()).select_from(usage_hours)) or 0
    differences = len(check(engine))
    engine.dispose()
    return Measured(
        written - began, rolled_up - written, hours, questions, memory / _KIB, differences
    )


def _write(engine: Engine, count: int, callers: int) -> None:
    begun = {"chain": "lab", "gateway": "lab", "at": 0, "genesis": "0" * 64, "probed_at": 0}
    with engine.begin() as connection:
        connection.execute(insert(chains), begun)
    rows = _rows(count, callers)
    for start in range(0, count, _AT_ONCE):
        some = [next(rows) for _ in range(min(_AT_ONCE, count - start))]
        with engine.begin() as connection:
            connection.execute(insert(predictions), some)


def _rows(count: int, callers: int) -> Iterator[dict[str, Any]]:
    """Rows in the order of their times, spread over a month."""
    choose = random.Random(1)  # noqa: S311 - no secret
    for position in range(1, count + 1):
        hour = _FIRST_HOUR + _HOURS * (position - 1) // count
        caller, refusal = f"caller-{choose.randrange(callers)}", choose.choice(_OUTCOMES)
        result, compute = None, None
        if refusal is None:
            result = json.dumps({"uncertainty": {"level": choose.choice(_LEVELS)}})
            parts = ("decode", "vgg16", "regnet", "decision")
            compute = json.dumps(
                {name: {"seconds": choose.random() / 20, "device": "cpu"} for name in parts}
            )
        yield {
            "id": str(uuid.UUID(int=position)),
            "chain": "lab",
            "position": position,
            "at": hour * HOUR + position % HOUR,
            "event": "prediction",
            "principal_id": caller,
            "principal_kind": "key",
            "credential": caller,
            "tenant": caller,
            "request_id": str(position),
            "transport": "http",
            "route": "predict",
            "pipeline": choose.choice(_PIPELINES),
            "release": None if refusal else "1-3fa9c2d1",
            "input_bytes": 200_000,
            "input_format": "jpeg",
            "parameters": "{}",
            "result": result,
            "refusal": refusal,
            "stages": "{}",
            "compute": compute,
            "kept": False,
            "previous": "0" * 64,
            "hash": "0" * 64,
        }
