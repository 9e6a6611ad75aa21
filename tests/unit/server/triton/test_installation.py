"""Where the shared libraries of tritonserver and its backend processes come from."""

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
