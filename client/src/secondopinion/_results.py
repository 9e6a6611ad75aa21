"""The results file of an offline run: its columns, and its formats CSV, JSON lines, Parquet."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from secondopinion._atomic_write import atomic_write
from secondopinion._record import Record

Kind = Literal["text", "number", "whole"]
Cell = str | float | int | None

_FIRST: dict[str, Kind] = {"file": "text", "status": "text"}
_CLASS: dict[str, Kind] = {
    "prediction": "text",
    "confidence": "number",
    "probabilities": "text",
    "set": "text",
    "coverage": "number",
    "calibrated": "text",
    "uncertainty": "text",
    "disagreement": "number",
    "opinions": "text",
}
_FOUND: dict[str, Kind] = {
    "count": "whole",
    "predictions": "text",
    "width": "whole",
    "height": "whole",
    "visualization": "text",
}
_LAST: dict[str, Kind] = {
    "typical": "text",
    "typicality": "number",
    "warnings": "text",
    "quality": "text",
    "threshold": "number",
    "pipeline": "text",
    "release": "text",
    "member": "text",
    "weights": "text",
    "request_id": "text",
    "prediction_id": "text",
    "receipt": "text",
    "error": "text",
    "detail": "text",
    "sha256": "text",
}

_ROW_GROUP = 10_000  # rows of a Parquet file that are in memory at a time


def columns(*, detects: bool) -> dict[str, Kind]:
    """Names and kinds, in their order; the same whatever the options of the run."""
    return _FIRST | (_FOUND if detects else _CLASS) | _LAST


def check(path: Path) -> None:
    """Refuses a file of results that cannot be written, before the first photo is sent.

    Raises:
        ValueError: The suffix is unknown, a package is missing, or there is no such directory.
    """
    if path.suffix.lower() not in _WRITERS:
        known = ", ".join(_WRITERS)
        raise ValueError(f"{path}: unknown format; let the name end in one of {known}")
    if not path.parent.is_dir():
        raise ValueError(f"{path.parent}: no such directory; make it first")
    if path.is_dir():
        raise ValueError(f"{path}: is a directory; name a file")
    if path.suffix.lower() == ".parquet":
        try:
            # Imported and not only looked for: beside an old NumPy it is there and does not work.
            import pyarrow.parquet  # type: ignore[import-untyped]  # noqa: F401, PLC0415
        except ImportError as error:
            raise ValueError(
                f"{path}: Parquet needs pyarrow ({error}). pip install 'secondopinion[parquet]', "
                "or write .csv or .jsonl"
            ) from error


def write(path: Path, records: Iterable[Record], *, detects: bool) -> None:
    """Writes the records; replaces an earlier file.

    Raises:
        OSError: It cannot be written; what stood there is still there.
    """
    with atomic_write(path) as part:
        _WRITERS[path.suffix.lower()](part, records, columns(detects=detects))


def _write_csv(path: Path, records: Iterable[Record], wanted: dict[str, Kind]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, wanted)
        rows.writeheader()
        rows.writerows(_row(record, wanted) for record in records)


def _write_jsonl(path: Path, records: Iterable[Record], wanted: dict[str, Kind]) -> None:
    with path.open("w", encoding="ascii") as file:
        file.writelines(json.dumps(_line(record)) + "\n" for record in records)


def _line(record: Record) -> dict[str, object]:
    line: dict[str, object] = {"file": record.file, "sha256": record.sha256}
    if record.error is not None:
        return line | {"error": record.error}
    drawn = {"visualization": record.visualization} if record.visualization else {}
    return line | {k: v for k, v in (record.answer or {}).items() if k not in line} | drawn


def _write_parquet(path: Path, records: Iterable[Record], wanted: dict[str, Kind]) -> None:
    import pyarrow as pa  # noqa: PLC0415 - an optional package
    from pyarrow.parquet import ParquetWriter  # noqa: PLC0415

    types = {"text": pa.string(), "number": pa.float64(), "whole": pa.int64()}
    schema = pa.schema([(name, types[kind]) for name, kind in wanted.items()])
    with ParquetWriter(path, schema) as file:
        for rows in _groups(_row(record, wanted) for record in records):
            file.write_table(pa.Table.from_pylist(rows, schema=schema))


def _groups(rows: Iterable[dict[str, Cell]]) -> Iterator[list[dict[str, Cell]]]:
    source = iter(rows)
    while group := list(islice(source, _ROW_GROUP)):
        yield group


def _row(record: Record, wanted: Mapping[str, Kind]) -> dict[str, Cell]:
    """One photo's row; None where a column does not apply."""
    row = _cells(record)
    return {name: row.get(name) for name in wanted}


def _cells(record: Record) -> dict[str, Cell]:
    # A file name need not be Unicode; what is not becomes an escape.
    known: dict[str, Any] = {
        "file": record.file.encode("utf-8", "backslashreplace").decode(),
        "sha256": record.sha256,
    }
    if record.error is not None:
        error = record.error
        return known | {
            "status": "failed",
            "error": error.get("code") or f"status_{error.get('status')}",
            "detail": error.get("detail"),
            "request_id": error.get("request_id"),
        }
    answer = record.answer or {}
    plain = ("prediction", "confidence", "threshold", "pipeline", "release", "member", "weights")
    known |= {name: answer.get(name) for name in (*plain, "request_id")}
    known |= {"status": "ok", "visualization": record.visualization}
    known["prediction_id"] = answer.get("prediction_id")
    if receipt := answer.get("receipt"):
        known["receipt"] = _compact(receipt)
    if kind := answer.get("input"):
        known |= {"typical": _compact(kind["typical"]), "typicality": kind["typicality"]}
    if quality := answer.get("quality"):
        measures = {name: value for name, value in quality.items() if name != "warnings"}
        codes = [warning["code"] for warning in quality["warnings"]]
        known |= {"warnings": _compact(codes), "quality": _compact(measures)}
    if "predictions" in answer:
        predictions, image = answer["predictions"], answer.get("image", {})
        return known | {
            "count": len(predictions),
            "predictions": _compact(predictions),
            "width": image.get("width"),
            "height": image.get("height"),
        }
    unsure = answer.get("uncertainty", {})
    return known | {
        "probabilities": _compact(answer.get("probabilities", {})),
        "set": _compact(answer["set"]) if "set" in answer else None,
        "coverage": answer.get("coverage"),
        "calibrated": _compact(answer["calibrated"]) if "calibrated" in answer else None,
        "uncertainty": unsure.get("level"),
        "disagreement": unsure.get("disagreement"),
        "opinions": _compact(answer["models"]) if "models" in answer else None,
    }


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


_WRITERS: dict[str, Callable[[Path, Iterable[Record], dict[str, Kind]], None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}
