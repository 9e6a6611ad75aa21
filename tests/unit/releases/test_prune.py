"""`python -m releases prune`: what goes, what stays, and that no half release is left."""

import fcntl
import hashlib
import itertools
import json
import os
import shutil
from pathlib import Path

import pytest
from sqlalchemy import insert
from typer.testing import CliRunner

from database import releases as history
from database.engine import open_engine
from database.tables import predictions
from export import releases as made_by_export
from export.repository import ModelRepository
from pipelines.load import load_spec
from pipelines.release import Release, current_path, release_path
from pipelines.release_changes import Action, promote, stage
from pipelines.release_files import ReleaseFiles
from pipelines.release_mirror import first_state, mirror
from pipelines.release_state import ReleaseState
from releases.__main__ import app
from releases.life import loading
from tests.unit.server.releases import artefacts

NAME = "oral_cancer"
SPEC = load_spec(NAME)


def thresholded(value):
    threshold = SPEC.threshold.model_copy(update={"default": value})
    return SPEC.model_copy(update={"threshold": threshold})


@pytest.fixture(autouse=True)
def engine(sqlite_url, monkeypatch):
    monkeypatch.setenv("GATEWAY_DATABASE_URL", sqlite_url)
    engine = open_engine(sqlite_url)
    yield engine
    engine.dispose()


@pytest.fixture(autouse=True)
def said(monkeypatch):
    """What a launcher on this machine says of its releases; none runs where it is empty."""
    page: dict = {}

    def read():
        if not page:
            raise ConnectionRefusedError
        return page

    monkeypatch.setattr(loading, "_page", read)
    return page


@pytest.fixture
def repository(tmp_path):
    return tmp_path / "repository"


@pytest.fixture
def make(repository):
    """Makes a release of a threshold and versions of the members; each is newer than the last."""
    count = 0

    def made(threshold, version):
        nonlocal count
        spec = thresholded(threshold)
        for member in spec.members:
            if not (repository / f"{NAME}_{member}" / str(version)).exists():
                artefacts.write_version(repository, spec, member, version)
        for model in spec.models:
            artefacts.write_config(repository, spec, model)
        root = ModelRepository(repository)
        release = made_by_export.compose(spec, root, dict.fromkeys(spec.members, version))
        made_by_export.write(release, root)
        count += 1
        os.utime(release_path(NAME, release.identity, repository), (count, count))
        return release.identity

    return made


@pytest.fixture
def five(make):
    """The first two share their artefacts, the third and fourth too; the fifth serves."""
    return [make(0.3, 1), make(0.4, 1), make(0.3, 2), make(0.4, 2), make(0.5, 3)]


@pytest.fixture
def prune(repository):
    def command(*words, status=0):
        done = CliRunner().invoke(
            app, ["prune", NAME, "--repository", str(repository), "--json", *map(str, words)]
        )
        assert done.exit_code == status, done.output
        if status:
            assert "Traceback" not in done.output
            return " ".join(done.output.split())
        (document,) = json.loads(done.stdout)
        return document

    return command


def tree(repository):
    return {
        path.relative_to(repository).as_posix(): path.read_bytes()
        for path in repository.rglob("*")
        if path.is_file()
    }


def whole(repository):
    """The releases that are there, each with all its files."""
    found = [path.stem for path in release_path(NAME, "", repository).parent.glob("*.json")]
    for identity in found:
        ReleaseFiles(repository).verify_members(Release.read(NAME, identity, repository))
    return set(found)


def row(engine, release, **changes):
    said = {
        "id": f"{os.urandom(18).hex()}", "chain": "c", "position": os.urandom(2)[0] + 1, "at": 1,
        "event": "prediction", "principal_id": "", "principal_kind": "", "credential": "",
        "tenant": "", "request_id": "", "transport": "http", "route": "predict", "pipeline": NAME,
        "release": release, "parameters": "{}", "stages": "{}", "kept": False, "previous": "",
        "hash": "",
    } | changes  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(predictions), said)


def change(engine, repository, action, what):
    with engine.begin() as connection:
        state = history.apply(
            connection, action, what, first=lambda: first_state(NAME, "default", repository),
            pipeline=NAME, profile="default", author=history.Author("chief"),
        )  # fmt: skip
    mirror([state], repository)


def removed(document):
    return {each["release"] for each in document["removed"]}


