"""Whatever is installed is pinned by version and SHA-256, in `.venv` and in images."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILES = [
    ROOT / folder / "Dockerfile" for folder in ("gateway", "loadtest", "releases", "server")
]
_LOCKED = re.compile(r"^(\S+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M)


def locked() -> dict[str, str]:
    text = (ROOT / "constraints.txt").read_text("utf-8")
    found = {name.lower(): version for name, version, _ in _LOCKED.findall(text)}
    assert len(found) == len(re.findall("==", text)), "a version without a hash: run `make lock`"
    return found


def groups() -> dict[str, list[str]]:
    content = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    return {
        name: [item for item in items if isinstance(item, str)] for name, items in content.items()
    }


@pytest.mark.parametrize("group", groups())
def test_every_dependency_is_locked(group):
    versions = locked()
    for item in groups()[group]:
        name, version = re.sub(r"\[.*?\]", "", item).lower().split("==")
        assert versions.get(re.sub(r"[._-]+", "-", name)) == version, f"{item}: run `make lock`"


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
def test_images_install_nothing_but_by_hash(dockerfile):
    commands = dockerfile.read_text("utf-8").replace("\\\n", " ").split("&&")
    installs = [command for command in commands if " install " in command and "apt" not in command]
    assert len(installs) >= 2
    # The client is built of what lies here, and no index is asked for it.
    assert all("--require-hashes" in command or "--no-index" in command for command in installs)


def test_the_image_that_judges_releases_has_all_packages_of_ours_that_it_imports():
    recipe = (ROOT / "releases" / "Dockerfile").read_text("utf-8")
    copied = set(re.findall(r"^COPY (\w+) \1$", recipe, re.MULTILINE)) - {"client"}
    ours = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    imported = set()
    for file in (path for folder in copied for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {each.name.partition(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                imported.add((node.module or "").partition(".")[0])
    assert {"pipelines", "evaluation", "secondopinion"} <= imported
    assert imported & ours <= copied
    kept = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert {f"!{folder}" for folder in {*copied, "client"}} <= set(kept)
