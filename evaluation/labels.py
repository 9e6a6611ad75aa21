"""Labelled photos of a classification: a CSV, or a folder for each class."""

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from secondopinion import photo_files

from evaluation.errors import EvaluationError, some

FILE, LABEL = "file", "label"


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo, the name of its true class, and the further columns that were asked for."""

    file: Path
    label: str
    columns: Mapping[str, str] = field(default_factory=dict)


def read(labels: Path, classes: Sequence[str], columns: Sequence[str] = ()) -> list[LabelledPhoto]:
    """Reads and checks a label set.

    Args:
        labels: A CSV with the columns `file` (relative to the CSV) and `label`; or a folder with a
            sub-folder of photos for each class.
        classes: The names that a label may be.
        columns: Further columns of a CSV to read; others are passed over.

    Raises:
        EvaluationError: Something is missing, unknown, doubled or not readable.
    """
    try:
        photos = _of_folder(labels, columns) if labels.is_dir() else _of_csv(labels, columns)
    except OSError as error:
        raise EvaluationError(f"{labels}: {error.strerror}") from error
    if not photos:
        raise EvaluationError(f"{labels}: holds no photos; a row or a file for each is needed")
    check_classes(labels, (photo.label for photo in photos), classes)
    check_files(labels, [photo.file for photo in photos])
    return photos


def check_classes(labels: Path, used: Iterable[str], classes: Sequence[str]) -> None:
    """Refuses names that the pipeline does not know.

    Raises:
        EvaluationError: It names them, and those that the pipeline knows.
    """
    if unknown := sorted(set(used) - set(classes)):
        raise EvaluationError(
            f"{labels}: the pipeline has no class {some([repr(name) for name in unknown])}; "
            f"rename it to one of: {', '.join(classes)}"
        )


def check_files(labels: Path, files: Sequence[Path]) -> None:
    """Refuses photos that are missing or listed twice.

    Raises:
        EvaluationError: It names them.
    """
    if missing := [str(file) for file in files if not file.is_file()]:
        raise EvaluationError(
            f"{labels}: {len(missing)} of {len(files)} photos are not there: {some(missing)}; "
            "restore them or take them out of the labels"
        )
    times = Counter(file.resolve() for file in files)
    doubled = [str(file) for file, count in times.items() if count > 1]
    if doubled:
        raise EvaluationError(
            f"{labels}: named more than once: {some(doubled)}; keep one entry for each photo"
        )


def _of_csv(table: Path, columns: Sequence[str]) -> list[LabelledPhoto]:
    with table.open(encoding="utf-8-sig", newline="") as lines:
        try:
            return _rows(table, csv.DictReader(lines), columns)
        except (UnicodeDecodeError, csv.Error) as error:
            raise EvaluationError(f"{table}: is not a CSV file in UTF-8 ({error})") from error


def _rows(table: Path, rows: "csv.DictReader[str]", columns: Sequence[str]) -> list[LabelledPhoto]:
    header = rows.fieldnames or []
    if missing := [name for name in (FILE, LABEL, *columns) if name not in header]:
        raise EvaluationError(
            f"{table}: has no column {' and no column '.join(missing)}, but: "
            f"{some(list(header)) or 'nothing'}; the first line names the columns, with commas"
        )
    photos = []
    for row in rows:
        if not (row[FILE] and row[LABEL]):
            raise EvaluationError(
                f"{table}: line {rows.line_num} has no {LABEL if row[FILE] else FILE}"
            )
        further = {name: row[name] or "" for name in columns}
        photos.append(LabelledPhoto(table.parent / row[FILE], row[LABEL], further))
    return photos


def _of_folder(folder: Path, columns: Sequence[str]) -> list[LabelledPhoto]:
    if columns:
        raise EvaluationError(
            f"{folder}: a folder has no columns ({', '.join(columns)}); write a CSV with the "
            f"columns {FILE}, {LABEL} and these"
        )
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    stray = [entry.name for entry in entries if entry.is_file() and photo_files.is_photo(entry)]
    if stray:
        raise EvaluationError(
            f"{folder}: photos outside the classes' folders have no label: {some(stray)}; "
            "move each into the folder of its class"
        )
    # Also what is no image: the service refuses it, and the report names it.
    return [
        LabelledPhoto(file, entry.name)
        for entry in entries
        if entry.is_dir()
        for file in photo_files.below(entry).all()
    ]
