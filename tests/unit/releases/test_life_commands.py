"""`python -m releases`: what its commands show and change, without a running service."""

import json
from datetime import datetime, timedelta
from functools import cache

import pytest
from typer.testing import CliRunner

from database import shadow
from database.engine import open_engine
from lab.releases.canaries import Candidate, simulate
from pipelines.gate import ReleaseGate
from pipelines.gate_verdict import Result
from pipelines.load import load_spec
from pipelines.release import Release, current_path
from pipelines.release_state import ReleaseState
from releases.__main__ import app
from releases.gate.judgement import judge
from releases.gate.report import keep, place
from releases.life import loading
from tests.unit.server.releases import artefacts

SPEC = load_spec("oral_cancer")
LATER = SPEC.model_copy(
    update={"threshold": SPEC.threshold.model_copy(update={"default": SPEC.threshold.maximum})}
)


@pytest.fixture(autouse=True)
def _own_database(sqlite_url, monkeypatch):
    monkeypatch.setenv("GATEWAY_DATABASE_URL", sqlite_url)


@pytest.fixture
def repository(tmp_path):
    for member in SPEC.members:
        artefacts.write_version(tmp_path, SPEC, member)
    return tmp_path


@pytest.fixture
def ids(repository):
    """Two releases whose threshold differs; the first serves."""
    made = []
    for spec in (SPEC, LATER):
        for model in spec.models:
            artefacts.write_config(repository, spec, model)
        made.append(artefacts.write_release(repository, spec).identity)
    current_path("oral_cancer", "default", repository).write_text(f"{made[0]}\n")
    return made


@pytest.fixture
def run(repository):
    def command(name, *words, status=0):
        places = [] if name == "history" else ["--repository", str(repository)]
        words = [name, "oral_cancer", *words, *places, "--json"]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == status, done.output
        return json.loads(done.stdout) if status == 0 else " ".join(done.output.split())

    return command


@pytest.fixture
def said(monkeypatch):
    """What the launcher says of its releases; None: none runs."""
    page: dict = {}

    def read():
        if not page:
            raise ConnectionRefusedError
        return page

    monkeypatch.setattr(loading, "_page", read)
    return page


def test_a_release_goes_through_its_life(run, ids, said, repository):
    old, new = ids
    assert {row["release"]: row["role"] for row in run("list")} == {old: "current", new: None}
    said["oral_cancer"] = {"loaded": [old, new], "refused": {}}
    assert run("stage", new)["candidate"] == new
    assert run("split", "12.5")["share"] == 1250
    assert {row["release"]: row["share"] for row in run("list")} == {old: 87.5, new: 12.5}
    kept_report(repository, new, old)
    promoted = run("promote", "--by", "chief", "--evidence", "gate 7")
    assert (promoted["current"], promoted["former"]) == (new, old)
    assert current_path("oral_cancer", "default", repository).read_text() == f"{new}\n"
    assert run("show")["threshold"] == SPEC.threshold.maximum
    assert "answers nobody" in run("rollback", "--release", old, status=1)
    assert run("rollback", "--release", new)["current"] == old
    assert run("retire", new)["former"] is None
    rows = run("history")
    actions = ["retire", "rollback", "promote", "split", "stage", "begin"]
    assert [row["action"] for row in rows] == actions
    assert rows[2]["by"] == "chief"
    assert f"beside {old}: 400 photos" in rows[2]["evidence"]
    assert rows[2]["evidence"].endswith("; gate 7")
    (served,) = run("history", "--at", rows[2]["at"])
    assert served["action"] == "promote"
    before = datetime.fromisoformat(rows[2]["at"]) - timedelta(microseconds=1)
    (served,) = run("history", "--at", before.strftime("%Y-%m-%dT%H:%M:%S.%f"))
    assert served["action"] == "split"
    assert ReleaseState.read("oral_cancer", "default", repository).loaded == (old,)


@cache
def judged():
    return judge(*simulate(3, Candidate(positives=200, negatives=200, lost=0.0)), ReleaseGate())


def kept_report(repository, candidate, current, /, **changed):
    """A gate report of a candidate, as the gate keeps it."""
    facts = {
        "pipeline": "oral_cancer",
        "candidate": candidate,
        "candidate_sha256": Release.read("oral_cancer", candidate, repository).sha256,
        "current": current,
        "result": Result.PASS,
        **changed,
    }
    report = judged().model_copy(update=facts)
    file = place(repository, report.model_copy(update={"candidate": candidate}))
    keep(report, "page", file)
    return file


