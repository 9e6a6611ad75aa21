"""The gate of quantised members: the figures, and the bounds that they are held against."""

import numpy as np
import pytest

from export import gate
from export.gate import GateError
from export.labelled_photos import Evidence
from inference import decision
from pipelines.load import load_spec
from pipelines.manifest import GateFigures

SNAKES, MHIST, ORAL = map(load_spec, ("snake_species", "mhist", "oral_cancer"))


def figures(**changes):
    kept = {
        "images": 500,
        "calibration_images": 100,
        "agreement": 0.98,
        "accuracy": 0.96,
        "accuracy_fp32": 0.97,
        "sensitivity": 0.90,
        "sensitivity_fp32": 0.91,
    }
    return GateFigures(**kept | changes)


def answering(logits):
    """An artefact that gives these logits, whatever the pixels: image i is a picture of i."""
    return lambda pixels: np.asarray(logits, np.float32)[pixels[:, 0, 0, 0]]


def evidence(labels):
    pixels = np.arange(len(labels), dtype=np.uint8)[:, None, None, None]
    return Evidence(pixels[:0], pixels, np.array(labels))


def one_hot(classes, count):
    return np.eye(count)[list(classes)] * 5


def test_figures_on_the_bounds_pass():
    gate.require(figures(), "int8", SNAKES)


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"images": 499}, "LOST: 499 images"),
        ({"agreement": 0.978}, "LOST: agreement 97.8%"),
        ({"accuracy": 0.958}, "LOST: accuracy 95.8% after 97.0%"),
        ({"sensitivity": 0.898}, "LOST: sensitivity 89.8% after 91.0%"),
    ],
)
def test_each_bound_alone_refuses_and_all_figures_are_said(changes, lost):
    with pytest.raises(GateError) as raised:
        gate.require(figures(**changes), "int8", SNAKES)
    message = str(raised.value)
    assert lost in message
    assert message.count("kept:") == 3
    assert "int8" in message


def test_an_int8_member_that_is_better_passes():
    gate.require(figures(accuracy=1.0, sensitivity=1.0), "int8", SNAKES)


def test_agreement_accuracy_and_mean_sensitivity_of_several_classes():
    labels = [*range(10), *range(10)]
    before = list(labels)
    after = [*before]
    before[0] = 5  # wrong in FP32, right in INT8
    after[3], after[13] = 4, 4  # a whole class lost
    found, error = gate.measure(
        answering(one_hot(before, 10)), answering(one_hot(after, 10)), evidence(labels), SNAKES
    )
    assert found.images == 20
    assert found.agreement == pytest.approx(17 / 20)
    assert found.accuracy_fp32 == pytest.approx(19 / 20)
    assert found.accuracy == pytest.approx(18 / 20)
    assert found.sensitivity_fp32 == pytest.approx(9.5 / 10)
    assert found.sensitivity == pytest.approx(9 / 10)
    assert error == 5


def test_sensitivity_of_a_binary_pipeline_is_the_positive_classs():
    labels = [0, 0, 0, 1, 1]
    after = np.array([[-4], [4], [4], [4], [-4]], float)
    found, _ = gate.measure(answering(after), answering(after), evidence(labels), MHIST)
    assert found.sensitivity == 0.5
    assert found.agreement == 1


def test_a_class_without_images_is_refused():
    logits = answering(one_hot([0, 1], 10))
    with pytest.raises(GateError, match="no labelled image of Natrix natrix"):
        gate.measure(logits, logits, evidence([0, 1]), SNAKES)


def test_numbers_that_are_not_finite_are_refused():
    good = np.array([[1.0], [1.0]])
    with pytest.raises(GateError, match="not finite"):
        gate.measure(answering(good), answering(good * np.nan), evidence([0, 1]), MHIST)


@pytest.mark.parametrize("spec", [SNAKES, MHIST, ORAL], ids=lambda spec: spec.name)
def test_decisions_are_those_of_the_decision_step(spec):
    width = spec.logits(next(iter(spec.members)))
    logits = np.random.default_rng(1).normal(0, 3, (400, width)).astype(np.float32)
    logits[:4] = 0
    positive = None if spec.positive is None else 1
    threshold = spec.threshold.default if spec.threshold else None
    if width == 1:
        logits[4] = np.log(threshold / (1 - threshold))
    p = decision.probabilities(logits, len(spec.classes), "member")
    expected = decision.predict(p, positive, threshold)
    np.testing.assert_array_equal(gate.decisions(logits, spec), expected)