def test_the_newest_stay_and_the_rest_goes_with_what_it_does_not_share(five, prune, repository):
    before = tree(repository)
    document = prune("--keep", 2)
    assert removed(document) == set(five[:3])
    assert whole(repository) == set(five[3:])
    after = tree(repository)
    gone = before.keys() - after.keys()
    # The versions 2 stay for the fourth.
    assert {name.split("/")[1] for name in gone if name.startswith(f"{NAME}_")} == {"1"}
    assert after.items() <= before.items()
    assert document["bytes"] == sum(len(before[name]) for name in gone)
    assert not list(repository.glob(f"{NAME}/releases/.*"))
    because = {each["release"]: each["because"] for each in document["kept"]}
    assert because[five[4]] == ["one of the newest 2", "current"]
    assert prune("--keep", 2)["removed"] == []


def test_what_is_loaded_and_what_a_row_names_stays_however_old(five, prune, engine, repository):
    current_path(NAME, "default", repository).write_text(f"{five[0]}\n")
    change(engine, repository, Action.STAGE, stage(five[1]))
    change(engine, repository, Action.PROMOTE, promote())
    change(engine, repository, Action.STAGE, stage(five[2]))
    row(engine, five[3])
    row(engine, five[4], pipeline="mhist")
    document = prune("--keep", 0)
    assert removed(document) == {five[4]}
    assert {each["release"]: each["because"] for each in document["kept"]} == {
        five[0]: ["former"],
        five[1]: ["current"],
        five[2]: ["candidate"],
        five[3]: ["a row of the audit log names it"],
    }
    assert whole(repository) == set(five[:4])


def test_what_a_server_here_has_loaded_stays_though_a_newer_one_is_to_serve(five, prune, said):
    said[NAME] = {"loaded": [five[1]], "refused": {}}
    assert removed(prune("--keep", 1)) == {five[0], five[2], five[3]}


@pytest.mark.parametrize("content", ["", "no id", "\n\n"])
def test_nothing_goes_where_the_current_release_is_not_known(five, prune, repository, content):
    current_path(NAME, "default", repository).write_text(content)
    before = tree(repository)
    assert "holds no release id" in prune("--keep", 1, status=1)
    assert tree(repository) == before


def test_a_row_of_feedback_or_of_a_refusal_names_its_release_too(five, prune, engine):
    row(engine, five[0], event="feedback")
    row(engine, five[1], refusal="image_quality", kept=True)
    assert removed(prune("--keep", 1)) == set(five[2:4])


def test_profiles_have_their_own_newest(make, prune, repository):
    ids = [make(0.3, 1), make(0.5, 2)]
    other = json.loads(release_path(NAME, ids[0], repository).read_text())
    # As another version of this software wrote it: it has more in it.
    other["spec"]["profile"], other["more"] = "fast", {"later": 1}
    text = json.dumps(other).encode()
    identity = f"1-{hashlib.sha256(text).hexdigest()[:8]}"
    release_path(NAME, identity, repository).write_bytes(text)
    os.utime(release_path(NAME, identity, repository), (0, 0))
    document = prune("--keep", 1)
    assert removed(document) == {ids[0]}
    # Its artefacts are still those of the other profile's.
    assert (repository / f"{NAME}_vgg16" / "1" / "manifest.json").exists()
    assert {each["release"] for each in document["kept"]} == {identity, ids[1]}


def test_a_dry_run_says_the_same_and_changes_nothing(five, prune, repository):
    before = tree(repository)
    said = prune("--keep", 1, "--dry-run")
    assert tree(repository) == before
    assert said == prune("--keep", 1) | {"dry_run": True}


def test_the_configs_and_the_drift_reference_go_and_gate_reports_stay(five, prune, repository):
    for kind in ("drift", f"gates/{five[0]}"):
        (repository / NAME / kind).mkdir(parents=True)
    (repository / NAME / "drift" / f"{five[0]}.json").write_text("{}")
    report = repository / NAME / "gates" / five[0] / "20261130T000000Z.json"
    report.write_text("{}")
    prune("--keep", 1)
    assert not (repository / NAME / "drift" / f"{five[0]}.json").exists()
    assert not (repository / NAME / "releases" / f"{five[0]}.configs").exists()
    assert report.exists()


@pytest.fixture
def other_database(tmp_path, monkeypatch):
    file = tmp_path / "other.db"
    monkeypatch.setenv("GATEWAY_DATABASE_URL", f"sqlite:///{file}")
    return file


def test_nothing_goes_where_there_is_no_database(five, prune, repository, other_database):
    before = tree(repository)
    assert "there is no database" in prune("--keep", 1, status=2)
    assert tree(repository) == before
    assert not other_database.exists()


