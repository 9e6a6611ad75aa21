"""How a candidate's result differs from the one that was given, for each task."""

from dataclasses import replace

import pytest

from gateway.core.catalog import Artefact, Pipeline, Reference
from gateway.core.request import RequestParameters
from gateway.results.task_handlers import handler_of
from gateway.shadow.comparison import difference
from gateway.triton.outputs import Outputs, Tensor
from pipelines.load import load_spec
from tests.unit.gateway.toy_answers import answer_of, encoded
from tests.unit.gateway.toy_triton import DATATYPES, REFERENCE, artefacts_of, release_of


def result_of(name):
    """The result that the toy gives."""
    spec = load_spec(name)
    facts = {key: Artefact.model_validate(each) for key, each in artefacts_of(spec).items()}
    reference = Reference.model_validate(REFERENCE)
    pipeline = Pipeline(spec, facts, release_of(spec), name, reference=reference)
    tensors = {
        key: Tensor(
            encoded(each), "BYTES" if isinstance(each, list) else DATATYPES[each.dtype.name]
        )
        for key, each in answer_of(spec, {}).items()
    }
    return handler_of(pipeline).read(Outputs(tensors), pipeline, RequestParameters({}))


@pytest.fixture(scope="module")
def binary():
    return result_of("oral_cancer")


@pytest.fixture(scope="module")
def multiclass():
    return result_of("snake_species")


@pytest.fixture(scope="module")
def detection():
    return result_of("object_detection")


def test_equal_results_do_not_differ(binary, multiclass, detection):
    for result in (binary, multiclass):
        found = difference(result, result)
        assert found.differs == {"decision": False, "level": False}
        assert (found.values, found.uncertainty) == ([0.0], 0.0)
    found = difference(detection, detection)
    assert found.differs == {"count": False, "boxes": False}
    assert (found.values, found.uncertainty) == ([0.0] * 3, None)


def test_of_two_classes_the_positive_ones_probability_is_compared(binary):
    healthy = replace(binary, probabilities=[0.7, 0.3], prediction=0, level="low", entropy=0.88)
    found = difference(binary, healthy)
    assert found.differs == {"decision": True, "level": True}
    assert found.values == [pytest.approx(0.3 - 0.63)]
    assert found.uncertainty == pytest.approx(0.88 - 0.9506721)
    # Also where the answer was the other class.
    assert difference(healthy, binary).values == [pytest.approx(0.63 - 0.3)]


def test_classes_are_compared_by_name(binary):
    spec = binary.pipeline.spec
    turned = replace(
        binary,
        pipeline=replace(
            binary.pipeline, spec=spec.model_copy(update={"classes": spec.classes[::-1]})
        ),
        probabilities=binary.probabilities[::-1],
        prediction=0,
    )
    found = difference(binary, turned)
    assert found.differs["decision"] is False
    assert found.values == [0.0]


def test_of_several_classes_that_of_the_answer_is_compared(multiclass):
    shifted = [0.5, *multiclass.probabilities[1:]]
    shifted[1] -= 0.13
    found = difference(multiclass, replace(multiclass, probabilities=shifted, prediction=0))
    assert found.differs["decision"] is True
    assert found.values == [pytest.approx(-0.13)]


def test_a_class_that_the_candidate_does_not_know_has_no_probability(multiclass):
    spec = multiclass.pipeline.spec
    classes = tuple(f"other {name}" for name in spec.classes)
    other = replace(multiclass.pipeline, spec=spec.model_copy(update={"classes": classes}))
    found = difference(multiclass, replace(multiclass, pipeline=other))
    assert found.differs["decision"] is True
    assert found.values == [pytest.approx(-0.63)]


@pytest.mark.parametrize(
    ("change", "count", "boxes", "values"),
    [
        (lambda found: found[:2], True, True, [0.0, 0.0]),
        (lambda found: found[::-1], False, False, [0.0, 0.0, 0.0]),
        (lambda found: [{**found[0], "class": "circle"}, *found[1:]], False, True, [0.0, 0.0]),
        (lambda found: [{**found[0], "score": 0.7}, *found[1:]], False, False, [-0.2, 0.0, 0.0]),
        # A third of its width to the side: half of both together is not common.
        (lambda found: [moved(found[0], 34), *found[1:]], False, True, [0.0, 0.0]),
        (lambda found: [moved(found[0], 30), *found[1:]], False, False, [0.0, 0.0, 0.0]),
        # One that was found twice has its like once.
        (lambda found: [*found, found[0]], True, True, [0.0, 0.0, 0.0]),
        (lambda found: [], True, True, []),
    ],
)
def test_detections_are_matched_by_class_and_place(detection, change, count, boxes, values):
    found = difference(detection, replace(detection, objects=change(detection.objects)))
    assert found.differs == {"count": count, "boxes": boxes}
    assert found.values == pytest.approx(values)


def moved(found, pixels):
    left, top, right, bottom = found["box"]
    return {**found, "box": [left + pixels, top, right + pixels, bottom]}


def test_results_of_different_tasks_are_not_compared(binary, detection):
    with pytest.raises(TypeError, match="different tasks"):
        difference(binary, detection)