REFUSED_REPORTS = {
    "failed": (
        {"result": Result.FAIL, "reasons": ("sensitivity fell by 0.04",)},
        "failed: sensitivity fell by 0.04: retire it",
    ),
    "not enough evidence": (
        {"result": Result.NOT_ENOUGH_EVIDENCE, "still_needed": {"positives": 171}},
        "label about 171 positives more",
    ),
    "of other files": ({"candidate_sha256": "0" * 64}, "was not said to be the files of"),
    "of unknown files": ({"candidate_sha256": None}, "was not said to be the files of"),
    "of another candidate": ({"candidate": "3-cccccccc"}, "it is of oral_cancer 3-cccccccc"),
    "beside another release": ({"current": "9-99999999"}, "compares"),
}


@pytest.mark.parametrize("name", REFUSED_REPORTS)
def test_a_candidate_is_promoted_only_by_a_passed_report_of_its_own(
    run, ids, said, repository, name
):
    old, new = ids
    said["oral_cancer"] = {"loaded": [old, new], "refused": {}}
    run("stage", new)
    changed, words = REFUSED_REPORTS[name]
    kept_report(repository, new, old)
    later = judged().created + timedelta(seconds=1)
    file = kept_report(repository, new, old, **{"created": later, **changed})
    refused = run("promote", status=1)
    assert file.name in refused
    assert words in refused
    assert len(run("history")) == 2
    assert run("promote", "--dry-run", "--without-gate", "to see")["current"] == new
    assert len(run("history")) == 2


def test_without_a_report_a_promotion_needs_a_reason_which_the_history_has(run, ids, said):
    old, new = ids
    said["oral_cancer"] = {"loaded": [old, new], "refused": {}}
    run("stage", new)
    refused = run("promote", status=1)
    assert f"no gate report of {new} is kept" in refused
    assert "--without-gate" in refused
    assert "say why" in run("promote", "--without-gate", " ", status=1)
    assert run("promote", "--without-gate", "the scanner was replaced")["current"] == new
    assert run("history")[0]["evidence"] == "without gate: the scanner was replaced"


def test_a_report_that_cannot_be_read_is_named(run, ids, said, repository):
    old, new = ids
    said["oral_cancer"] = {"loaded": [old, new], "refused": {}}
    run("stage", new)
    file = kept_report(repository, new, old)
    file.write_text(file.read_text()[:-100])
    assert f"{file.name}: it cannot be read" in run("promote", status=1)


def test_a_candidate_gets_copies_and_the_report_says_what_was_compared(
    run, ids, said, repository, sqlite_url
):
    old, new = ids
    said["oral_cancer"] = {"loaded": ids, "refused": {}}
    run("stage", new)
    assert run("shadow", "12.5")["shadow"] == 1250
    assert ReleaseState.read("oral_cancer", "default", repository).shadow == 1250
    assert run("history")[0]["shadow"] == 12.5
    assert run("shadow", "--report") == []
    engine = open_engine(sqlite_url)
    with engine.begin() as connection:
        keys = [
            ("images", "compared"),
            ("differs", "decision"),
            ("value", "0.5"),
            ("value", "-0.02"),
            ("compute", "given"),
        ]
        counts = {shadow.Key("oral_cancer", old, new, *key): 2 for key in keys}
        shadow.add(connection, counts)
        shadow.add(connection, counts)
    engine.dispose()
    (report,) = run("shadow", "--report")
    assert report == {
        "given": old,
        "candidate": new,
        "compared": 4,
        "failed": 0,
        "shed": 0,
        "differs": {"decision": 4},
        "value": [{"at_most": -0.02, "count": 4}, {"at_most": 0.5, "count": 4}],
        "uncertainty": [],
        "compute_ms": {"given": 0.001, "candidate": 0.0},
    }
    assert run("show", new)["compared"] == [report]
    assert run("show", old)["compared"] == []
    assert run("shadow", "--report", "--release", old) == []
    told = CliRunner().invoke(app, ["shadow", "oral_cancer", "--report"]).stdout
    assert f"{new} beside {old}: compared 4, failed 0" in told
    assert run("shadow", "0")["shadow"] == 0


