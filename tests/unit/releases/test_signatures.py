"""Signatures of releases: each attack is refused by its name, while other releases serve."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from pipelines.release import Release, ReleaseError
from pipelines.release_state import ReleaseState
from pipelines.signatures import FOLDER, SignatureRefusedError, Signatures
from releases.signatures.signing import KEPT, KeyFolder, SignedRepository, SigningError
from tests.releases_command import make, run

OTHERS = ("mhist", "oral_cancer")


class Disk(FetcherInterface):
    """What python-tuf's client asks a web server for, from a folder."""

    def __init__(self, folder):
        self.folder = folder

    def _fetch(self, url):
        path = self.folder / url.removeprefix("disk:/")
        if not path.is_file():
            raise DownloadHTTPError(url, 404)
        return iter([path.read_bytes()])


class Site:
    """A model repository with its signers, and one server that asks for signatures."""

    def __init__(self, folder):
        self.folder = folder
        self.repository = folder / "repository"
        self.keys = folder / "keys"
        self.state = folder / "state"
        self.root = folder / "trusted-root.json"
        self.signer().initialise()
        shutil.copy(self.repository / FOLDER / "metadata" / "1.root.json", self.root)

    def signer(self, **how):
        return SignedRepository(self.repository, KeyFolder(self.keys), **how)

    def require(self, release):
        Signatures(self.root, self.state, self.repository).require(release)

    def metadata(self, name):
        return self.repository / FOLDER / "metadata" / name


@pytest.fixture
def site(tmp_path):
    (tmp_path / "repository").mkdir()
    return Site(tmp_path)


@pytest.fixture
def two(site):
    """Two signed releases, of two pipelines, that served already."""
    made = [make(site.repository, name) for name in OTHERS]
    for release in made:
        site.signer().sign(release)
        site.require(release)
    return made


def test_a_signed_release_is_served(site):
    release = make(site.repository, "mhist")
    site.signer().sign(release)
    site.require(release)


def test_what_is_not_signed_is_refused_by_name_while_others_serve(site, two):
    other = make(site.repository, "snake_species")
    with pytest.raises(SignatureRefusedError, match=f"snake_species {other.identity}: is not sign"):
        site.require(other)
    for release in two:
        site.require(release)


def test_a_release_with_other_content_under_a_signed_id_is_refused(site, two, monkeypatch):
    # Its id has 8 digits of a hash, which somebody may have found a second content for.
    changed = make(site.repository, "mhist", number=7)
    monkeypatch.setattr(Release, "identity", two[0].identity)
    with pytest.raises(SignatureRefusedError, match="differs from what was signed"):
        site.require(changed)


@pytest.mark.parametrize("name", ["targets.json", "snapshot.json", "timestamp.json"])
def test_a_flipped_byte_of_the_metadata_is_refused(site, two, name):
    new = make(site.repository, "mhist", number=1)
    site.signer().sign(new)
    content = site.metadata(name).read_text()
    # A digit of a date is data that a signature covers.
    site.metadata(name).write_text(content.replace('"expires":"20', '"expires":"21'))
    assert site.metadata(name).read_text() != content
    with pytest.raises(SignatureRefusedError, match="not trusted, or was revoked"):
        site.require(new)
    for release in two:
        site.require(release)


@pytest.mark.parametrize("name", ["targets.json", "snapshot.json", "timestamp.json"])
def test_a_missing_file_of_the_metadata_is_refused(site, two, name):
    new = make(site.repository, "mhist", number=1)
    site.signer().sign(new)
    site.metadata(name).unlink()
    with pytest.raises(SignatureRefusedError, match="missing"):
        site.require(new)
    site.require(two[1])


def test_an_older_release_that_is_replayed_with_its_metadata_is_refused(site, tmp_path):
    old = make(site.repository, "mhist")
    site.signer().sign(old)
    site.require(old)
    shutil.copytree(site.metadata(""), tmp_path / "old")
    newer = [make(site.repository, "mhist", number) for number in range(1, 1 + KEPT)]
    for release in newer:
        site.signer().sign(release)
        site.require(release)
    # Withdrawn by the newer ones.
    with pytest.raises(SignatureRefusedError, match="is not signed, or was withdrawn"):
        site.require(old)
    shutil.copytree(tmp_path / "old", site.metadata(""), dirs_exist_ok=True)
    with pytest.raises(SignatureRefusedError, match="older signatures than those that were seen"):
        site.require(old)
    site.require(newer[-1])


