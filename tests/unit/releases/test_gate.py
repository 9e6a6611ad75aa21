"""The gate on simulated answers: each bad candidate is refused with its reason, a good one passes.

How often it errs is measured over many seeds by `make gate`.
"""

from datetime import timedelta

import pytest

from evaluation.errors import EvaluationError
from lab.releases.canaries import Candidate
from lab.releases.canaries import simulate as simulated
from pipelines.gate import ReleaseGate
from pipelines.gate_verdict import Result, kept
from releases.gate import page
from releases.gate.answers import CanaryAnswers, CanaryPhoto, FoundObject, LabelledObject
from releases.gate.judgement import judge
from releases.gate.report import GateReport, keep, place

MARGINS = ReleaseGate()


def simulate(**candidate):
    return simulated(0, Candidate(**candidate))


def named(report, title):
    return next(each for each in report.checks if each.title == title)


def test_a_candidate_that_is_as_good_passes():
    report = judge(*simulate(), MARGINS)
    assert (report.result, report.reasons, report.still_needed) == (Result.PASS, (), {})
    assert named(report, "sensitivity").of == 800
    assert named(report, "sensitivity, site north").result == Result.PASS


def test_shuffled_labels_fail():
    report = judge(*simulate(shuffled=True), MARGINS)
    assert report.result == Result.FAIL
    assert any(reason.startswith("sensitivity is worse") for reason in report.reasons)
    assert any(reason.startswith("specificity is worse") for reason in report.reasons)


def test_a_sensitivity_that_is_four_points_lower_fails():
    report = judge(*simulate(lost=0.05), MARGINS)
    assert report.result == Result.FAIL
    assert any("sensitivity is worse" in reason for reason in report.reasons)


def test_one_bad_site_fails_though_the_mean_rises():
    report = judge(*simulate(lost=0.0, gained=0.05, lost_at={"south": 0.14}), MARGINS)
    assert named(report, "sensitivity").difference > 0
    assert report.result == Result.FAIL
    assert [reason.split(":")[0] for reason in report.reasons] == [
        "sensitivity, site south",
        "specificity, site south",
    ]


def test_a_candidate_that_is_five_times_slower_fails():
    report = judge(*simulate(slower=5), MARGINS)
    assert report.result == Result.FAIL
    assert [reason.split(":")[0] for reason in report.reasons] == [
        "latency, median ms",
        "compute time, mean ms",
    ]
    assert named(report, "latency, median ms").difference == pytest.approx(5, rel=0.05)


def test_false_alarms_of_typicality_fail():
    report = judge(*simulate(atypical=(0.01, 0.08)), MARGINS)
    assert [reason.split(" rises")[0] for reason in report.reasons] == [
        "false alarms of typicality"
    ]


def test_a_candidate_that_judges_no_typicality_any_more_fails():
    current, candidate = simulate()
    silent = tuple(photo.model_copy(update={"typical": None}) for photo in candidate.photos)
    report = judge(current, candidate.model_copy(update={"photos": silent}), MARGINS)
    assert report.result == Result.FAIL
    assert "the candidate does not: give the candidate a reference" in report.reasons[0]


@pytest.mark.parametrize("gained", [0.0, 0.9])
def test_twelve_positives_can_never_pass_two_points(gained):
    report = judge(*simulate(positives=12, sensitivity=0.1, gained=gained, lost=0.0), MARGINS)
    assert report.result == Result.NOT_ENOUGH_EVIDENCE
    assert report.still_needed["positives"] >= 171
    assert "12 positives do not show" in report.reasons[0]


def test_a_canary_set_without_positives_is_not_enough():
    report = judge(*simulate(positives=0), MARGINS)
    assert report.result == Result.NOT_ENOUGH_EVIDENCE
    assert report.still_needed["positives"] >= 183


