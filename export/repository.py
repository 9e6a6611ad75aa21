"""The layout of a Triton model repository on disk: versions appear whole, or not at all."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from export import triton_config
from export.errors import RepositoryError
from export.triton_config import as_text
from pipelines import atomic_write, protocol
from pipelines.definition import PipelineDefinition

STAGING_PREFIX = ".staging-"


class ModelRepository:
    """A folder that Triton reads.

    `<model>/config.pbtxt`, `<model>/configs/<profile>.pbtxt`, `<model>/<version>/<artefact>`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def write_configs(self, whole: PipelineDefinition, source: str) -> list[Path]:
        """Writes the configs of a pipeline's models under all its profiles, and removes others.

        Returns:
            The files that changed or went away.
        """
        texts = {
            self.root / path: as_text(config, source)
            for path, config in triton_config.files(whole).items()
        }
        changed = []
        for path, text in texts.items():
            if path.is_file() and path.read_bytes() == text.encode():
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write.write_text(path, text)
            changed.append(path)
        models = {path.parent for path in texts if path.name == protocol.CONFIG_FILENAME}
        others = (model / protocol.PROFILE_CONFIGS for model in models)
        for path in sorted(old for folder in others for old in folder.glob("*.pbtxt")):
            if path not in texts:
                path.unlink()
                changed.append(path)
        for step in (protocol.decode_model, protocol.decision_model):
            _keep_empty_version(self.root / step(whole.name))
        _keep_empty_version(self.root / whole.name)
        return changed

    def versions(self, model: str) -> list[int]:
        """The versions of a model, ascending."""
        folders = (self.root / model).glob("[0-9]*")
        return sorted(int(path.name) for path in folders if path.name.isdigit())

    def next_version(self, models: list[str]) -> int:
        """The first version that none of the models has, and none has a later one."""
        return (
            max((self.versions(model)[-1] for model in models if self.versions(model)), default=0)
            + 1
        )

    def require_free(self, model: str, version: int) -> None:
        """Checks that a version can still be published.

        Raises:
            RepositoryError: it is there already.
        """
        if version in self.versions(model):
            raise RepositoryError(
                f"{self.root / model / str(version)}: this version exists and is never "
                f"overwritten; leave --version out to get {self.next_version([model])}"
            )

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        """A folder on the repository's file system, removed at the end whatever happens.

        It is locked as long as it is used. What an export that was killed left unlocked is removed
        first.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as used:
            # None begins while another removes what is not locked yet.
            with _locked(self.root):
                self._remove_abandoned()
                folder = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=self.root))
                used.enter_context(_locked(folder))
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def _remove_abandoned(self) -> None:
        others = (BlockingIOError, NotADirectoryError, FileNotFoundError)
        for folder in self.root.glob(f"{STAGING_PREFIX}*"):
            with contextlib.suppress(*others), _locked(folder, wait=False):
                shutil.rmtree(folder, ignore_errors=True)

    def publish(self, staged: Path, model: str, version: int) -> Path:
        """Moves a complete version from staging to its place, in one step.

        Raises:
            RepositoryError: the version appeared meanwhile.
        """
        target = self.root / model / str(version)
        target.parent.mkdir(parents=True, exist_ok=True)
        for path in staged.iterdir():
            _flush(path)
        try:
            staged.rename(target)
        except OSError:
            self.require_free(model, version)
            raise
        return target


def _keep_empty_version(model: Path) -> None:
    """Triton demands a version folder also of a model that has no artefact."""
    version = model / "1"
    version.mkdir(parents=True, exist_ok=True)
    # Neither git nor an object store keeps an empty folder.
    (version / ".gitkeep").touch()


@contextlib.contextmanager
def _locked(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Holds a folder's lock, which the system releases when the process ends.

    Raises:
        BlockingIOError: another process holds it, and it is not waited for.
    """
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(opened)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