def test_the_release_that_serves_stays_signed_however_many_candidates_are_signed(site):
    serving = make(site.repository, "mhist")
    site.signer().sign(serving)
    for number in range(1, 5):
        candidate = make(site.repository, "mhist", number)
        gone = site.signer().sign(candidate, in_use=[serving.identity])
        assert serving.identity not in [each.identity for each in gone]
    site.require(serving)
    assert len(site.signer().releases()) == KEPT + 1


def test_a_release_of_a_revoked_signer_is_refused(site, two, tmp_path):
    stolen = tmp_path / "stolen"
    shutil.copytree(site.keys, stolen)
    site.signer().rotate("targets")
    for release in two:
        site.require(release)
    # Whoever has the former keys signs a release of their own, and dates it anew.
    evil = make(site.repository, "mhist", number=6)
    before = site.metadata("root.json").read_bytes()
    site.metadata("root.json").write_bytes(site.metadata("1.root.json").read_bytes())
    SignedRepository(site.repository, KeyFolder(stolen)).sign(evil)
    site.metadata("root.json").write_bytes(before)
    with pytest.raises(SignatureRefusedError, match="not trusted, or was revoked"):
        site.require(evil)
    for release in two:
        site.require(release)


def test_expiry_stops_an_update_and_never_what_serves(site, two):
    new = make(site.repository, "mhist", number=1)
    past = datetime.now(UTC) - timedelta(days=200)
    site.signer(now=lambda: past).sign(new)
    with pytest.raises(SignatureRefusedError, match="the signatures have expired"):
        site.require(new)
    for release in two:
        site.require(release)
    site.signer().renew()
    site.require(new)


def test_another_roots_signatures_are_refused(site, tmp_path):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "repository").mkdir()
    other = Site(foreign)
    release = make(other.repository, "mhist")
    other.signer().sign(release)
    mixed = Signatures(site.root, site.state, other.repository)
    with pytest.raises(SignatureRefusedError, match="not trusted, or was revoked"):
        mixed.require(release)


def test_a_withdrawn_release_that_is_looked_at_does_not_come_back_with_older_metadata(
    site, two, tmp_path
):
    shutil.copytree(site.metadata(""), tmp_path / "old")
    site.signer().withdraw("mhist", two[0].identity)
    with pytest.raises(SignatureRefusedError, match="withdrawn"):
        site.require(two[0])
    shutil.copytree(tmp_path / "old", site.metadata(""), dirs_exist_ok=True)
    with pytest.raises(SignatureRefusedError, match="older signatures than those that were seen"):
        site.require(two[0])
    site.require(two[1])


def test_a_withdrawn_release_is_refused(site, two):
    site.signer().withdraw("mhist", two[0].identity)
    with pytest.raises(SignatureRefusedError, match="withdrawn"):
        site.require(two[0])
    site.require(two[1])
    with pytest.raises(SigningError, match="is not signed"):
        site.signer().withdraw("mhist", two[0].identity)


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_a_role_gets_a_new_key_and_sites_follow(site, two, role):
    former = (site.keys / f"{role}.pem").read_bytes()
    site.signer().rotate(role)
    assert (site.keys / f"{role}.pem").read_bytes() != former
    new = make(site.repository, "mhist", number=1)
    site.signer().sign(new)
    for release in (*two, new):
        site.require(release)


def test_a_lost_root_key_is_replaced_by_the_two_others(site, two):
    (site.keys / "root-2.pem").unlink()
    site.signer().rotate("root", "root-2")
    # The next change of keys is signed by the new one and one of the others.
    (site.keys / "root-1.pem").unlink()
    site.signer().rotate("targets")
    for release in two:
        site.require(release)


def test_one_root_key_alone_changes_no_keys(site, two):
    for name in ("root-1.pem", "root-2.pem"):
        (site.keys / name).unlink()
    before = (site.keys / "targets.pem").read_bytes()
    with pytest.raises(SigningError, match="has 1 of the root's keys, and 2 must sign"):
        site.signer().rotate("targets")
    assert (site.keys / "targets.pem").read_bytes() == before


def test_keys_are_read_by_their_owner_alone_and_never_written_over(site):
    assert {path.name for path in site.keys.iterdir()} == {
        "root-1.pem", "root-2.pem", "root-3.pem", "targets.pem", "snapshot.pem", "timestamp.pem",
    }  # fmt: skip
    assert {path.stat().st_mode & 0o777 for path in site.keys.iterdir()} == {0o600}
    with pytest.raises(SigningError, match="signed already"):
        site.signer().initialise()
    shutil.rmtree(site.repository / FOLDER)
    with pytest.raises(SigningError, match="is there already"):
        site.signer().initialise()