def test_a_small_subgroup_is_shown_and_not_judged():
    current, candidate = simulate()
    rare = 0

    def moved(photo, *, wrong):
        nonlocal rare
        if int(photo.sha256, 16) < 8:
            rare += wrong
            changed = {"groups": {"site": "island"}}
            return photo.model_copy(update=changed | ({"prediction": "healthy"} if wrong else {}))
        return photo

    current = current.model_copy(
        update={"photos": tuple(moved(photo, wrong=False) for photo in current.photos)}
    )
    candidate = candidate.model_copy(
        update={"photos": tuple(moved(photo, wrong=True) for photo in candidate.photos)}
    )
    report = judge(current, candidate, MARGINS)
    assert rare == 8
    assert named(report, "sensitivity, site island").candidate == 0
    assert named(report, "sensitivity, site island").result == Result.SHOWN


def test_a_photo_without_an_answer_counts_as_a_wrong_one():
    current, candidate = simulate(lost=0.0, gained=0.0)
    silent = tuple(
        CanaryPhoto(sha256=photo.sha256, label=photo.label, groups=photo.groups, answered=False)
        if int(photo.sha256, 16) < 60
        else photo
        for photo in candidate.photos
    )
    report = judge(current, candidate.model_copy(update={"photos": silent}), MARGINS)
    assert report.result == Result.FAIL
    assert named(report, "sensitivity").lost > 40


def test_a_copy_of_a_photo_counts_once():
    current, candidate = simulate(positives=100)
    twice = [each.model_copy(update={"photos": each.photos * 2}) for each in (current, candidate)]
    report = judge(*twice, MARGINS)
    assert named(report, "sensitivity").of == 100
    assert report.canaries.copies == 900
    assert report.result == Result.NOT_ENOUGH_EVIDENCE


def test_several_classes_are_judged_by_all_photos_and_each_class():
    current, candidate = (
        each.model_copy(update={"positive": None}) for each in simulate(lost=0.0, gained=0.0)
    )
    bad = tuple(
        photo.model_copy(update={"prediction": "healthy"})
        if photo.label == "cancer" and int(photo.sha256, 16) % 25 == 0
        else photo
        for photo in candidate.photos
    )
    report = judge(current, candidate.model_copy(update={"photos": bad}), MARGINS)
    assert named(report, "accuracy").of == 1600
    assert named(report, "accuracy, true class healthy").result == Result.PASS
    assert named(report, "accuracy, true class cancer").result == Result.FAIL


def boxes(moved=0, kept=1.0):
    photos = []
    for number in range(120):
        box = (10.0, 10.0, 50.0, 50.0)
        found = [FoundObject(label="circle", score=0.9, box=(10.0 + moved, 10.0, 50.0 + moved, 50))]
        photos.append(
            CanaryPhoto(
                sha256=f"{number:064x}",
                objects=(
                    LabelledObject(label="circle", box=box),
                    LabelledObject(label="square", box=(60, 60, 90, 90)),
                ),
                groups={"device": "a" if number % 2 else "b"},
                answered=True,
                found=(
                    *(found if number < kept * 120 else []),
                    FoundObject(label="square", score=0.8, box=(60, 60, 90, 90)),
                ),
            )
        )
    return tuple(photos)


def detector(release, photos):
    return CanaryAnswers(
        created="2026-11-30T00:00:00Z",
        pipeline="objects",
        release=release,
        task="detection",
        classes=("circle", "square"),
        threshold=0.5,
        photos=photos,
    )


def test_a_detector_that_finds_as_much_passes():
    report = judge(detector("1-a", boxes()), detector("2-b", boxes(moved=2)), MARGINS)
    assert report.result == Result.PASS
    assert named(report, "recall").of == 240
    assert named(report, "mAP@0.5 of boxes").candidate == pytest.approx(1)


def test_a_detector_whose_boxes_lie_elsewhere_fails():
    report = judge(detector("1-a", boxes()), detector("2-b", boxes(moved=30)), MARGINS)
    assert report.result == Result.FAIL
    assert any(reason.startswith("mAP@0.5 of boxes is worse") for reason in report.reasons)
    assert named(report, "recall, device a").result == Result.FAIL


