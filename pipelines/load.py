"""Reads `<pipeline>.yaml`; an error names the file and the key."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from pipelines.definition import PipelineDefinition
from pipelines.fact import Facts
from pipelines.profile import DEFAULT_PROFILE, EMBEDDED_PROFILE
from pipelines.spec import PipelineSpec

FOLDER = Path(__file__).parent
SomeFacts = TypeVar("SomeFacts", bound=Facts)


class SpecError(ValueError):
    """A pipeline's YAML is missing, unreadable, or says something it may not."""


class _UniqueKeys(yaml.SafeLoader):
    """A loader that refuses a key written twice: YAML would keep the last one in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.YAMLError(f"line {line}: a key must be a word")
            if key_node.value in seen:
                raise yaml.YAMLError(f"line {line}: the key {key_node.value!r} is given twice")
            seen.add(key_node.value)
        return super().construct_mapping(node, deep=deep)


def available(folder: Path = FOLDER) -> list[str]:
    """Names of the pipelines in a folder, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load_spec(name: str, folder: Path = FOLDER, profile: str = DEFAULT_PROFILE) -> PipelineSpec:
    """The facts of one pipeline as a profile serves it.

    Raises:
        SpecError: as `load_definition`, or no such profile.
    """
    whole = load_definition(name, folder)
    try:
        return whole.resolve(profile)
    except ValueError as error:
        raise SpecError(str(error)) from None


def load_definition(name: str, folder: Path = FOLDER) -> PipelineDefinition:
    """The facts of one pipeline under all its profiles.

    Raises:
        SpecError: no such pipeline, a file that cannot be read, no valid YAML, or a key that is
            wrong, missing or unknown.
    """
    path = folder / f"{name}.yaml"
    if name not in available(folder):
        known = ", ".join(available(folder)) or "none"
        raise SpecError(f"no pipeline {name!r} in {folder}; there are: {known}")
    whole = read_facts(path, PipelineDefinition)
    if whole.name != name:
        raise SpecError(f"{path}: name: is {whole.name!r}, but the file is named {name!r}")
    return whole


def require_profile(profile: str, pipelines: Iterable[PipelineDefinition]) -> None:
    """Checks that some pipeline has a profile; the others are then served as by default.

    Raises:
        SpecError: none has it.
    """
    known = dict.fromkeys(name for whole in pipelines for name in whole.profiles)
    if profile not in {DEFAULT_PROFILE, EMBEDDED_PROFILE, *known}:
        names = ", ".join([DEFAULT_PROFILE, *known])
        raise SpecError(f"no pipeline here has a profile {profile!r}; there are: {names}")


def read_facts(path: Path, kind: type[SomeFacts]) -> SomeFacts:
    """Facts of a kind from a YAML file.

    Raises:
        SpecError: the file cannot be read, or is no valid YAML, or has a key that is wrong,
            missing, unknown or written twice.
    """
    try:
        # _UniqueKeys is a SafeLoader.
        data = yaml.load(path.read_text("utf-8"), Loader=_UniqueKeys)  # noqa: S506
    except OSError as error:
        raise SpecError(f"{path}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: text that is not UTF-8, or a value such as the date 2026-99-99.
        raise SpecError(f"{path}: not valid YAML: {error}") from None
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        problems = [
            f"{path}: {'.'.join(map(str, item['loc'])) or 'the file'}: {item['msg']}"
            for item in error.errors()
        ]
        raise SpecError("\n".join(problems)) from None
