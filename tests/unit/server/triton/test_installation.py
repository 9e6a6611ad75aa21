"""Where the shared libraries of tritonserver and its backend processes come from."""

import subprocess
import sys
from pathlib import Path

import pytest

from server.triton import installation
from server.triton.installation import Installation

COMPAT = "/usr/local/cuda/compat/lib.real:/usr/local/cuda/compat/lib"
SYSTEM = Path("/usr/lib/x86_64-linux-gnu")


@pytest.fixture
def own_python(tmp_path, monkeypatch):
    """A Python that lies apart from the system's libraries."""
    monkeypatch.setattr(installation, "libpython_folders", lambda: [tmp_path, SYSTEM])
    monkeypatch.setattr(Path, "is_dir", lambda _: True)
    return str(tmp_path)


def libraries(monkeypatch, of: Path | None, inherited: str) -> list[str]:
    monkeypatch.setenv("LD_LIBRARY_PATH", inherited)
    environment = Installation(Path("/opt/tritonserver"), of).environment()
    return environment["LD_LIBRARY_PATH"].split(":")


def test_in_the_container_nothing_comes_before_cudas_forward_compatibility(own_python, monkeypatch):
    found = libraries(monkeypatch, None, COMPAT)
    assert found == [*COMPAT.split(":"), own_python]


def test_the_wheels_own_libraries_come_first(own_python, monkeypatch):
    found = libraries(monkeypatch, Path("/wheel.libs"), COMPAT)
    assert found == ["/wheel.libs", own_python, str(SYSTEM), *COMPAT.split(":")]


def test_numpy_in_a_backends_process_has_no_threads_that_spin():
    code = (
        "import pathlib, numpy; numpy.ones((500, 500)) @ numpy.ones((500, 500));"
        "print(len(list(pathlib.Path('/proc/self/task').iterdir())))"
    )
    environment = Installation(Path("/opt/tritonserver"), None).environment()
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "1"


def test_only_this_project_s_backends_of_members_measure(tmp_path):
    """Of a native backend, or somebody's Python code, nobody may ask what its passes spend."""
    embedded, native = Installation(tmp_path, tmp_path), Installation(tmp_path, None)
    for backend in ("onnxruntime", "pytorch"):
        assert embedded.measures(backend)
        assert not native.measures(backend)
        (tmp_path / "backends" / backend).mkdir(parents=True)
        (tmp_path / "backends" / backend / "model.py").touch()
        assert native.measures(backend)
    for backend in ("python", "image_decode", ""):
        assert not embedded.measures(backend)
