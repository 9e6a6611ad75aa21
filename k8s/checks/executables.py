"""Finds the programs that the checks run, and says where to get missing ones."""

import shutil
import subprocess
import sys
from pathlib import Path

from k8s.checks.errors import ChecksError
from k8s.checks.tree import CACHE

_SECONDS = 120


def kustomize() -> list[str]:
    """The words before a folder's name that render it.

    Raises:
        ChecksError: there is no such program.
    """
    if found := shutil.which("kubectl"):
        return [found, "kustomize"]
    if found := shutil.which("kustomize"):
        return [found, "build"]
    raise ChecksError(
        "kubectl: not on PATH, nor kustomize. No package of Debian, PyPI or npm has a recent one: "
        "install kubectl 1.27 or newer (https://kubernetes.io/docs/tasks/tools/) or kustomize 5"
    )


def hadolint() -> Path:
    """The linter of Dockerfiles.

    Raises:
        ChecksError: it is not installed.
    """
    return _beside_python("hadolint")


def checkov() -> Path:
    """The linter of manifests; in an environment of its own, as its dependencies are old ones.

    Raises:
        ChecksError: it is not installed.
    """
    own = CACHE / "checkov" / "bin" / "checkov"
    if own.is_file():
        return own
    if found := shutil.which("checkov"):
        return Path(found)
    raise ChecksError(f"checkov: not at {own}, nor on PATH: run `make k8s-check`, which gets it")


def tools_python() -> Path:
    """The Python of the environment that has Helm's library, actionlint and zizmor.

    Raises:
        ChecksError: it is not there.
    """
    own = CACHE / "k8s-tools" / "bin" / "python"
    if own.is_file():
        return own
    raise ChecksError(f"helm: no Python at {own}: run `make k8s-check`, which gets it")


def actionlint() -> Path:
    """The linter of workflows.

    Raises:
        ChecksError: it is not installed.
    """
    return tools_python().with_name("actionlint")


def zizmor() -> Path:
    """The auditor of workflows.

    Raises:
        ChecksError: it is not installed.
    """
    return tools_python().with_name("zizmor")


def _beside_python(name: str) -> Path:
    own = Path(sys.executable).parent / name
    if own.is_file():
        return own
    if found := shutil.which(name):
        return Path(found)
    raise ChecksError(f"{name}: not beside {sys.executable}, nor on PATH: run `make setup`")


def run(
    command: list[str], cwd: Path | None = None, *, text: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end, whatever its exit status; it reads the text.

    Raises:
        ChecksError: it does not end, or cannot be started.
    """
    try:
        return subprocess.run(
            command,
            cwd=cwd,
            check=False,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            input=text,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ChecksError(f"{command[0]}: {error}") from None
