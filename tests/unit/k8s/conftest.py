import shutil
from dataclasses import dataclass

import pytest

from k8s.checks import rendering
from k8s.checks.exceptions import Exceptions
from k8s.checks.tree import PROJECT, Tree


@dataclass(frozen=True)
class PartialTree(Tree):
    """Some of the overlays: rendering all of them for each planted error would take minutes."""

    names: frozenset[str] = frozenset()

    @property
    def overlays(self):
        return [folder for folder in super().overlays if folder.name in self.names]


@pytest.fixture
def part(tree):
    return lambda *names: PartialTree(tree.root, frozenset(names))


@pytest.fixture
def tree(tmp_path):
    """A copy of all that the checks look at, to plant errors in."""
    for folder in ("k8s", "loadtest", ".github"):
        shutil.copytree(
            PROJECT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    for file in Tree().dockerfiles:
        copy = tmp_path / file.relative_to(PROJECT)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(file, copy)
    return Tree(tmp_path)


@pytest.fixture
def plant(tree):
    """Puts other words in place of some that stand in a file, once."""

    def planted(name, old, new):
        file = tree.root / name
        text = file.read_text("utf-8")
        assert text.count(old) >= 1, f"{old!r} is not in {name}"
        file.write_text(text.replace(old, new, 1), "utf-8")

    return planted


@pytest.fixture(scope="session")
def as_they_are():
    """The project's own overlays."""
    return rendering.render(Tree())


@pytest.fixture(scope="session")
def exceptions():
    return Exceptions.read()
