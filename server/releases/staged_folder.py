"""Triton's second repository: folders for the models of releases that are loaded beside others.

A folder has the version of a member as a link to the first repository, so that nothing is copied.
"""

import shutil
from pathlib import Path

from google.protobuf import text_format

from pipelines.protocol import CONFIG_FILENAME
from server.errors import PreflightError
from server.releases.verified import VerifiedRelease


class StagedFolder:
    """The folder, emptied at the start of a launcher."""

    def __init__(self, folder: Path) -> None:
        """Makes it.

        Raises:
            PreflightError: it cannot be made.
        """
        self._folder = folder
        try:
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir(parents=True)
        except OSError as error:
            raise PreflightError(f"{folder}: {error.strerror}: choose a --run-dir") from None

    def add(self, release: VerifiedRelease) -> None:
        """Makes the folders of a release's models.

        Raises:
            OSError: they cannot be made.
        """
        members = release.members
        for model, config in release.configs.items():
            (self._folder / model).mkdir(parents=True, exist_ok=True)
            # What is sent when the model is loaded goes before it; Triton looks at the file's time.
            text = text_format.MessageToString(config, as_utf8=True)
            (self._folder / model / CONFIG_FILENAME).write_text(text, "utf-8")
            if model not in members.values():
                # Triton loads no model without a version, also of a step that has no artefact.
                (self._folder / model / "1").mkdir(exist_ok=True)
        for member, model in members.items():
            source = release.files.repository / release.version_folder(member)
            link = self._folder / model / source.name
            link.parent.mkdir(exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(source.absolute(), target_is_directory=True)

    def remove(self, release: VerifiedRelease) -> None:
        """Removes them; the versions that they lead to stay."""
        for model in {*release.configs, *release.members.values()}:
            shutil.rmtree(self._folder / model, ignore_errors=True)
