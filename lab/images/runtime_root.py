"""Lays out the files of an image: an application, its environment, and their shared libraries.

Runs in a build stage, with that stage's Python and nothing else:
`python3 runtime_root.py /image /opt/gateway /app gateway.commands.serve`. What is not needed is not
there to be attacked or patched: no shell, no package manager, no tests.
"""

import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

_UNUSED = ("__pycache__", "tests")
_UNUSED_IN_STDLIB = (
    "config-*",
    "dist-packages",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "site-packages",
    "sitecustomize.py",
    "test",
    "tkinter",
    "turtledemo",
)
_UNUSED_IN_PACKAGES = ("[Aa]ctivate*", "*.a", "*.c", "*.h", "*.pxd", "*.pyi", "*.pyx")
_MAGIC = b"\x7fELF"
_LOADED = re.compile(r"(?:=> )?(/\S+) \(0x")
_MISSING = re.compile(r"(\S+) => not found")
_SYSTEM = ("etc/os-release", "etc/nsswitch.conf", "etc/ld.so.cache")
"""Scanners ask the first what they look at; the others say where names and libraries are found."""
_PACKAGES = Path("var/lib/dpkg/status.d")
"""Where scanners look for the Debian packages of an image that has no package manager."""


class MissingLibraryError(RuntimeError):
    """A library that a binary asks for is not there; the text has both, and the remedy."""


def lay_out(root: Path, environment: Path, application: Path, module: str) -> None:
    """Fills `root` with all that `environment/bin/python -m MODULE` needs in `application`.

    Raises:
        MissingLibraryError: a binary asks for a library that is not there.
        OSError: a file cannot be read or written.
        subprocess.CalledProcessError: the module cannot be imported.
    """
    for top in ("bin", "lib", "lib64", "sbin"):
        _link_as_in_system(Path("/", top), root)
    stdlib = Path(sysconfig.get_path("stdlib"))
    interpreter = Path(sys.executable).resolve()
    _copy(interpreter, root)
    for folder, unused in (
        (stdlib, (*_UNUSED, *_UNUSED_IN_STDLIB)),
        (environment, (*_UNUSED, *_UNUSED_IN_PACKAGES)),
        (application, _UNUSED),
    ):
        _copy_tree(folder, root, unused)
    binaries = [path for path in root.rglob("*") if _is_binary(path)]
    libraries = loaded(Path("/", path.relative_to(root)) for path in binaries)
    for library in libraries:
        _copy(library, root)
    for name in _SYSTEM:
        if (path := Path("/", name)).exists():
            _copy(path, root)
    _name_packages([interpreter, stdlib / "os.py", *libraries], root)
    _compile(imported(environment, application, module), root)


def imported(environment: Path, application: Path, module: str) -> list[Path]:
    """The Python files that importing a module loads.

    Raises:
        subprocess.CalledProcessError: it cannot be imported; its traceback is on stderr.
    """
    files = "[m.__file__ for m in list(sys.modules.values()) if getattr(m, '__file__', None)]"
    listing = subprocess.run(
        [
            environment / "bin" / "python",
            "-B",
            "-c",
            f"import sys, {module}; print(*{files}, sep='\\n')",
        ],
        cwd=application,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    return [Path(line) for line in listing.splitlines() if line.endswith(".py")]


def loaded(binaries: Iterable[Path]) -> set[Path]:
    """The shared libraries that binaries ask for, and those that these ask for, by full path.

    A library that a wheel brings along may be found by none but those that load it first.

    Raises:
        MissingLibraryError: one is neither in the system nor among the binaries.
    """
    every = list(binaries)
    brought = {binary.name for binary in every}
    found: set[Path] = set()
    for binary in every:
        listing = subprocess.run(
            ["ldd", binary], capture_output=True, text=True, check=False
        ).stdout
        if missing := set(_MISSING.findall(listing)) - brought:
            raise MissingLibraryError(
                f"{binary}: needs {', '.join(sorted(missing))}: install it in the build stage"
            )
        found |= {Path(path) for path in _LOADED.findall(listing)}
    return found


def _inside(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def _link_as_in_system(folder: Path, root: Path) -> None:
    """Where `/lib` leads to `/usr/lib` in the system, it does so in the image."""
    if folder.is_symlink():
        target = folder.resolve()
        _inside(root, target).mkdir(parents=True, exist_ok=True)
        _inside(root, folder).symlink_to(os.path.relpath(target, "/"))


def _copy(path: Path, root: Path) -> None:
    """Copies a file under the name by which it is looked for; a link is copied as its target."""
    target = _inside(root, path)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)


def _copy_tree(folder: Path, root: Path, unused: Iterable[str]) -> None:
    ignored = shutil.ignore_patterns(*unused)
    shutil.copytree(folder, _inside(root, folder), symlinks=True, ignore=ignored)


def _compile(files: Iterable[Path], root: Path) -> None:
    """Compiles what every start loads, never to be checked again: an image's files stay."""
    for file in files:
        target = _inside(root, file)
        if not target.exists():  # the build stage's own customisation
            continue
        py_compile.compile(
            str(target),
            dfile=str(file),
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


def _is_binary(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _name_packages(files: Iterable[Path], root: Path) -> None:
    """Writes down the Debian packages that files come from, with their copyright."""
    names: set[str] = set()
    for file in files:
        for name in {file, file.resolve(), Path(str(file.resolve()).removeprefix("/usr"))}:
            owner = subprocess.run(
                ["dpkg-query", "--search", name], capture_output=True, text=True, check=False
            ).stdout
            if owner:
                names.add(owner.split(":", maxsplit=1)[0])
                break
    folder = root / _PACKAGES
    folder.mkdir(parents=True, exist_ok=True)
    for package in sorted(names):
        status = subprocess.run(
            ["dpkg-query", "--status", package], capture_output=True, text=True, check=True
        ).stdout
        (folder / package).write_text(status, "utf-8")
        _copy(Path("/usr/share/doc", package, "copyright"), root)


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
