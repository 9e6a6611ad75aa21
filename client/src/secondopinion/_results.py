"""Writes the results of an offline run, whole: CSV, JSON lines or Parquet."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from secondopinion._columns import Cell, Kind, cells, columns
from secondopinion._record import Record
from secondopinion._whole import whole

_ROW_GROUP = 10_000  # rows of a Parquet file that are in memory at a time


def check(path: Path) -> None:
    """Refuses a file of results that could not be written in the end.

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
    """Writes the records in place of what stood there.

    Raises:
        OSError: It cannot be written; what stood there is still there.
    """
    with whole(path) as part:
        _WRITERS[path.suffix.lower()](part, records, columns(detects=detects))


def _write_csv(path: Path, records: Iterable[Record], wanted: dict[str, Kind]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, wanted)
        rows.writeheader()
        rows.writerows(cells(record, wanted) for record in records)


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
        for rows in _groups(cells(record, wanted) for record in records):
            file.write_table(pa.Table.from_pylist(rows, schema=schema))


def _groups(rows: Iterable[dict[str, Cell]]) -> Iterator[list[dict[str, Cell]]]:
    source = iter(rows)
    while group := list(islice(source, _ROW_GROUP)):
        yield group


_WRITERS: dict[str, Callable[[Path, Iterable[Record], dict[str, Kind]], None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}
