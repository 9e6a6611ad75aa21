"""False alarms of typicality, and what `--other DIR` holds, against a small service."""

import json
from hashlib import sha256

import numpy as np
import pytest

from evaluation.metrics.typicality import Judged, measure
from pipelines.derived import REFERENCE_PHOTOS_KEY, short_digest
from pipelines.load import load_spec
from pipelines.release import Release, ReleasedMember
from pipelines.typicality import ReferenceOrigin, ReleasedReference, reference_path
from tests.unit.evaluation.test_classification_run import label_set, report


def photo(typicality, answer=(0.1, 0.9)):
    return json.dumps({"typicality": typicality, "then": list(answer)})


def others(folder, typicalities):
    folder.mkdir()
    for number, typicality in enumerate(typicalities):
        # Each of another content.
        (folder / f"{number}.jpg").write_text(" " * number + photo(typicality))
    return folder


OWN = {
    f"{number}.jpg": (photo(typicality), "cancer")
    for number, typicality in enumerate([0.9, 0.5, 0.2, 0.005])
}


def test_false_alarms_and_other_images_are_counted(evaluate, service, tmp_path):
    service.judges = True
    folder = others(tmp_path / "other", [0.002, 0.002, 0.003, 0.3])
    labels = label_set(tmp_path / "set", OWN)
    status, output, _ = evaluate("lesions", labels, "--other", folder, "--out", "run")
    assert status == 0
    said = report(tmp_path / "run")
    assert said["photos"] == 4
    scores = said["typicality"]
    assert (scores["false_alarms"]["count"], scores["false_alarms"]["of"]) == (1, 4)
    assert scores["false_alarms"]["low"] < 0.25 < scores["false_alarms"]["high"]
    assert (scores["others_flagged"]["count"], scores["others_flagged"]["of"]) == (3, 4)
    # Of 16 pairs the photos of 0.2 and 0.005 lose to the image of 0.3.
    assert scores["roc_auc"] == pytest.approx(14 / 16)
    assert scores["not_judged"] == 0
    assert "photos called atypical" in output
    assert "other images called atypical" in output


def test_false_alarms_are_told_without_other_images(evaluate, tmp_path):
    assert evaluate("lesions", label_set(tmp_path / "set", OWN), "--out", "run")[0] == 0
    scores = report(tmp_path / "run")["typicality"]
    assert scores["false_alarms"]["count"] == 1
    assert scores["others_flagged"] is scores["roc_auc"] is None


def test_a_service_that_judges_no_image_has_no_such_figures(evaluate, tmp_path):
    status, output, _ = evaluate("lesions", label_set(tmp_path / "set"), "--out", "run")
    assert status == 0
    assert report(tmp_path / "run")["typicality"] is None
    assert "atypical" not in output


def test_an_image_among_the_labelled_photos_and_the_others_ends_the_run(
    evaluate, service, tmp_path
):
    service.judges = True
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "same.jpg").write_text(OWN["0.jpg"][0])
    labels = label_set(tmp_path / "set", OWN)
    status, _, errors = evaluate("lesions", labels, "--other", folder)
    assert status == 2
    assert "1 images are among the labelled photos too" in errors
    assert not service.seen


def test_other_images_are_refused_where_the_service_judges_none(evaluate, service, tmp_path):
    folder = others(tmp_path / "other", [0.002])
    status, _, errors = evaluate("lesions", label_set(tmp_path / "set"), "--other", folder)
    assert status == 2
    said = "--other: lesions calls no image atypical. No reference: make one. Or leave --other out"
    assert said in errors
    assert not service.seen


def test_a_folder_without_images_ends_the_run_before_any_is_sent(evaluate, service, tmp_path):
    service.judges = True
    (tmp_path / "other").mkdir()
    labels = label_set(tmp_path / "set", OWN)
    status, _, errors = evaluate("lesions", labels, "--other", tmp_path / "other")
    assert status == 2
    assert "holds no photos; name a folder of images" in errors
    assert not service.seen
    assert "No such file" in evaluate("lesions", labels, "--other", tmp_path / "absent")[2]


@pytest.fixture
def repository(tmp_path):
    """A model repository with the release of the small service, and its reference."""
    spec = load_spec("oral_cancer").model_copy(update={"name": "lesions"})
    folder = tmp_path / "model_repository"
    photos = [sha256(content.encode()).hexdigest() for content, _ in SEEN.values()]
    path = folder / "file.npz"
    folder.mkdir()
    np.savez(path, **{REFERENCE_PHOTOS_KEY: np.array(list(map(short_digest, photos)), np.uint64)})
    named = ReleasedReference(
        sha256=sha256(path.read_bytes()).hexdigest(),
        origin=ReferenceOrigin(
            pipeline="lesions", photos=1000, photos_sha256="ab" * 32, preprocessing_sha256="ab" * 32
        ),
    )
    files = {name: {each.format.filename: "ab" * 32} for name, each in spec.members.items()}
    members = {name: ReleasedMember(version=1, weights="demo", files=files[name]) for name in files}
    release = Release(spec=spec, members=members, configs={}, reference=named)
    target = folder / reference_path("lesions", named.sha256)
    target.parent.mkdir(parents=True)
    path.rename(target)
    releases = folder / "lesions" / "releases"
    releases.mkdir()
    (releases / f"{release.identity}.json").write_text(release.text, "utf-8")
    return folder, release.identity


SEEN = {"seen.jpg": (photo(0.7), "healthy")}


def test_photos_of_the_releases_reference_end_the_run(evaluate, service, repository, tmp_path):
    folder, identity = repository
    service.identity = identity
    labels = label_set(tmp_path / "set", OWN | SEEN)
    status, _, errors = evaluate("lesions", labels, "--repository", folder)
    assert status == 2
    assert "1 photos are among those that the release's reference was made of" in errors
    assert "seen.jpg" in errors
    assert [question for _, question, _ in service.seen] == []
    status, _, errors = evaluate(
        "lesions", label_set(tmp_path / "apart", OWN), "--repository", folder
    )
    assert (status, errors) == (0, "")


def test_it_is_said_where_the_releases_photos_are_not_known(evaluate, tmp_path):
    labels = label_set(tmp_path / "set", OWN)
    status, _, errors = evaluate("lesions", labels, "--repository", tmp_path / "absent")
    assert status == 0
    assert "release 1-3fa9c2d1 does not lie in" in errors


def test_answers_that_were_not_judged_are_counted_apart():
    judged = [Judged(0.5, typical=True), Judged(0.001, typical=False), None]
    scores = measure(judged, [None])
    assert scores.false_alarms.count == 1
    assert scores.false_alarms.of == 2
    assert scores.not_judged == 2
    assert scores.others_flagged is scores.roc_auc is None
    assert measure([None], []) is None