def test_a_detectors_candidate_is_judged_at_its_own_threshold():
    candidate = detector("2-b", boxes()).model_copy(update={"threshold": 0.85})
    report = judge(detector("1-a", boxes()), candidate, MARGINS)
    # The squares have a score of 0.8.
    assert named(report, "recall").candidate == pytest.approx(0.5)
    assert named(report, "mAP@0.5 of boxes").result == Result.PASS
    assert report.result == Result.FAIL


def test_a_detector_with_few_objects_is_not_enough():
    few = [detector(name, boxes()[:20]) for name in ("1-a", "2-b")]
    report = judge(*few, MARGINS)
    assert report.result == Result.NOT_ENOUGH_EVIDENCE
    assert report.still_needed["objects"] >= 143


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": ("cancer", "healthy")}, "classes"),
        ({"pipeline": "mhist"}, "pipeline"),
        ({"release": "1-aaaaaaaa"}, "both answers are of release"),
        ({"photos": ()}, "not asked about the same photos"),
    ],
)
def test_answers_that_cannot_be_compared_are_refused(change, words):
    current, candidate = simulate(positives=5, negatives=5)
    with pytest.raises(EvaluationError, match=words):
        judge(current, candidate.model_copy(update=change), MARGINS)


def test_recordings_with_other_columns_are_refused():
    current, candidate = simulate(positives=5, negatives=5)
    without = tuple(photo.model_copy(update={"groups": {}}) for photo in current.photos)
    with pytest.raises(EvaluationError, match="with the same --by"):
        judge(current.model_copy(update={"photos": without}), candidate, MARGINS)


def test_copies_with_different_labels_are_refused():
    current, candidate = simulate(positives=5, negatives=5)
    first = current.photos[0]
    both = tuple(
        each.model_copy(
            update={"photos": (*each.photos, first.model_copy(update={"label": "healthy"}))}
        )
        for each in (current, candidate)
    )
    with pytest.raises(EvaluationError, match="labelled otherwise"):
        judge(*both, MARGINS)


def test_a_column_of_the_yaml_must_be_recorded():
    with pytest.raises(EvaluationError, match="--by camera"):
        judge(*simulate(), ReleaseGate(subgroups=("camera",)))


def test_a_column_that_names_persons_is_refused():
    current, candidate = (
        each.model_copy(
            update={
                "photos": tuple(
                    photo.model_copy(update={"groups": {"patient": photo.sha256}})
                    for photo in each.photos
                )
            }
        )
        for each in simulate(positives=60, negatives=60)
    )
    with pytest.raises(EvaluationError, match="patient: has 120 values"):
        judge(current, candidate, MARGINS)


def test_a_report_is_kept_with_its_page_and_read_again(tmp_path):
    report = judge(*simulate(lost=0.05), MARGINS)
    file = place(tmp_path, report)
    keep(report, page.render(report), file)
    later = report.model_copy(update={"created": report.created + timedelta(seconds=1)})
    keep(later, page.render(later), place(tmp_path, later))
    first, second = kept(tmp_path, report.pipeline, report.candidate)
    assert (GateReport.read(first), GateReport.read(second)) == (report, later)
    text = file.with_suffix(".html").read_text()
    assert "2-bbbbbbbb: fail" in text
    assert text.count("<svg") == 2
    for foreign in ("<script", "<link", "<img", 'href="http'):
        assert foreign not in text


def test_names_in_a_page_are_no_markup():
    current, candidate = (
        each.model_copy(
            update={
                "photos": tuple(
                    photo.model_copy(update={"groups": {"site": "<script>x</script>"}})
                    for photo in each.photos
                )
            }
        )
        for each in simulate(positives=40, negatives=40)
    )
    text = page.render(judge(current, candidate, MARGINS))
    assert "<script" not in text
    assert "&lt;script&gt;" in text
