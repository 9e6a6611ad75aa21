"""The facts of the shipped pipelines, for tests that change them."""

from typing import Any

import yaml

from pipelines.load import FOLDER
from pipelines.spec import PipelineSpec


def by_default(name: str) -> dict[str, Any]:
    """What a YAML says, without profiles and the members that only they serve."""
    facts: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))
    facts.pop("profiles", None)
    members = facts["members"].items()
    return facts | {"members": {key: member for key, member in members if "weight" in member}}


def without_features(spec: PipelineSpec) -> PipelineSpec:
    """The same facts for stand-ins of members that give no features."""
    members = {
        name: member.model_copy(update={"features": None}) for name, member in spec.members.items()
    }
    judged = spec.typicality
    typicality = None if judged is None else judged.model_copy(update={"member": None})
    return spec.model_copy(update={"members": members, "typicality": typicality})
