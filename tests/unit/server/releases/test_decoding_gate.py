"""A profile that decodes by `fast` is served after its gate, and only with what was judged."""

import pytest

from pipelines.fast_decoding import FastDecoding, facts_hash
from pipelines.load import FOLDER, load_spec
from server.errors import RefusedPipelineError
from server.releases.discovery import PipelineDiscovery
from tests.unit.server.releases import artefacts

DEFAULT, FAST = load_spec("oral_cancer"), load_spec("oral_cancer", profile="fast")


@pytest.fixture
def repository(tmp_path):
    for model in DEFAULT.models:
        artefacts.write_config(tmp_path, DEFAULT, model)
    for model in ("oral_cancer_decode", "oral_cancer_decision", FAST.name):
        artefacts.write_config(tmp_path, FAST, model, "configs/fast.pbtxt")
    for member in FAST.members:
        artefacts.write_version(tmp_path, FAST, member)
    for spec in (DEFAULT, FAST):
        artefacts.write_release(tmp_path, spec)
    return tmp_path


def write_record(repository, **changes):
    release = artefacts.verify(repository, DEFAULT).release
    facts = {
        "photos": 500,
        "unchanged": 0,
        "agreement": 1.0,
        "difference": 0.004,
        "member_difference": 0.02,
        "artefacts": {name: release.artefact_sha256(name) for name in release.members},
        "facts": facts_hash(FAST),
    }
    path = FastDecoding.path(FAST, repository)
    path.parent.mkdir(exist_ok=True)
    path.write_text(FastDecoding(**facts | changes).model_dump_json())
    return path


def problem(repository):
    with pytest.raises(RefusedPipelineError) as raised:
        artefacts.verify(repository, FAST)
    message = str(raised.value)
    assert "run python -m export.fast_decoding oral_cancer --profile fast" in message
    return message


def test_a_passed_gate_lets_it_be_served(repository):
    write_record(repository)
    assert artefacts.verify(repository, FAST).spec == FAST


def test_without_a_record_it_is_refused_and_exact_is_served(repository):
    assert "fast_decoding-fast.json: missing" in problem(repository)
    assert artefacts.verify(repository, DEFAULT).spec == DEFAULT


def test_a_gate_that_is_passed_later_is_noticed(repository):
    discovery = PipelineDiscovery(FOLDER, repository, ["oral_cancer"], "fast")
    releases, problems = discovery.look()
    assert (releases, len(problems)) == ([], 1)
    assert discovery.look() == ([], [])
    write_record(repository)
    releases, problems = discovery.look()
    assert [release.spec for release in releases] == [FAST]


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"photos": 499}, "499 photos"),
        ({"agreement": 0.998}, "agreement 99.80%"),
        ({"difference": 0.02}, "|dp| 0.0200"),
    ],
)
def test_a_gate_that_was_not_passed_refuses_with_its_figure(repository, changes, lost):
    write_record(repository, **changes)
    message = problem(repository)
    assert "not passed" in message
    assert lost in message


def test_a_record_of_other_facts_or_artefacts_is_none(repository):
    write_record(repository, facts="0" * 64)
    assert "of other artefacts or facts" in problem(repository)
    write_record(repository, artefacts={"vgg16": "0" * 64, "regnet": "0" * 64})
    assert "of other artefacts or facts" in problem(repository)


def test_a_record_that_cannot_be_read_refuses(repository):
    write_record(repository).write_text("{")
    assert "cannot be read" in problem(repository)
