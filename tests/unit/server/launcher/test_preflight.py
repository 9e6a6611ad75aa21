"""Every failure of the preflight names its remedy, and all come at once."""

import os
import socket
import sys
from pathlib import Path

import pytest

from server.errors import PreflightError
from server.launcher import preflight
from server.triton import leftovers
from server.triton.installation import Installation


@pytest.fixture
def installation(tmp_path):
    installation = Installation(tmp_path, tmp_path)
    installation.stub.parent.mkdir(parents=True)
    installation.stub.touch()
    return installation


@pytest.fixture
def taken_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch):
    monkeypatch.setattr(preflight, "_PORT_PATIENCE_SECONDS", 0)


@pytest.mark.parametrize("version", ["2.35", "2.36", "3.0"])
def test_a_recent_glibc_is_fine(version):
    assert preflight.glibc_problem(("glibc", version)) is None


@pytest.mark.parametrize("found", [("glibc", "2.31"), ("musl", "1.2"), ("", "")])
def test_another_c_library_names_systems_that_have_it(found):
    assert "use Debian 12, Ubuntu 22.04 or newer" in (preflight.glibc_problem(found) or "")


def test_a_python_without_stub_names_the_one_to_use(tmp_path):
    problem = preflight.python_problem(Installation(tmp_path, tmp_path), [])
    assert "use Python 3.11" in (problem or "")


def test_a_missing_libpython_names_the_package(installation, tmp_path):
    problem = preflight.python_problem(installation, [tmp_path / "nowhere"])
    assert "install the package libpython3." in (problem or "")


def test_this_python_is_fine(installation, tmp_path):
    (tmp_path / f"libpython{sys.version_info.major}.{sys.version_info.minor}.so.1.0").touch()
    assert preflight.python_problem(installation, [tmp_path]) is None


def test_numpy_2_is_refused():
    assert preflight.numpy_problem("1.26.4") is None
    assert "make setup" in (preflight.numpy_problem("2.1.0") or "")


def test_too_little_space_names_folder_and_remedy(tmp_path):
    assert preflight.space_problem(tmp_path, 1, "free some") is None
    problem = preflight.space_problem(tmp_path, 10**9, "free some") or ""
    assert str(tmp_path) in problem
    assert problem.endswith("free some")
    assert "nowhere" in (preflight.space_problem(tmp_path / "nowhere", 1, "make it") or "")


def test_a_taken_port_names_its_holder_and_the_variable_that_moves_it(taken_port):
    (problem,) = preflight.port_problems([("GATEWAY_PORT", taken_port)])
    assert f"port {taken_port} is taken" in problem
    assert f"(pid {os.getpid()})" in problem
    assert "change GATEWAY_PORT" in problem


def test_a_port_given_twice_is_refused(taken_port):
    problems = preflight.port_problems([("A_PORT", taken_port), ("B_PORT", taken_port)])
    assert f"B_PORT and A_PORT are both {taken_port}: change one of them" in problems


def test_all_failures_are_reported_at_once(tmp_path, taken_port, monkeypatch):
    monkeypatch.setattr(preflight.platform, "libc_ver", lambda: ("glibc", "2.28"))
    with pytest.raises(PreflightError) as error:
        preflight.check(
            Installation(tmp_path, tmp_path), [("A_PORT", taken_port)], Path(tmp_path), 10**9
        )
    lines = str(error.value).splitlines()
    assert len(lines) >= 3
    assert any("glibc" in line for line in lines)
    assert any("A_PORT" in line for line in lines)
    assert any(str(leftovers.SHARED_MEMORY) in line and "--shm-size" in line for line in lines)


def test_a_second_launcher_on_the_same_port_is_told_so():
    with (
        preflight.lock(64999),
        pytest.raises(PreflightError, match="another server already runs with gRPC port 64999"),
    ):
        preflight.lock(64999)
    preflight.lock(64999).close()


def test_an_installed_triton_is_run_with_its_own_backends(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tritonserver").touch()
    monkeypatch.setenv("TRITON_HOME", str(tmp_path))
    found = Installation.find()
    assert found.binary == tmp_path / "bin" / "tritonserver"
    assert found.stub == tmp_path / "backends" / "python" / "triton_python_backend_stub"
    assert found.lay_out_backends(tmp_path / "elsewhere") == tmp_path / "backends"
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_without_triton_is_refused_with_what_to_name(tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_HOME", str(tmp_path))
    with pytest.raises(PreflightError, match="/opt/tritonserver, or unset it"):
        Installation.find()