def test_nothing_goes_where_the_database_cannot_be_read(five, prune, repository, other_database):
    other_database.write_bytes(b"this is no database, and longer than a header" * 9)
    before = tree(repository)
    assert "the database cannot be used" in prune("--keep", 1, status=2)
    assert tree(repository) == before


def test_another_database_than_the_services_is_refused(five, prune, repository):
    state = ReleaseState(pipeline=NAME, profile="default", revision=7, current=five[0])
    state.write(repository)
    before = tree(repository)
    assert "it is another database" in prune("--keep", 1, status=1)
    assert tree(repository) == before


def edited(text):
    return text.replace(b'"threshold"', b'"Threshold"')


@pytest.mark.parametrize(
    "damage",
    [lambda _: b"", lambda _: b"[]", lambda _: b"\xff\xfe", lambda text: text[:200], edited],
    ids=["empty", "a list", "no text", "cut", "edited"],
)
def test_nothing_goes_where_a_release_cannot_be_read(five, prune, repository, damage):
    path = release_path(NAME, five[1], repository)
    path.write_bytes(damage(path.read_bytes()))
    before = tree(repository)
    said = prune("--keep", 1, status=1)
    assert (str(path) in said, "nothing is removed" in said) == (True, True)
    assert tree(repository) == before


@pytest.mark.parametrize("member", ["../../outside", "/etc", "vgg16/../x"])
def test_a_release_that_names_files_elsewhere_removes_none(five, prune, repository, member):
    path = release_path(NAME, five[0], repository)
    document = json.loads(path.read_text())
    document["members"][member] = {"version": 1}
    text = json.dumps(document).encode()
    path.unlink()
    path.with_name(f"1-{hashlib.sha256(text).hexdigest()[:8]}.json").write_bytes(text)
    before = tree(repository)
    assert "is no release" in prune("--keep", 1, status=1)
    assert tree(repository) == before


def interrupted(patch, step):
    """Lets `step` changes of folders happen, and none after them."""
    left = step
    for owner, name in ((Path, "rename"), (Path, "mkdir"), (Path, "rmdir"), (os, "unlink")):
        real = getattr(owner, name)

        def counted(*args, real=real, **options):
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            return real(*args, **options)

        patch.setattr(owner, name, counted)


def test_wherever_it_is_interrupted_no_half_release_is_left(
    five, repository, monkeypatch, tmp_path
):
    def prune(folder):
        words = ["prune", NAME, "--repository", str(folder), "--keep", "3"]
        return CliRunner().invoke(app, words).exit_code

    done = tmp_path / "done"
    shutil.copytree(repository, done)
    assert prune(done) == 0
    for step in itertools.count():
        tried = tmp_path / str(step)
        shutil.copytree(repository, tried)
        with monkeypatch.context() as patch:
            interrupted(patch, step)
            status = prune(tried)
        assert whole(tried) >= set(five[2:])
        if status == 0:
            break
        assert prune(tried) == 0
        assert tree(tried) == tree(done)
    # Two releases with their configs, and the artefacts that they share.
    assert step > 10


def test_two_at_a_time_are_refused(five, prune, repository):
    opened = os.open(repository / NAME / "releases", os.O_RDONLY)
    fcntl.flock(opened, fcntl.LOCK_EX)
    try:
        assert "another process removes releases" in prune("--keep", 1, status=1)
    finally:
        os.close(opened)
    assert whole(repository) == set(five)


def test_a_release_that_is_asked_for_meanwhile_comes_back(five, prune, repository, monkeypatch):
    monkeypatch.setattr(history, "is_named", lambda _, __, release: release == five[0])
    document = prune("--keep", 1)
    assert removed(document) == set(five[1:4])
    assert whole(repository) == {five[0], five[4]}
    assert {"release": five[0], "because": ["a row of the audit log names it"]} in document["kept"]


def test_words_that_cannot_be_are_refused(five, prune, repository):
    assert "--keep" in prune("--keep", -1, status=2)
    assert "--keep" in prune(status=2)
    done = CliRunner().invoke(
        app, ["prune", "nothing", "--keep", "1", "--repository", str(repository)]
    )
    assert (done.exit_code, "there is no release of it" in done.output) == (1, True)


def test_the_text_says_what_goes_and_how_much(five, repository):
    done = CliRunner().invoke(app, ["prune", "--keep", "4", "--repository", str(repository)])
    assert done.exit_code == 0, done.output
    assert (
        f"{NAME}: removed: {five[0]} of profile default, 0.0 MiB: {NAME}/releases/" in done.output
    )
    assert f"{NAME}: freed: 0.0 MiB" in done.output
