"""Makes a copy of pipelines and model repository with other settings, for one measurement."""

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from export import releases
from export.repository import ModelRepository
from pipelines import protocol
from pipelines.load import FOLDER, load_definition
from pipelines.profile import DEFAULT_PROFILE
from pipelines.release import Release, ReleaseError

Edit = Callable[[dict[str, Any]], None]
"""Changes the content of a pipeline's YAML in place."""


@dataclass(frozen=True)
class Scratch:
    """A folder with `specs/` and `repository/`, as the launcher takes them."""

    folder: Path

    @property
    def specs(self) -> Path:
        """Folder of the YAML files."""
        return self.folder / "specs"

    @property
    def repository(self) -> Path:
        """Triton's model repository."""
        return self.folder / "repository"

    def facts(self, pipeline: str, edit: Edit, specs: Path = FOLDER) -> None:
        """Writes a pipeline's YAML as `edit` leaves it, and no config yet."""
        facts = yaml.safe_load((specs / f"{pipeline}.yaml").read_text("utf-8"))
        edit(facts)
        self.specs.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(facts, sort_keys=False)
        (self.specs / f"{pipeline}.yaml").write_text(text, "utf-8")

    def configs(self, pipeline: str) -> None:
        """Writes the configs of a pipeline's models by the YAML here, and its releases.

        Raises:
            SpecError: the YAML says what it may not.
        """
        whole = load_definition(pipeline, self.specs)
        ModelRepository(self.repository).write_configs(whole, f"specs/{pipeline}.yaml")
        self.release(pipeline)

    def release(self, pipeline: str) -> None:
        """Makes the releases of what is there now, after a change of configs."""
        releases.make(load_definition(pipeline, self.specs), ModelRepository(self.repository))

    def artefacts(self, pipeline: str, repository: Path) -> None:
        """Takes over the version of each member that serves in another repository.

        Of a member that no release there names, all versions. As hard links where it can: they
        take no space, and stay if the originals go.
        """
        definition = load_definition(pipeline, self.specs)
        serving: dict[str, int] = {}
        for profile in [*definition.profiles, DEFAULT_PROFILE]:
            with suppress(ReleaseError):
                release = Release.current(pipeline, profile, repository)
                serving |= {name: member.version for name, member in release.members.items()}
        for member in definition.members:
            model = protocol.member_model(pipeline, member)
            shutil.rmtree(self.repository / model, ignore_errors=True)
            for version in (repository / model).glob(str(serving.get(member, "[0-9]*"))):
                target = self.repository / model / version.name
                shutil.copytree(version, target, copy_function=_link)


def scratch(
    folder: Path,
    pipelines: Mapping[str, Edit],
    repository: Path,
    specs: Path = FOLDER,
) -> Scratch:
    """A new one, in place of what is in the folder.

    Args:
        folder: its place.
        pipelines: what to serve, each with the change of its YAML.
        repository: has the artefacts.
        specs: has the YAML files.
    """
    shutil.rmtree(folder, ignore_errors=True)
    made = Scratch(folder)
    for name, edit in pipelines.items():
        made.facts(name, edit, specs)
        made.artefacts(name, repository)
        made.configs(name)
    return made


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        # Another file system.
        shutil.copy2(source, target)
