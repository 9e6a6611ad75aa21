"""Fetches the page's vendored packages from the npm registry again and compares them.

`python -m web.vendor` fails where a file differs; `--write` takes the versions that lock.json names
and writes their files, their integrity and their SHA-256. It needs npm; serving the page does not.
"""

import argparse
import base64
import gzip
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from pipelines.atomic_write import write_bytes, write_text

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "web" / "lock.json"
"""Packages with version and integrity; of each the kept files with their place and SHA-256."""


def fetch(name: str, version: str, folder: Path) -> bytes:
    """The package's archive, as the registry has it.

    Raises:
        subprocess.CalledProcessError: npm found no such package, or no registry.
    """
    command = ["npm", "pack", "--silent", "--pack-destination", str(folder), f"{name}@{version}"]
    listed = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    return (folder / listed.stdout.split()[-1]).read_bytes()


def integrity(archive: bytes) -> str:
    """As npm's own lock files say it."""
    return f"sha512-{base64.b64encode(hashlib.sha512(archive).digest()).decode()}"


def sha256(data: bytes) -> str:
    """In lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def contents(archive: Path, names: list[str]) -> dict[str, bytes]:
    """Files of an npm archive by their path within the package.

    Raises:
        KeyError: it has no file of a name.
    """
    with tarfile.open(archive) as opened:
        read = {name: opened.extractfile(f"package/{name}") for name in names}
        return {name: file.read() for name, file in read.items() if file is not None}


def read(path: Path) -> bytes:
    """A file that is kept; those that end in .gz are kept compressed.

    Raises:
        OSError: it cannot be read.
    """
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def keep(path: Path, data: bytes) -> None:
    """Writes a file as `read` reads it.

    Raises:
        OSError: it cannot be written.
    """
    write_bytes(path, gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def main(arguments: list[str] | None = None) -> int:
    """Compares, or writes; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m web.vendor", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write what the registry has")
    write = parser.parse_args(arguments).write
    lock: dict[str, Any] = json.loads(LOCK.read_text("utf-8"))
    problems = []
    for package in lock["packages"]:
        with tempfile.TemporaryDirectory() as folder:
            archive = fetch(package["name"], package["version"], Path(folder))
            (place := Path(folder, "archive.tgz")).write_bytes(archive)
            files = contents(place, list(package["files"]))
        if write:
            package["integrity"] = integrity(archive)
        elif integrity(archive) != package["integrity"]:
            problems.append(f"{package['name']}: its archive has another integrity than the lock")
        for name, data in files.items():
            kept = package["files"][name]
            if write:
                keep(ROOT / kept["path"], data)
                kept["sha256"] = sha256(data)
            elif read(ROOT / kept["path"]) != data or kept["sha256"] != sha256(data):
                problems.append(f"{kept['path']}: is not {name} of {package['name']}")
    if write:
        write_text(LOCK, json.dumps(lock, indent=2) + "\n")
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    if not problems:
        sys.stdout.write(f"{len(lock['packages'])} packages are as the registry has them\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
