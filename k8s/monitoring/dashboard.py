"""The shipped Grafana dashboard, and the queries it sends."""

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "dashboards" / "second-opinion.json"
_EVERYTHING = {"$namespace": ".*", "$pipeline": ".*"}


def document() -> dict[str, Any]:
    """As Grafana imports it."""
    board: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return board


def queries(board: dict[str, Any]) -> list[str]:
    """Each panel's, with variables as they are written; sorted, each once."""
    return sorted(
        {target["expr"] for panel in board["panels"] for target in panel.get("targets", [])}
    )


def filled(query: str, rate_interval: str = "5m") -> str:
    """A query as Grafana sends it where everything is chosen."""
    for variable, value in (_EVERYTHING | {"$__rate_interval": rate_interval}).items():
        query = query.replace(variable, value)
    return query
