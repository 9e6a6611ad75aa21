"""Passes this machine's pip settings to an image build as a secret."""

import ast
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from lab.images.tools import succeed

_TAKEN = ("extra-index-url", "index-url", "proxy", "timeout", "trusted-host")
_CERTIFICATES = "/run/pip/certificates.pem"


def read(listing: str) -> dict[str, str]:
    """Settings from the lines of `pip config list`; the environment's word holds over files'."""
    found: dict[str, str] = {}
    lines = [line.partition("=") for line in listing.splitlines() if "=" in line]
    for name, _, value in sorted(lines, key=lambda line: line[0].startswith(":env:")):
        found[name.rpartition(".")[2]] = str(ast.literal_eval(value))
    return found


def for_build(settings: dict[str, str]) -> str:
    """A pip.conf for a build stage: registries over a network alone, its own certificates' path."""
    lines = ["[global]"]
    for name in _TAKEN:
        words = [word for word in settings.get(name, "").split() if "file:" not in word]
        if words:
            lines.append(f"{name} = {' '.join(words)}")
    if "cert" in settings:
        lines.append(f"cert = {_CERTIFICATES}")
    return "\n".join([*lines, ""])


@contextmanager
def options() -> Iterator[list[str]]:
    """Options of `buildah build` that lend a build this machine's settings.

    A secret and a mount: neither the image nor its history holds them.
    """
    command = [sys.executable, "-m", "pip", "config", "list", "--disable-pip-version-check"]
    settings = read(succeed(command))
    with TemporaryDirectory() as folder:
        file = Path(folder, "pip.conf")
        file.write_text(for_build(settings), "utf-8")
        words = ["--secret", f"id=pip,src={file}"]
        if certificates := settings.get("cert"):
            words += ["--volume", f"{certificates}:{_CERTIFICATES}:ro"]
        yield words
