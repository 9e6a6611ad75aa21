"""Reads the shipped rules from their PrometheusRule manifests, and writes them for Prometheus."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from pipelines import atomic_write

FOLDER = Path(__file__).parent / "rules"


def documents(source: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """What Prometheus reads (`groups: ...`) of each manifest, by its file's name."""
    return {
        file.name: yaml.safe_load(file.read_text("utf-8"))["spec"]
        for file in sorted(source.glob("*.yaml"))
    }


def write(
    folder: Path, *, source: Path = FOLDER, groups: Collection[str] | None = None
) -> list[Path]:
    """Writes plain rule files that Prometheus reads, and returns them.

    Args:
        folder: where; made if it is not there.
        source: of the manifests.
        groups: names of those that are written; None: all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, document in documents(source).items():
        if groups is not None:
            document["groups"] = [each for each in document["groups"] if each["name"] in groups]
        path = folder / name
        # A running Prometheus may read it at any moment.
        atomic_write.write_text(path, yaml.safe_dump(document, sort_keys=False))
        written.append(path)
    return written