def test_a_dry_run_changes_nothing(run, ids, said, repository):
    assert run("stage", ids[1], "--dry-run")["candidate"] == ids[1]
    assert run("history") == []
    assert ReleaseState.read("oral_cancer", "default", repository) is None


def test_a_release_that_the_server_refuses_is_no_candidate_any_more(run, ids, said):
    said["oral_cancer"] = {"loaded": [ids[0]], "refused": {ids[1]: "it needs about 900 MiB"}}
    done = run("stage", ids[1], status=1)
    assert f"the server does not load {ids[1]}: it needs about 900 MiB" in done
    retired, staged, _ = run("history")
    assert (retired["action"], retired["candidate"]) == ("retire", None)
    assert "900 MiB" in retired["evidence"]
    assert staged["candidate"] == ids[1]


def test_what_the_server_has_not_loaded_is_not_let_answer(run, ids, said):
    old, new = ids
    said["oral_cancer"] = {"loaded": [old, new], "refused": {}}
    run("stage", new)
    said["oral_cancer"] = {"loaded": [old], "refused": {new: "its signature was withdrawn"}}
    for words in (["split", "10"], ["promote", "--without-gate", "a test"]):
        assert f"{new} is not loaded: its signature was withdrawn" in run(*words, status=1)
    said["oral_cancer"]["loaded"].append(new)
    run("promote", "--without-gate", "a test")
    said["oral_cancer"] = {"loaded": [new], "refused": {}}
    assert f"{old} is not loaded: wait until it is" in run("rollback", status=1)
    # Another machine's server may have it.
    said.clear()
    assert run("rollback")["current"] == old


def test_a_release_whose_files_differ_is_not_staged(run, ids, said, repository):
    (repository / "oral_cancer_vgg16" / "1" / "model.onnx").write_bytes(b"others")
    assert "corrupt or replaced" in run("stage", ids[1], status=1)
    assert run("history") == []
    shown = CliRunner().invoke(
        app, ["show", "oral_cancer", ids[1], "--repository", str(repository), "--json"]
    )
    assert shown.exit_code == 1
    assert "corrupt or replaced" in json.loads(shown.stdout)["problem"]


def test_what_cannot_be_is_said_with_its_remedy(run, ids, said, repository):
    for words in (["promote"], ["split", "10"], ["shadow", "10"]):
        assert "stage a release first" in run(*words, status=1)
    for command in ("split", "shadow"):
        for percent in ("-1", "100.5", "nan", "much"):
            done = CliRunner().invoke(app, [command, "oral_cancer", "--", percent])
            told = " ".join(done.output.replace("│", " ").split())
            assert (done.exit_code, "Invalid value for 'percent'" in told) == (2, True)
        elsewhere = [command, "no_such", "10", "--repository", str(repository)]
        done = CliRunner().invoke(app, elsewhere)
        assert (done.exit_code, "no_such" in done.output) == (1, True)
    assert "name a PERCENT" in run("shadow", status=2)
    assert "name a PERCENT" in run("shadow", "10", "--report", status=2)
    done = CliRunner().invoke(
        app, ["shadow", "no_such", "--report", "--repository", str(repository)]
    )
    assert (done.exit_code, "there is no release of it" in done.output) == (1, True)
    assert "9-99999999.json: missing" in run("stage", "9-99999999", status=1)
    assert "loaded already, as the current release" in run("stage", ids[0], status=1)


def test_the_repository_follows_the_database_again(run, ids, said, repository):
    run("stage", ids[1])
    current_path("oral_cancer", "default", repository).with_suffix(".state").unlink()
    done = CliRunner().invoke(app, ["mirror", "--repository", str(repository)])
    assert (done.exit_code, f"candidate {ids[1]}" in done.output) == (0, True)
    assert ReleaseState.read("oral_cancer", "default", repository).candidate == ids[1]
    again = CliRunner().invoke(app, ["mirror", "--repository", str(repository)])
    assert "all is as the database has it" in again.output


@pytest.mark.parametrize(
    "name",
    [
        "list",
        "show",
        "history",
        "stage",
        "shadow",
        "split",
        "promote",
        "rollback",
        "retire",
        "mirror",
    ],
)
def test_each_command_has_a_help(name):
    done = CliRunner().invoke(app, [name, "--help"])
    assert done.exit_code == 0
    assert "Usage" in done.output
