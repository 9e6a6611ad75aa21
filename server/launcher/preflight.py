"""Checks the machine before anything starts; each failure names its remedy."""

import importlib.metadata
import platform
import shutil
import socket
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from server.errors import PreflightError
from server.triton import leftovers
from server.triton.installation import Installation, libpython_folders

_GLIBC = (2, 35)
_DISK_MIB = 100
_MIB = 2**20
_PORT_PATIENCE_SECONDS = 3.0


def lock(grpc_port: int) -> socket.socket:
    """Locks this gRPC port for one launcher, until the socket is closed.

    An abstract Unix socket: it leaves no file, and the kernel frees it however the holder ends.

    Raises:
        PreflightError: another launcher holds it.
    """
    holder = socket.socket(socket.AF_UNIX)
    try:
        holder.bind(f"\0{leftovers.region_prefix(grpc_port)}lock")
    except OSError:
        holder.close()
        raise PreflightError(
            f"another server already runs with gRPC port {grpc_port}: stop it, or change this "
            "one's ports (TRITON_GRPC_PORT and the others)"
        ) from None
    return holder


def check(
    installation: Installation,
    ports: Iterable[tuple[str, int]],
    runtime: Path,
    shared_memory_mib: int,
) -> None:
    """Checks everything, so that one run shows all problems.

    Args:
        installation: of Triton.
        ports: name of the environment variable and number, of each port that is needed.
        runtime: existing folder for logs and Triton's backend directory.
        shared_memory_mib: what the backend processes need.

    Raises:
        PreflightError: with a line for each failure.
    """
    problems = [
        glibc_problem(platform.libc_ver()),
        python_problem(installation, libpython_folders()),
        numpy_problem(importlib.metadata.version("numpy")),
        space_problem(runtime, _DISK_MIB, "free some disk"),
        space_problem(
            leftovers.SHARED_MEMORY,
            shared_memory_mib,
            "give it more (Docker: --shm-size=1g; Kubernetes: the sizeLimit of the volume there; "
            "else mount -o remount,size=1g /dev/shm), or serve fewer pipelines or instances",
        ),
        *port_problems(list(ports)),
    ]
    if found := [problem for problem in problems if problem]:
        raise PreflightError("\n".join(found))


def glibc_problem(found: tuple[str, str]) -> str | None:
    """Triton's binary is linked against a recent GNU C library."""
    library, version = found
    if library == "glibc" and tuple(map(int, version.split(".")[:2])) >= _GLIBC:
        return None
    return (
        f"Triton needs glibc 2.35 or newer, this system has {library or 'no glibc'} {version}: "
        "use Debian 12, Ubuntu 22.04 or newer, or the container image"
    )


def python_problem(installation: Installation, folders: Iterable[Path]) -> str | None:
    """Backend processes embed this Python: its stub, its shared library, its name."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if not installation.stub.is_file():
        return f"Triton brings no backend process for Python {version}: use Python 3.11"
    library = f"libpython{version}.so.1.0"
    if not any((folder / library).is_file() for folder in folders):
        return (
            f"{library} is missing: install the package libpython{version} (Debian, Ubuntu) or a "
            "Python that is built with --enable-shared"
        )
    if not (Path(sys.executable).parent / "python3").exists():
        return f"no python3 beside {sys.executable}: run `make setup` and use .venv/bin/python"
    return None


def numpy_problem(version: str) -> str | None:
    """With numpy 2 the backend processes' output tensors fail."""
    if int(version.split(".", maxsplit=1)[0]) < 2:  # noqa: PLR2004 - the major version
        return None
    return f"Triton's Python backend needs numpy 1, found {version}: run `make setup`"


def space_problem(folder: Path, mebibytes: int, remedy: str) -> str | None:
    """Free space of the file system that a folder is on."""
    try:
        free = shutil.disk_usage(folder).free // _MIB
    except OSError as error:
        return f"{folder}: {error.strerror}: {remedy}"
    if free >= mebibytes:
        return None
    return f"{folder} has {free} MiB free, {mebibytes} are needed: {remedy}"


def port_problems(ports: list[tuple[str, int]]) -> list[str]:
    """Ports that are taken or given twice; one that is just being freed gets a moment."""
    problems = []
    names: dict[int, str] = {}
    deadline = time.monotonic() + _PORT_PATIENCE_SECONDS
    for name, port in ports:
        if port in names:
            problems.append(f"{name} and {names[port]} are both {port}: change one of them")
        names[port] = name
        while not _free(port) and time.monotonic() < deadline:
            time.sleep(0.1)
        if not _free(port):
            problems.append(f"port {port} is taken{_holder(port)}: stop it, or change {name}")
    return problems


def _free(port: int) -> bool:
    with socket.socket() as trial:
        # As the servers do: connections that are fading away do not count.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
            trial.listen()
        except OSError:
            return False
    return True


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
            if listens and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return ""
