"""Builds the gateway's image on this machine."""

import subprocess
from pathlib import Path

from lab.images import pip_settings
from lab.images.podman import Podman

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "gateway" / "Dockerfile"
NAME = "localhost/second-opinion-gateway:check"


def build(podman: Podman, base: str) -> str:
    """Builds the image on a base that has Python 3.11, and gives its name.

    Raises:
        LabError: a step failed.
    """
    with pip_settings.options() as lent:
        words = [*lent, "--build-arg", f"PYTHON_IMAGE={base}"]
        words += ["--build-arg", f"REVISION={_revision()}"]
        podman.build(DOCKERFILE, NAME, words, ROOT)
    return NAME


def _revision() -> str:
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"
