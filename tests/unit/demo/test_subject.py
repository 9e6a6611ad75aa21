"""What is drawn for a pipeline: every subject keeps the same promises."""

import numpy as np
import pytest
from PIL import Image

from demo import drawings, histology, snakes
from demo.labelled import evidence, labelled
from demo.subject import UnsuitablePipelineError, subject_for
from demo.training import held_out_seed, training_seed
from pipelines.load import load_spec

SHARES = {
    "oral_cancer": drawings.HARD_SHARE,
    "mhist": histology.HARD_SHARE,
    "snake_species": snakes.HARD_SHARE,
}


@pytest.fixture(params=SHARES)
def spec(request):
    return load_spec(request.param)


@pytest.fixture
def subject(spec):
    return subject_for(spec)


def test_the_same_arguments_give_the_same_pixels(subject):
    assert subject.draw(1, 7, 64, 64).tobytes() == subject.draw(1, 7, 64, 64).tobytes()
    assert subject.dataset(4, 3, 64, 64)[0].tobytes() == subject.dataset(4, 3, 64, 64)[0].tobytes()


@pytest.mark.parametrize(("label", "seed"), [(0, 7), (1, 8)])
def test_another_class_or_seed_gives_another_drawing(subject, label, seed):
    assert subject.draw(label, seed, 64, 64).tobytes() != subject.draw(1, 7, 64, 64).tobytes()


@pytest.mark.parametrize("size", [(640, 480), (300, 500)])
def test_a_drawing_of_another_size_has_the_same_things_in_the_same_places(subject, size):
    for label in range(subject.classes):
        whole = subject.draw(label, 5, 224, 224).resize((28, 28), Image.Resampling.BOX)
        other = subject.draw(label, 5, *size).resize((28, 28), Image.Resampling.BOX)
        assert np.abs(np.asarray(whole, float) - np.asarray(other, float)).mean() < 6


def test_a_dataset_has_as_many_of_each_class_in_mixed_order(subject):
    pixels, labels = subject.dataset(20, 1, 48, 32)
    assert pixels.shape == (20, 32, 48, 3)
    assert pixels.dtype == np.uint8
    assert (np.bincount(labels) == 20 // subject.classes).all()
    assert list(labels) != sorted(labels)


def test_about_the_stated_share_is_hard(spec, subject):
    hard = np.mean([subject.is_hard(*case) for case in subject.cases(2000, 0)])
    assert abs(hard - SHARES[spec.name]) < 0.03


def test_there_is_a_label_for_each_class_of_the_shipped_pipeline(spec, subject):
    assert subject.classes == len(spec.classes)


def test_drawings_to_judge_by_are_none_of_those_for_training(spec, subject):
    small = spec.model_copy(
        update={"preprocessing": spec.preprocessing.model_copy(update={"height": 8, "width": 8})}
    )
    seen = {
        image.tobytes()
        for seed in range(3)
        for of in (training_seed, held_out_seed)
        for image in subject.dataset(20, of(seed), 8, 8)[0]
    }
    pixels, labels = labelled(small, 20, 0)
    others, _ = labelled(small, 20, 1)
    judged = {image.tobytes() for image in pixels}
    assert pixels.shape == (20, 8, 8, 3)
    assert labels.shape == (20,)
    assert len(seen) == 120
    assert not judged & seen
    assert not judged & {image.tobytes() for image in others}


def test_any_two_classes_of_which_one_is_positive_get_drawings_of_mucosa():
    renamed = load_spec("mhist").model_copy(update={"name": "something_else"})
    assert subject_for(renamed) is subject_for(load_spec("oral_cancer"))


@pytest.mark.parametrize(
    ("pipeline", "changed"),
    [
        ("oral_cancer", {"positive": None, "threshold": None}),
        ("snake_species", {"name": "lizard_species"}),
        ("snake_species", {"classes": ("Vipera berus", "Vipera aspis")}),
        ("object_detection", {}),
    ],
)
def test_a_pipeline_that_no_drawings_fit_is_refused(pipeline, changed):
    spec = load_spec(pipeline).model_copy(update=changed)
    with pytest.raises(UnsuitablePipelineError, match="checkpoints of your own"):
        subject_for(spec)


def test_drawings_that_calibrate_do_not_judge():
    snakes = load_spec("snake_species")
    size = snakes.preprocessing.model_copy(update={"height": 32, "width": 32})
    gate = snakes.quantisation_gate.model_copy(update={"images_at_least": 100})
    drawn = evidence(snakes.model_copy(update={"preprocessing": size, "quantisation_gate": gate}))
    calibrated = {image.tobytes() for image in drawn.calibration}
    assert len(drawn.pixels) == 100
    assert not any(image.tobytes() in calibrated for image in drawn.pixels)
