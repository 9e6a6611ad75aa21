"""A launcher that asks for signatures refuses one release by its name, and serves the others."""

import os
import shutil

import pytest

from pipelines import protocol
from pipelines.load import FOLDER, load_spec
from pipelines.release import current_path
from pipelines.signatures import FOLDER as SIGNED
from pipelines.signatures import TIMESTAMP, Signatures
from releases.signatures.signing import KeyFolder, SignedRepository
from server.releases.discovery import PipelineDiscovery
from tests.unit.server.releases import artefacts

NAMES = ("mhist", "oral_cancer")


class Site:
    """Two pipelines with signed releases, and what a launcher finds of them when it starts."""

    def __init__(self, folder):
        self.repository, self.state = folder / "repository", folder / "state"
        self.root = folder / "root.json"
        self.signer = SignedRepository(self.repository, KeyFolder(folder / "keys"))
        self.releases = {}
        self.repository.mkdir()
        shutil.copy(self.signer.initialise(), self.root)
        for name in NAMES:
            self.make(name)
            self.signer.sign(self.releases[name])

    def make(self, name, version=1):
        spec = load_spec(name)
        for model in spec.models if version == 1 else ():
            artefacts.write_config(self.repository, spec, model)
        # Else the release would take the versions that serve.
        current_path(name, "default", self.repository).unlink(missing_ok=True)
        for member in spec.members:
            artefacts.write_version(self.repository, spec, member, version)
        self.releases[name] = artefacts.write_release(self.repository, spec)

    def discovery(self):
        self.signatures = Signatures(self.root, self.state, self.repository)
        return PipelineDiscovery(FOLDER, self.repository, list(NAMES), signatures=self.signatures)

    def look(self):
        found, problems = self.discovery().look()
        return [each.spec.name for each in found], problems

    def member(self, name):
        spec = load_spec(name)
        return self.repository / protocol.member_model(name, next(iter(spec.members))) / "1"


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_signed_releases_are_served(site):
    assert site.look() == (list(NAMES), [])
    assert site.signatures.problem is None


def flip(folder):
    file = next(folder.glob("model.*"))
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)
    return file.name


def remove(folder):
    (folder / "class_map.json").unlink()
    return "class_map.json: missing"


def add(folder):
    (folder / "helper.py").write_text("print('more')")
    return "helper.py"


@pytest.mark.parametrize("attack", [flip, remove, add])
def test_another_file_than_was_signed_is_refused_by_its_name(site, attack):
    said = attack(site.member("mhist"))
    served, (problem,) = site.look()
    assert served == ["oral_cancer"]
    assert problem.startswith("mhist: ")
    assert said in problem


def test_who_writes_a_release_of_changed_files_must_sign_it(site):
    site.make("mhist", version=2)
    discovery = site.discovery()
    served, (problem,) = discovery.look()
    assert [each.spec.name for each in served] == ["oral_cancer"]
    assert f"mhist {site.releases['mhist'].identity}: is not signed" in problem
    site.signer.sign(site.releases["mhist"])
    os.utime(site.repository / TIMESTAMP, (2**31, 2**31))
    served, problems = discovery.look()
    assert ([each.spec.name for each in served], problems) == (["mhist"], [])


def test_without_any_signatures_what_served_goes_on_and_a_new_release_is_refused(site):
    assert site.look()[1] == []
    former = site.releases["mhist"].identity
    shutil.rmtree(site.repository / SIGNED)
    assert site.look() == (list(NAMES), [])
    assert "a file of the signatures is missing" in site.signatures.problem
    site.make("mhist", version=2)
    served, (problem,) = site.look()
    assert served == ["oral_cancer"]
    assert "a file of the signatures is missing" in problem
    # Going back to the one that served is no update.
    current_path("mhist", "default", site.repository).write_text(former)
    assert site.look() == (list(NAMES), [])
