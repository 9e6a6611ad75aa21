"""Which releases of a pipeline are loaded under a profile, and how many callers each answers.

The database has it. Its copy in the model repository, `<pipeline>/releases/<profile>.state`, is
what the launcher loads by. A pipeline without that file is served as its `<profile>.current` says.
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from pipelines import atomic_write
from pipelines.fact import Facts, Name
from pipelines.release import IDENTITY, ReleaseError, current_path

BUCKETS = 10_000
"""Parts of the callers, or of the images; a share is a number of them."""
ReleaseId = Annotated[str, Field(pattern=f"^{IDENTITY}$")]


class ReleaseState(Facts):
    """The releases of one pipeline that are loaded under one profile."""

    pipeline: Name
    profile: Name
    revision: int = Field(ge=1)
    """How often the state was changed; the state with the larger one is the newer."""
    current: ReleaseId
    """Answers all callers whom the candidate does not answer."""
    former: ReleaseId | None = None
    """The current one before; it stays loaded, so that a rollback needs no loading."""
    candidate: ReleaseId | None = None
    share: int = Field(default=0, ge=0, le=BUCKETS)
    """How many of 10,000 parts of the callers the candidate answers."""
    shadow: int = Field(default=0, ge=0, le=BUCKETS)
    """How many of 10,000 answered images the candidate gets a copy of, to be compared."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.loaded)) != len(self.loaded):
            raise ValueError("one release has two roles")
        if (self.share or self.shadow) and self.candidate is None:
            raise ValueError("share, shadow: there is no candidate")
        return self

    @property
    def loaded(self) -> tuple[str, ...]:
        """The releases that are to be loaded, the current one first."""
        return tuple(each for each in (self.current, self.candidate, self.former) if each)

    @classmethod
    def read(cls, pipeline: str, profile: str, repository: Path) -> Self | None:
        """The state in a repository; None where the pipeline has none.

        Raises:
            ReleaseError: the file cannot be read, or is of another pipeline or profile.
        """
        path = state_path(pipeline, profile, repository)
        try:
            state = cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ReleaseError(f"{path}: cannot be read: {error.strerror}") from None
        except ValidationError as error:
            key = ".".join(map(str, error.errors()[0]["loc"])) or "the file"
            raise ReleaseError(f"{path}: {key}: {error.errors()[0]['msg']}: {_remedy()}") from None
        if (state.pipeline, state.profile) != (pipeline, profile):
            raise ReleaseError(f"{path}: is of {state.pipeline}, {state.profile}: {_remedy()}")
        return state

    def write(self, repository: Path) -> None:
        """Writes the state, after the release that a launcher starts with.

        Where that is interrupted, the state is the older one, and is written again.

        Raises:
            OSError: it cannot be written.
        """
        current = current_path(self.pipeline, self.profile, repository)
        atomic_write.write_text(current, f"{self.current}\n")
        path = state_path(self.pipeline, self.profile, repository)
        atomic_write.write_text(path, self.model_dump_json(indent=2) + "\n")


def state_path(pipeline: str, profile: str, repository: Path) -> Path:
    """Where the state of a pipeline's releases under a profile lies."""
    return current_path(pipeline, profile, repository).with_suffix(".state")


def _remedy() -> str:
    return "write it again from the database (python -m releases mirror)"
