import subprocess
import sys
from pathlib import Path

import pytest

from lab.images.smoke import needed

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    ("image", "base", "programs"),
    [
        (None, None, ["podman", "buildah", "debootstrap"]),
        (None, "python:3.11", ["podman", "buildah"]),
        ("docker-archive:file.tar", None, ["podman"]),
    ],
)
def test_only_the_programs_that_are_started_are_needed(image, base, programs):
    assert needed(image, base) == programs


def test_a_machine_without_the_programs_is_told_what_to_install(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "lab.images.smoke"],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "image-check: not installed: podman, buildah, debootstrap: run `apt-get install podman "
        "buildah debootstrap` as root (Debian, Ubuntu)\n"
    )
