"""Builds another server's virtual environment from its pinned requirements if it is missing."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from lab.bench.contender import Contender
from lab.bench.raw import Described
from lab.errors import ContenderError
from lab.paths import CACHE

CONTENDERS = Path(__file__).parent / "contenders"
_LAST_LINES = 5
_SCRIPT = """
import importlib.metadata, json, sys
print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[1:]}))
"""


def folder_of(name: str) -> Path:
    """Where the environment of a contender is."""
    return CACHE / f"venv-{name}"


def ensure(name: str, requirements: Path | None = None) -> None:
    """Builds an environment unless it is as its requirements say.

    Args:
        name: of the environment.
        requirements: its file; None: that of the contender of this name.

    Raises:
        ContenderError: pip could not; the text has its last lines.
    """
    folder = folder_of(name)
    requirements = requirements or CONTENDERS / name / "requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = folder / ".requirements"
    if stamp.is_file() and stamp.read_text("utf-8") == digest:
        return
    _run([sys.executable, "-m", "venv", "--clear", str(folder)])
    python = str(folder / "bin" / "python")
    _run([python, "-m", "pip", "install", "--quiet", "--no-deps", "-r", str(requirements)])
    _run([python, "-m", "pip", "check"])
    stamp.write_text(digest, "utf-8")


def described(contender: Contender, python: str) -> Described:
    """A contender with the versions in its own environment.

    Args:
        contender: whose environment is built.
        python: the project's interpreter.
    """
    if contender.environment:
        python = str(folder_of(contender.environment) / "bin" / "python")
    done = subprocess.run(
        [python, "-c", _SCRIPT, *contender.packages], capture_output=True, text=True, check=True
    )
    return Described(
        name=contender.name,
        title=contender.title,
        protocol=contender.protocol,
        tuning=contender.tuning,
        versions=json.loads(done.stdout),
    )


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()[-_LAST_LINES:]
        raise ContenderError("the environment cannot be built:\n" + "\n".join(lines))