def test_python_tufs_own_client_reads_what_was_written(site, two, tmp_path):
    client, downloads = tmp_path / "client", tmp_path / "downloads"
    client.mkdir()

    updater = Updater(
        str(client),
        "disk:/.signatures/metadata",
        str(downloads),
        "disk:/",
        fetcher=Disk(site.repository),
        bootstrap=site.root.read_bytes(),
    )
    for release in two:
        path = f"{release.spec.name}/releases/{release.identity}.json"
        file = updater.download_target(updater.get_targetinfo(path), str(tmp_path / "one.json"))
        assert Path(file).read_bytes() == release.text.encode()


def test_the_commands_sign_and_verify(site, two, capsys, monkeypatch):
    where = ["--repository", site.repository, "--json"]
    monkeypatch.setattr("pipelines.release_files.ReleaseFiles.verify_members", signed_alone)
    new = make(site.repository, "mhist", number=1)
    status, output, _ = run(capsys, "verify", "--root", site.root, *where)
    found = {row["pipeline"]: row["problem"] for row in json.loads(output)}
    assert status == 1
    assert found["oral_cancer"] is None
    assert "not signed" in found["mhist"]
    dry = run(capsys, "sign", "mhist", "--keys", site.keys, "--dry-run", *where)
    assert [row["release"] for row in json.loads(dry[1])] == [each.identity for each in two]
    assert run(capsys, "sign", "mhist", "--keys", site.keys, *where)[0] == 0
    assert run(capsys, "verify", "--root", site.root, *where)[0] == 0
    assert run(capsys, "sign", "--renew", "--keys", site.keys, *where)[0] == 0
    assert run(capsys, "sign", "--rotate", "snapshot", "--keys", site.keys, *where)[0] == 0
    assert run(capsys, "verify", "mhist", "--root", site.root, *where)[0] == 0
    gone = run(capsys, "sign", "mhist", new.identity, "--withdraw", "--keys", site.keys, *where)
    assert gone[0] == 0
    assert run(capsys, "verify", "mhist", "--root", site.root, *where)[0] == 1


def test_candidate_and_former_release_stay_signed_and_are_verified_too(site, capsys, monkeypatch):
    where = ["--repository", site.repository, "--json"]
    monkeypatch.setattr("pipelines.release_files.ReleaseFiles.verify_members", signed_alone)
    loaded = [make(site.repository, "mhist", number) for number in range(3)]
    for release in loaded:
        site.signer().sign(release, keep=3)
    former, current, candidate = (each.identity for each in loaded)
    state = ReleaseState(
        pipeline="mhist",
        profile="default",
        revision=4,
        current=current,
        former=former,
        candidate=candidate,
    )
    state.write(site.repository)
    newer = make(site.repository, "mhist", 9)
    state.write(site.repository)
    words = ["sign", "mhist", newer.identity, "--keys", site.keys, "--keep", "1", *where]
    assert run(capsys, *words)[0] == 0
    status, output, _ = run(capsys, "verify", "--root", site.root, *where)
    found = {row["release"]: row["problem"] for row in json.loads(output)}
    assert (status, found) == (0, dict.fromkeys((former, current, candidate)))
    for identity in (candidate, former):
        words = ["sign", "mhist", identity, "--withdraw", "--keys", site.keys, *where]
        assert run(capsys, *words)[0] == 0
        status, output, _ = run(capsys, "verify", "--root", site.root, *where)
        found = {row["release"]: row["problem"] for row in json.loads(output)}
        assert status == 1
        assert "not signed, or was withdrawn" in found[identity]
        assert found[current] is None


def test_the_command_asks_for_one_thing(site, capsys):
    status, _, errors = run(capsys, "sign", "--keys", site.keys, "--repository", site.repository)
    assert status == 2
    assert "name a PIPELINE" in errors


def signed_alone(files, release):
    """In place of the check of all files, which `test_release_files` covers."""
    if files._signatures is not None:
        files._signatures.require(release)


def test_without_the_setting_no_signature_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.delenv("SERVER_SIGNATURES_ROOT", raising=False)
    assert Signatures.asked_for(tmp_path) is None
    monkeypatch.setenv("SERVER_SIGNATURES_ROOT", str(tmp_path / "absent.json"))
    with pytest.raises(ReleaseError, match="absent"):
        Signatures.asked_for(tmp_path)
