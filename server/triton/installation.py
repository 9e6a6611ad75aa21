"""Where Triton is installed, and the backend folder and environment that it runs with."""

import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from pipelines.enums import Format
from server.errors import PreflightError

ROOT = Path(__file__).parents[2]
"""The repository's root: backends import their modules from here."""
BACKENDS = ROOT / "server" / "backends"
STUB = "triton_python_backend_stub"
_OF_MEMBERS = {each.backend for each in Format}


def libpython_folders() -> list[Path]:
    """Where this interpreter's shared library may lie, the likeliest first."""
    library = Path(sysconfig.get_config_var("LIBDIR") or sys.base_prefix)
    triplet = sysconfig.get_config_var("MULTIARCH") or ""
    return [library, library / triplet, Path("/usr/lib") / triplet, Path("/usr/lib64")]


@dataclass(frozen=True)
class Installation:
    """The files of the `nvidia-pytriton` wheel, or of a Triton with backends of its own."""

    home: Path
    """The folder with `bin/` and `backends/`; of the wheel also `python_backend_stubs/`."""
    libraries: Path | None
    """The shared libraries that the wheel brings along; None: Triton's own installation."""

    @classmethod
    def find(cls) -> Self:
        """The Triton in TRITON_HOME, else the wheel, which is looked up without importing it.

        Raises:
            PreflightError: it is not installed.
        """
        if home := os.environ.get("TRITON_HOME"):
            installation = cls(Path(home), None)
            if not installation.binary.is_file():
                raise PreflightError(
                    f"TRITON_HOME={home}: has no bin/tritonserver: name Triton's folder, as "
                    "/opt/tritonserver, or unset it for the embedded Triton"
                )
            return installation
        package = find_spec("pytriton")
        if package is None or package.origin is None:
            raise PreflightError(
                "Triton is not installed (package nvidia-pytriton): run `make setup` and start "
                "the server with .venv/bin/python"
            )
        folder = Path(package.origin).parent
        return cls(folder / "tritonserver", folder.parent / "nvidia_pytriton.libs")

    @property
    def binary(self) -> Path:
        """The server itself."""
        return self.home / "bin" / "tritonserver"

    @property
    def stub(self) -> Path:
        """The process that runs a Python-based backend, made for this Python's minor version."""
        if self.libraries is None:
            return self.home / "backends" / "python" / STUB
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return self.home / "python_backend_stubs" / version / STUB

    def has_processes(self, backend: str) -> bool:
        """Whether models of a backend run in processes of their own, as Python-based ones do.

        An ensemble has no backend.
        """
        native = (
            self.libraries is None and not (self.home / "backends" / backend / "model.py").is_file()
        )
        return bool(backend) and not native

    def measures(self, backend: str) -> bool:
        """Whether models of a backend answer what their passes spend (`protocol.SPENT`).

        This project's backends of members do; native ones, and Python code of others, do not.
        """
        return backend in _OF_MEMBERS and self.has_processes(backend)

    def lay_out_backends(self, folder: Path) -> Path:
        """Triton's backend directory: its own, where the image has added this project's.

        Beside the wheel it is made anew, of the wheel's Python backend and this project's. Copies:
        Triton refuses a library that a symbolic link leads out of its directory.

        Args:
            folder: where to make it.
        """
        if self.libraries is None:
            return self.home / "backends"
        shutil.rmtree(folder, ignore_errors=True)
        python = folder / "python"
        python.mkdir(parents=True)
        for source in [*(self.home / "backends" / "python").iterdir(), self.stub]:
            if source.is_file():
                shutil.copy(source, python)
        for model in BACKENDS.glob("*/model.py"):
            backend = folder / model.parent.name
            backend.mkdir()
            shutil.copy(model, backend)
        return folder

    def environment(self) -> dict[str, str]:
        """The environment for tritonserver and, inherited, for its backends' processes.

        Beside Triton's own installation what LD_LIBRARY_PATH already says comes first: NVIDIA's
        entrypoint puts the libraries for CUDA's forward compatibility there. Folders that the
        loader searches anyway are left out, as a system's older libcuda lies in one of them.
        """
        inherited = os.environ.get("LD_LIBRARY_PATH")
        folders = [folder for folder in libpython_folders()[:2] if folder.is_dir()]
        if self.libraries is None:
            own = [str(folder) for folder in folders if folder.parts[:2] != ("/", "usr")]
            libraries = _joined(inherited, *own)
        else:
            libraries = _joined(str(self.libraries), *map(str, folders), inherited)
        return os.environ | {
            "LD_LIBRARY_PATH": libraries,
            # A backend's process takes its packages from the first python on the path.
            "PATH": _joined(str(Path(sys.executable).parent), os.environ.get("PATH")),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            # NumPy's products are small here. Its further threads would wait for the next one by
            # spinning: 8 ms of CPU time a request in the decision step.
            "OPENBLAS_NUM_THREADS": "1",
        }


def _joined(*paths: str | None) -> str:
    return os.pathsep.join(path for path in paths if path)
