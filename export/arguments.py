"""Parses the arguments of `python -m export`."""

from pathlib import Path

from pipelines.definition import PipelineDefinition
from pipelines.load import SpecError, available, load_definition

ALL = "all"


class UsageError(ValueError):
    """Arguments that do not go together."""


def names(argument: str, specs: Path) -> list[str]:
    """The pipelines of a list with commas or spaces between, each once, or `all` of a folder's."""
    words = argument.replace(",", " ").split()
    return available(specs) if ALL in words or not words else list(dict.fromkeys(words))


def definitions(argument: str, specs: Path) -> tuple[list[PipelineDefinition], list[SpecError]]:
    """The pipelines of such a list, and why others of it cannot be read."""
    wholes, problems = [], []
    for name in names(argument, specs):
        try:
            wholes.append(load_definition(name, specs))
        except SpecError as error:
            problems.append(error)
    return wholes, problems


def only(pipelines: str | None) -> str:
    """The one pipeline that checkpoints are for.

    Raises:
        UsageError: none or several.
    """
    if pipelines is None or pipelines == ALL or "," in pipelines:
        raise UsageError("name one pipeline, for instance: python -m export oral_cancer ...")
    return pipelines


def checkpoint_paths(arguments: list[str]) -> dict[str, Path]:
    """Paths by member, of `MEMBER=PATH` each.

    Raises:
        UsageError: another form, or a member twice.
    """
    files: dict[str, Path] = {}
    for argument in arguments:
        member, separator, path = argument.partition("=")
        if not separator or not path:
            raise UsageError(f"--checkpoint {argument}: write MEMBER=PATH, e.g. vgg16=vgg16.pt")
        if member in files:
            raise UsageError(f"--checkpoint {argument}: {member} is given twice")
        files[member] = Path(path)
    return files
