"""A base image without a registry: Debian 12 with its Python 3.11, from Debian's own packages."""

import shutil
from pathlib import Path

from lab.images.podman import Podman
from lab.images.tools import require, succeed

BASE = "localhost/second-opinion-python:bookworm"
_RELEASE = "bookworm"
_INSTALL = (
    "export DEBIAN_FRONTEND=noninteractive",
    "apt-get install --yes --no-install-recommends python3.11-venv",
    "apt-get clean",
    "rm -rf /var/lib/apt/lists/*",
)


def make(podman: Podman, folder: Path) -> str:
    """Gives the base image's name; makes it first where the storage has none.

    Args:
        podman: takes the image.
        folder: for Debian's files meanwhile, about 200 MB.

    Raises:
        LabError: debootstrap is not installed, or failed; it must run as root.
    """
    if podman.has(BASE):
        return BASE
    require(["debootstrap"])
    root, archive = folder / "debian", folder / "debian.tar"
    shutil.rmtree(root, ignore_errors=True)
    try:
        options = ("--variant=minbase", "--include=ca-certificates")
        succeed(["debootstrap", *options, _RELEASE, root])
        succeed(["chroot", root, "sh", "-ec", "; ".join(_INSTALL)])
        succeed(["tar", "--create", "--file", archive, "--directory", root, "."])
        podman.tell("import", archive, BASE)
    finally:
        shutil.rmtree(root, ignore_errors=True)
        archive.unlink(missing_ok=True)
    return BASE
