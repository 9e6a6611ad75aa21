"""Where an evaluation's files go: whole or not at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from evaluation.errors import EvaluationError


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Gives a folder beside the target that takes its name when the block ends without error.

    Raises:
        EvaluationError: The target is there and not empty, or cannot be made.
    """
    try:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise EvaluationError(
                f"{target}: is there already; remove it or name another folder with --out"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as beside:
            folder = Path(beside, "new")
            folder.mkdir()  # its rights are the usual ones, not those of a temporary folder
            yield folder
            folder.rename(target)
    except OSError as error:
        raise EvaluationError(f"{target}: {error.strerror or error}") from error
