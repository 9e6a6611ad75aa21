import shutil
from dataclasses import dataclass

import pytest
import yaml

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


def _parts(folder):
    """The folders that an overlay is made of, its own among them."""
    found = {folder}
    kustomization = yaml.load((folder / "kustomization.yaml").read_text("utf-8"), yaml.CSafeLoader)
    for name in (*kustomization.get("resources", []), *kustomization.get("components", [])):
        if (part := (folder / name).resolve()).is_dir():
            found |= _parts(part)
    return found


@pytest.fixture
def rendered(part, as_they_are):
    """Renders some overlays anew where an error was planted in a part of theirs."""

    def render(names, file):
        changed = {
            overlay.name
            for overlay in part(*names).overlays
            if any((PROJECT / file).is_relative_to(each) for each in _parts(_folder(overlay.name)))
        }
        fresh = rendering.render(part(*changed))
        others = [each for each in as_they_are.overlays if each.name in names - changed]
        overlays = sorted([*fresh.overlays, *others], key=lambda each: each.name)
        return rendering.Rendered(overlays, fresh.problems)

    return render


def _folder(name):
    return next(folder for folder in Tree().overlays if folder.name == name)


@pytest.fixture(scope="session")
def as_they_are():
    """The project's own overlays."""
    return rendering.render(Tree())


@pytest.fixture(scope="session")
def exceptions():
    return Exceptions.read()
