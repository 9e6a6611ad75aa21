"""A calibrated release: what the launcher tells Triton of it, and which files it checks."""

import json

import pytest

from pipelines import protocol
from pipelines.calibration import (
    FILENAME,
    AnswerFigures,
    CalibrationFigures,
    Estimate,
    MemberCalibration,
)
from pipelines.load import load_spec
from pipelines.manifest import sha256_of
from server.errors import RefusedPipelineError
from tests.unit.server.releases import artefacts

SPEC = load_spec("oral_cancer")
MEMBERS = list(SPEC.members)
NONE = Estimate(value=0, low=0, high=0)


def write_calibrated(repository, member, temperature, photos="0" * 64):
    figures = CalibrationFigures(
        temperature=temperature, fitted=40, measured=40, error_before=NONE, error_after=NONE
    )
    labels = tuple(index % 2 for index in range(40))
    logits = tuple((0.0, (2 * label - 1) * (1 + index / 40)) for index, label in enumerate(labels))
    said = MemberCalibration(figures=figures, photos_sha256=photos, labels=labels, logits=logits)
    text = repository / f"{member}.json"
    text.write_text(said.text)
    folder = artefacts.write_version(
        repository, SPEC, member, calibration=figures, calibration_sha256=sha256_of(text)
    )
    return text.rename(folder / FILENAME)


@pytest.fixture
def repository(tmp_path):
    for model in SPEC.models:
        artefacts.write_config(tmp_path, SPEC, model)
    return tmp_path


def parameters(release, model):
    live = release.loadable(model, generation=1)
    return {key: value.string_value for key, value in live.parameters.items()}


def test_decision_and_ensemble_get_the_bounds_of_each_who_answer(repository):
    for member in MEMBERS:
        write_calibrated(repository, member, 1.5)
    artefacts.write_release(repository, SPEC)
    release = artefacts.verify(repository, SPEC)
    for model in (SPEC.name, protocol.decision_model(SPEC.name)):
        said = json.loads(parameters(release, model)["calibration"])
        assert said["coverage"] == 0.95
        assert len(said["ensemble"]) == 2
        assert set(said["members"]) == set(MEMBERS)
        figures = AnswerFigures.model_validate(said["figures"])
        assert figures.photos == 40
    told = json.loads(parameters(release, SPEC.name)["artefacts"])
    assert told[MEMBERS[0]]["temperature"] == 1.5
    assert "calibration" not in parameters(release, protocol.decode_model(SPEC.name))


def test_without_a_calibration_nothing_is_said_of_it(repository):
    for member in MEMBERS:
        artefacts.write_version(repository, SPEC, member)
    artefacts.write_release(repository, SPEC)
    release = artefacts.verify(repository, SPEC)
    assert "calibration" not in parameters(release, SPEC.name)
    told = json.loads(parameters(release, SPEC.name)["artefacts"])
    assert told[MEMBERS[0]]["temperature"] is None


def test_a_calibration_that_was_changed_or_went_away_is_not_served(repository):
    path, *_ = [write_calibrated(repository, member, 1.5) for member in MEMBERS]
    artefacts.write_release(repository, SPEC)
    content = path.read_text()
    path.write_text(content.replace("1.5", "1.4"))
    with pytest.raises(RefusedPipelineError, match=r"calibration\.json: corrupt or replaced"):
        artefacts.verify(repository, SPEC)
    path.unlink()
    with pytest.raises(RefusedPipelineError, match=r"calibration\.json: missing"):
        artefacts.verify(repository, SPEC)


def test_a_release_of_changed_facts_is_another_one(repository):
    for member in MEMBERS:
        write_calibrated(repository, member, 1.5)
    first = artefacts.write_release(repository, SPEC)
    heavier = SPEC.members[MEMBERS[0]].model_copy(update={"weight": 5.0})
    other = SPEC.model_copy(update={"members": SPEC.members | {MEMBERS[0]: heavier}})
    assert artefacts.write_release(repository, other).identity != first.identity
