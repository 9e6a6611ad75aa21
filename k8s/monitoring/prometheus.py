"""Finds Prometheus and promtool on this machine, or fetches Debian's package."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Literal

CACHE = Path(__file__).parents[2] / ".cache" / "prometheus"
"""The package, unpacked: nothing is installed and no service starts."""
_FETCH_SECONDS = 300


class MissingPrometheusError(Exception):
    """There is no Prometheus here and none can be fetched; the message has the remedy."""


def executable(name: Literal["prometheus", "promtool"]) -> Path:
    """Finds a program on PATH, else in `.cache/`, else fetches Debian's package into there.

    Raises:
        MissingPrometheusError: it is nowhere to be had.
    """
    if found := shutil.which(name):
        return Path(found)
    cached = CACHE / "usr" / "bin" / name
    if not cached.is_file():
        _fetch()
    return cached


def _fetch() -> None:
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE.parent, prefix="prometheus-") as scratch:
        folder = Path(scratch)
        (folder / "lists").mkdir()
        # With lists of its own: the machine's may be old, or none, and are left alone.
        apt_get = ["apt-get", "--quiet"]
        for option in (
            f"Dir::State::Lists={folder / 'lists'}",
            f"Dir::Cache={folder}",
            "APT::Sandbox::User=root",
        ):
            apt_get += ["-o", option]
        _run(*apt_get, "update", cwd=folder)
        _run(*apt_get, "download", "prometheus", cwd=folder)
        (package,) = folder.glob("prometheus_*.deb")
        unpacked = folder / "unpacked"
        _run("dpkg", "-x", str(package), str(unpacked), cwd=folder)
        try:
            unpacked.rename(CACHE)
        except OSError:
            # Another process was faster.
            if not CACHE.exists():
                raise


def _run(*command: str, cwd: Path) -> None:
    try:
        subprocess.run(
            command, cwd=cwd, check=True, capture_output=True, text=True, timeout=_FETCH_SECONDS
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise MissingPrometheusError(
            f"prometheus: not on PATH, and {command[0]} could not fetch it: {said.strip()}\n"
            "Install Prometheus 2.42 or newer, with promtool, and run this again."
        ) from None
