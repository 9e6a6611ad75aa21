"""Known exceptions to the checks, each with its reason; unused ones are errors."""

from collections.abc import Iterator, Set
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from k8s.checks.errors import ChecksError

FILE = Path(__file__).with_name("exceptions.yaml")


class Exceptions(BaseModel):
    """Each field: what is excused, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checkov: dict[str, str]
    hadolint: dict[str, str]
    site_provides: dict[str, str]
    not_scraped: dict[str, str]

    @classmethod
    def read(cls, file: Path = FILE) -> "Exceptions":
        """Reads the file.

        Raises:
            ChecksError: it cannot be understood.
        """
        try:
            return cls.model_validate(yaml.safe_load(file.read_text("utf-8")))
        except (yaml.YAMLError, ValidationError) as error:
            raise ChecksError(f"{file.name}: {error}") from None


def unused(excused: dict[str, str], used: Set[str], heading: str) -> Iterator[str]:
    """Entries that excuse nothing: the next one of that name would pass unseen."""
    for name in sorted(excused.keys() - used):
        yield f"{FILE.name}: {heading}: {name} excuses nothing any more; remove it"
