import importlib.util
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from lab.images import runtime_root
from lab.images.runtime_root import MissingLibraryError

UNCHECKED_HASH = 1


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """An environment with a package, an application that imports it, and the image's root."""
    folder = tmp_path_factory.mktemp("runtime_root")
    environment, application, root = (folder / name for name in ("environment", "app", "image"))
    venv.create(environment, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    package = environment / "lib" / version / "site-packages" / "palette"
    (package / "tests").mkdir(parents=True)
    (package / "__init__.py").write_text("colours = ['red']\n", "utf-8")
    (package / "tests" / "__init__.py").write_text("", "utf-8")
    (application / "shop").mkdir(parents=True)
    (application / "shop" / "__init__.py").write_text("import ssl\nimport palette\n", "utf-8")
    root.mkdir()
    runtime_root.lay_out(root, environment, application, "shop")
    return environment, application, root


def inside(root, path):
    return root / Path(path).relative_to("/")


def test_interpreter_environment_and_application_are_laid_out_where_they_were(place):
    environment, application, root = place
    assert os.access(inside(root, Path(sys.executable).resolve()), os.X_OK)
    assert inside(root, application / "shop" / "__init__.py").is_file()
    assert (inside(root, environment) / "bin" / "python").is_symlink()
    assert (inside(root, sysconfig.get_path("stdlib")) / "json" / "decoder.py").is_file()


def test_the_libraries_of_interpreter_and_extensions_come_along(place):
    _, _, root = place
    names = {path.name.split(".so")[0] for path in root.rglob("*.so*")}
    assert {"libc", "libssl", "libcrypto"} <= names
    assert list(root.rglob("ld-linux*"))


def test_tests_and_what_serves_only_people_stay_behind(place):
    environment, _, root = place
    stdlib = inside(root, sysconfig.get_path("stdlib"))
    for name in ("test", "idlelib", "ensurepip", "site-packages"):
        assert not (stdlib / name).exists()
    assert not list(inside(root, environment).rglob("tests"))
    assert not list(inside(root, environment).rglob("activate*"))


def test_what_every_start_loads_is_compiled_and_never_checked_again(place):
    _, application, root = place
    source = inside(root, application / "shop" / "__init__.py")
    compiled = Path(importlib.util.cache_from_source(str(source)))
    assert int.from_bytes(compiled.read_bytes()[4:8], "little") == UNCHECKED_HASH
    stdlib = inside(root, sysconfig.get_path("stdlib"))
    assert Path(importlib.util.cache_from_source(str(stdlib / "ssl.py"))).is_file()
    # Nothing imports it, so it takes no room.
    assert not Path(importlib.util.cache_from_source(str(stdlib / "smtplib.py"))).exists()


def test_an_application_that_cannot_be_imported_fails_the_build(place, tmp_path):
    environment, _, _ = place
    (tmp_path / "shop.py").write_text("import nothing_of_that_name\n", "utf-8")
    with pytest.raises(subprocess.CalledProcessError):
        runtime_root.imported(environment, tmp_path, "shop")


def ldd_that_says(folder, monkeypatch, line):
    program = folder / "ldd"
    program.write_text(f"#!/bin/sh\necho '{line}'\n", "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_library_that_is_nowhere_fails_the_build_by_name(tmp_path, monkeypatch):
    ldd_that_says(tmp_path, monkeypatch, "libfar.so.1 => not found")
    with pytest.raises(MissingLibraryError, match=r"tool: needs libfar\.so\.1: install it"):
        runtime_root.loaded([Path("/opt/tool")])


def test_a_library_that_a_wheel_brings_along_is_not_missing(tmp_path, monkeypatch):
    ldd_that_says(tmp_path, monkeypatch, "libnear.so.1 => not found")
    found = runtime_root.loaded([Path("/opt/tool"), Path("/opt/wheel.libs/libnear.so.1")])
    assert found == set()
