"""The facts of the shipped pipelines, for tests that change them."""

from typing import Any

import yaml

from pipelines.load import FOLDER


def by_default(name: str) -> dict[str, Any]:
    """What a YAML says, without profiles and the members that only they serve."""
    facts: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))
    facts.pop("profiles", None)
    members = facts["members"].items()
    return facts | {"members": {key: member for key, member in members if "weight" in member}}
