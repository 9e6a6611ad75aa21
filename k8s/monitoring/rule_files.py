"""Reads the shipped rules from their PrometheusRule manifests, and writes them for Prometheus."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipelines import atomic_write

FOLDER = Path(__file__).parent / "rules"
_MILLISECONDS = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}
_DURATION = re.compile(r"(\d+)(ms|s|m|h|d|w)")
_IN_AN_EXPRESSION = re.compile(r"(?<=\[)\d+(?:ms|s|m|h|d|w)(?=\])|(?<=offset )\d+(?:ms|s|m|h|d|w)")
"""A range, or an offset; seconds in an expression's numbers are none."""


@dataclass(frozen=True)
class Rule:
    """One recording rule or alert; `name` is what it records, or the alert's."""

    name: str
    alert: bool
    expression: str
    labels: dict[str, str]
    annotations: dict[str, str]


def documents(source: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """What Prometheus reads (`groups: ...`) of each manifest, by its file's name."""
    return {
        file.name: yaml.safe_load(file.read_text("utf-8"))["spec"]
        for file in sorted(source.glob("*.yaml"))
    }


def rules() -> list[Rule]:
    """All of them, in the order of the files."""
    return [
        Rule(
            name=rule.get("alert") or rule["record"],
            alert="alert" in rule,
            expression=rule["expr"],
            labels=rule.get("labels", {}),
            annotations=rule.get("annotations", {}),
        )
        for document in documents().values()
        for group in document["groups"]
        for rule in group["rules"]
    ]


def write(folder: Path, *, source: Path = FOLDER, faster: int = 1) -> list[Path]:
    """Writes plain rule files that Prometheus reads.

    Args:
        folder: where; made if it is not there.
        source: of the manifests.
        faster: divides each duration (ranges, offsets, `for`, intervals) and changes nothing
            else, so that an alert of minutes can be seen within seconds.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, document in documents(source).items():
        for group in document["groups"]:
            if "interval" in group:
                group["interval"] = shorter(group["interval"], faster)
            for rule in group["rules"]:
                rule["expr"] = _shorter_ranges(rule["expr"], faster)
                if "for" in rule:
                    rule["for"] = shorter(rule["for"], faster)
        path = folder / name
        # A running Prometheus may read it at any moment.
        atomic_write.write_text(path, yaml.safe_dump(document, sort_keys=False))
        written.append(path)
    return written


def shorter(duration: str, faster: int) -> str:
    """A duration such as `5m`, divided.

    Raises:
        ValueError: it has more than one unit.
    """
    if not (match := _DURATION.fullmatch(duration)):
        raise ValueError(f"{duration}: no duration of one unit, as 30s or 5m")
    if faster == 1:
        return duration
    return f"{max(1, int(match[1]) * _MILLISECONDS[match[2]] // faster)}ms"


def _shorter_ranges(expression: str, faster: int) -> str:
    return _IN_AN_EXPRESSION.sub(lambda match: shorter(match[0], faster), expression)
