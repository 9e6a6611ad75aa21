"""The model card of a release."""

import pytest

from lab.releases.canaries import Candidate, simulate
from pipelines.gate import ReleaseGate
from releases.gate import page
from releases.gate.judgement import judge
from releases.gate.report import keep, place
from tests.releases_command import make, run


@pytest.fixture
def released(tmp_path):
    return make(tmp_path, "oral_cancer"), tmp_path


def test_a_card_says_what_a_release_is_and_what_is_missing(released, capsys):
    release, repository = released
    file = repository / "card.html"
    status, output, _ = run(
        capsys, "card", "oral_cancer", "--repository", repository, "--out", file
    )
    text = file.read_text()
    assert (status, output.strip()) == (0, str(file))
    for said in (
        release.identity, release.sha256, "DEMO WEIGHTS", "healthy, cancer",
        "a" * 64, "Not said: write `card`", "None is kept with this release",
        "A clinician should review",
    ):  # fmt: skip
        assert said in text
    assert "<script" not in text


def test_a_card_has_the_gate_that_is_kept_with_the_release(released, capsys):
    release, repository = released
    report = judge(*simulate(0, Candidate(lost=0.05)), ReleaseGate()).model_copy(
        update={"pipeline": "oral_cancer", "candidate": release.identity}
    )
    keep(report, page.render(report), place(repository, report))
    file = repository / "card.html"
    assert run(capsys, "card", "oral_cancer", "--repository", repository, "--out", file)[0] == 0
    assert "sensitivity is worse" in file.read_text()


def test_evidence_of_another_release_is_refused(released, capsys):
    _, repository = released
    report = judge(*simulate(0, Candidate()), ReleaseGate())
    other = repository / "other.json"
    keep(report, page.render(report), other)
    status, _, errors = run(
        capsys, "card", "oral_cancer", "--repository", repository, "--gate", other
    )
    assert status == 2
    assert "is of lesions 2-bbbbbbbb, not of oral_cancer" in errors
