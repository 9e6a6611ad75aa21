"""What the audit log's rows say of photos and of answers, as samples to compare."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Engine, select

from database.clock import microseconds
from database.engine import reading
from database.tables import predictions
from pipelines.enums import Measure
from pipelines.protocol import NAMED_RELEASE, Parameter

FOLDER = "drift"
_PREDICTION = "prediction"
_CHANGE_ANSWERS = {str(Parameter.MEMBER), str(Parameter.THRESHOLD)}


class Kind(StrEnum):
    """What a figure is of."""

    INPUT = "input"
    """Photos, whatever the models say: brightness, sharpness, size, format, typicality."""
    ANSWER = "answer"


INPUT_NUMBERS = (*map(str, Measure), "megabytes", "typicality")
INPUT_WORDS = ("format",)
ANSWER_NUMBERS = ("confidence", "disagreement", "detections", "score")
ANSWER_WORDS = ("class", "uncertainty")


def kind_of(figure: str) -> Kind:
    """Whether a figure is of photos or of answers."""
    return Kind.INPUT if figure in {*INPUT_NUMBERS, *INPUT_WORDS} else Kind.ANSWER


class Figures(BaseModel):
    """Samples by figure; a photo may lack some.

    Attributes:
        photos: How many rows they are of.
        numbers: In the units of the answers; of `megabytes` of the encoded photo.
        words: Counts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    photos: int
    numbers: dict[str, list[float]]
    words: dict[str, dict[str, int]]


def gather(
    engine: Engine,
    pipeline: str,
    release: str,
    since: datetime | None,
    until: datetime | None,
) -> Figures:
    """The figures of a release's answers in a time; refused requests have none.

    Raises:
        SQLAlchemyError: The database is gone.
    """
    table = predictions.c
    chosen = select(table.result, table.input_bytes, table.input_format, table.parameters).where(
        table.pipeline == pipeline,
        table.release == release,
        table.event == _PREDICTION,
        table.result.is_not(None),
    )
    if since is not None:
        chosen = chosen.where(table.at >= microseconds(since))
    if until is not None:
        chosen = chosen.where(table.at < microseconds(until))
    with reading(engine).connect() as connection:
        rows = connection.execution_options(yield_per=1000).execute(chosen).mappings()
        return collect(
            (
                json.loads(row["result"]),
                row["input_bytes"],
                row["input_format"],
                json.loads(row["parameters"]),
            )
            for row in rows
        )


def reference_at(repository: Path, pipeline: str, release: str) -> Path:
    """Where the reference of a release is kept, which figures are compared with."""
    return repository / pipeline / FOLDER / f"{release}.json"


def collect(
    rows: Iterable[tuple[Mapping[str, Any], int | None, str | None, Mapping[str, Any]]],
) -> Figures:
    """The figures of rows: each has its result, bytes, format and the request's parameters."""
    photos = 0
    numbers: dict[str, list[float]] = {}
    words: dict[str, Counter[str]] = {}
    for result, size, photo_format, parameters in rows:
        if NAMED_RELEASE in parameters:
            # A gate's canary photos, and no traffic.
            continue
        photos += 1
        found = dict(_of_photo(result, size))
        # Who asked one member alone, or chose a threshold, got other answers than the release's.
        if not _CHANGE_ANSWERS & parameters.keys():
            found |= dict(_of_answer(result))
            for name, word in _words(result):
                words.setdefault(name, Counter())[word] += 1
        if photo_format is not None:
            words.setdefault("format", Counter())[photo_format] += 1
        for name, value in found.items():
            numbers.setdefault(name, []).append(value)
    return Figures(
        photos=photos,
        numbers=numbers,
        words={name: dict(counts) for name, counts in words.items()},
    )


def _of_photo(result: Mapping[str, Any], size: int | None) -> Iterator[tuple[str, float]]:
    quality = result.get("quality") or {}
    for name in map(str, Measure):
        if (value := quality.get(name)) is not None:
            yield name, float(value)
    if size is not None:
        yield "megabytes", size / 1e6
    if (typicality := (result.get("input") or {}).get("typicality")) is not None:
        yield "typicality", float(typicality)


def _of_answer(result: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    if (confidence := result.get("confidence")) is not None:
        yield "confidence", float(confidence)
    if (disagreement := (result.get("uncertainty") or {}).get("disagreement")) is not None:
        yield "disagreement", float(disagreement)
    if (found := result.get("predictions")) is not None:
        yield "detections", float(len(found))
        if found:
            yield "score", sum(float(each["score"]) for each in found) / len(found)


def _words(result: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if (prediction := result.get("prediction")) is not None:
        yield "class", str(prediction)
    # Of a detector that of the surest detection: those of one image are no independent draws.
    if (found := result.get("predictions")) is not None:
        surest = max(found, key=lambda each: float(each["score"]), default=None)
        yield "class", "none" if surest is None else str(surest["class"])
    if (level := (result.get("uncertainty") or {}).get("level")) is not None:
        yield "uncertainty", str(level)
