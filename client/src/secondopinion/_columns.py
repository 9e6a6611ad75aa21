"""The columns of results as CSV or Parquet; docs are in the README."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from secondopinion._record import Record

Kind = Literal["text", "number", "whole"]
Cell = str | float | int | None

_FIRST: dict[str, Kind] = {"file": "text", "status": "text"}
_CLASS: dict[str, Kind] = {
    "prediction": "text",
    "confidence": "number",
    "probabilities": "text",
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
    "threshold": "number",
    "pipeline": "text",
    "release": "text",
    "member": "text",
    "weights": "text",
    "request_id": "text",
    "error": "text",
    "detail": "text",
    "sha256": "text",
}


def columns(*, detects: bool) -> dict[str, Kind]:
    """Names and kinds, in their order; the same whatever the options of the run."""
    return _FIRST | (_FOUND if detects else _CLASS) | _LAST


def cells(record: Record, wanted: Mapping[str, Kind]) -> dict[str, Cell]:
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
    if "predictions" in answer:
        predictions, image = answer["predictions"], answer.get("image", {})
        return known | {
            "count": len(predictions),
            "predictions": _text(predictions),
            "width": image.get("width"),
            "height": image.get("height"),
        }
    unsure = answer.get("uncertainty", {})
    return known | {
        "probabilities": _text(answer.get("probabilities", {})),
        "uncertainty": unsure.get("level"),
        "disagreement": unsure.get("disagreement"),
        "opinions": _text(answer["models"]) if "models" in answer else None,
    }


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
