"""A decision step explains single images, after the others of its batch."""

import json
import threading
import time

import numpy as np
import pytest

from pipelines import protocol
from pipelines.enums import Measure
from pipelines.load import load_spec
from pipelines.protocol import Compute, Faithfulness, Output
from server.backends.compute import spent
from server.backends.in_process import Turn
from server.backends.weighted_ensemble.model import TritonPythonModel
from tests.unit.server import python_backend
from tests.unit.server.python_backend import Received, answer

pytestmark = pytest.mark.usefixtures("triton")
SPEC = load_spec("oral_cancer")
MEMBERS = list(SPEC.members)
SIZE, GRID = 224, 7
CELL = SIZE // GRID
PLACES = {"vgg16": (1, 5), "regnet": (4, 0)}
"""The cell that each member looks at: the whiter, the surer of cancer."""
EACH = 0.25
"""Seconds that a member says for each image."""


def sees(place):
    """A member whose second logit follows the white of a cell, from -3 to 3."""
    rows, columns = (slice(at * CELL, (at + 1) * CELL) for at in place)

    def model(inputs):
        pixels = inputs["INPUT__0"]
        white = (pixels[:, rows, columns] > 200).mean(axis=(1, 2, 3))
        logits = np.stack([np.zeros(len(pixels)), 6 * white - 3], axis=1).astype(np.float32)
        calls.append(len(pixels))
        now = time.monotonic()
        return {"OUTPUT__0": logits, protocol.SPENT: spent(EACH, now, now, len(pixels))}

    return model


calls: list[int] = []


@pytest.fixture(autouse=True)
def _members(triton):
    calls.clear()
    for name, place in PLACES.items():
        python_backend.models[protocol.member_model(SPEC.name, name)] = sees(place)


def started(spec=SPEC):
    parameters = {
        protocol.PIPELINE_PARAMETER: spec.model_dump_json(),
        protocol.ConfigOverride.MEASURED: json.dumps(MEMBERS),
    }
    config = {
        "max_batch_size": spec.serving.max_batch,
        "parameters": {name: {"string_value": value} for name, value in parameters.items()},
    }
    step = TritonPythonModel()
    step.initialize({"model_name": "decision", "model_config": json.dumps(config)})
    return step


def picture(*places):
    pixels = np.full((SIZE, SIZE, 3), 30, np.uint8)
    for row, column in places:
        pixels[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = 255
    return pixels


def request(*pictures, began=None, microseconds=0, sent=None, **parameters):
    began = time.monotonic() if began is None else began
    inputs = {
        protocol.PIXELS: np.stack(pictures),
        protocol.MEASURES: np.ones((len(pictures), len(Measure)), np.float32),
        protocol.SPENT: spent(0.125, began, began, len(pictures)),
        protocol.PICTURE: np.zeros((len(pictures), 34), np.float32),
    }
    return Received(inputs, json.dumps(parameters), sent, microseconds)


def explained(step=None, *pictures, spec=SPEC, began=None, microseconds=0, **parameters):
    sent = []
    asked = {"explain": "true", **parameters}
    shown = pictures or (picture(*PLACES.values()),)
    one = request(*shown, sent=sent, began=began, microseconds=microseconds, **asked)
    step = step or started(spec)
    assert step.execute([one]) is None
    step.finalize()
    (response,) = sent
    return response


def test_each_member_s_map_finds_the_cell_that_it_looks_at():
    found = answer(explained())

    assert found[Output.PREDICTION].tolist() == [[1]]
    assert found[Output.EXPLANATION].shape == (1, 2, GRID, GRID)
    score = found[Output.MEMBER_PROBABILITIES][0, :, 1]
    for index, place in enumerate(PLACES.values()):
        cells = found[Output.EXPLANATION][0, index]
        assert np.unravel_index(cells.argmax(), cells.shape) == place
        low = 1 / (1 + np.exp(3))
        assert cells[place] == pytest.approx(score[index] - low, abs=1e-6)
        numbers = found[Output.FAITHFULNESS][0, index]
        assert numbers[Faithfulness.SCORE] == score[index]
        assert numbers[Faithfulness.HOTTEST] == pytest.approx(low, abs=1e-6)
        assert numbers[Faithfulness.RANDOM] == pytest.approx(score[index], abs=1e-6)
        assert numbers[Faithfulness.FAITHFUL] == 1


def test_it_explains_the_class_that_was_decided_and_not_the_positive_one():
    found = answer(explained(None, picture()))
    assert found[Output.PREDICTION].tolist() == [[0]]
    # Nothing white is there to hide: no cell matters.
    np.testing.assert_allclose(found[Output.EXPLANATION], 0, atol=1e-6)
    assert found[Output.FAITHFULNESS][0, :, Faithfulness.FAITHFUL].tolist() == [0, 0]
    np.testing.assert_array_equal(
        found[Output.FAITHFULNESS][0, :, Faithfulness.SCORE],
        found[Output.MEMBER_PROBABILITIES][0, :, 0],
    )


def test_a_member_alone_is_explained_alone():
    found = answer(explained(member="regnet"))
    assert np.isnan(found[Output.EXPLANATION][0, 0]).all()
    assert np.isnan(found[Output.FAITHFULNESS][0, 0]).all()
    assert np.isfinite(found[Output.EXPLANATION][0, 1]).all()


def test_who_does_not_ask_gets_no_cells_and_costs_no_pass():
    (response,) = started().execute([request(picture(), explain="false")])
    found = answer(response)
    assert found[Output.EXPLANATION].shape == (1, 2, 0, 0)
    assert found[Output.FAITHFULNESS].shape == (1, 2, 0)
    assert calls == [1, 1]


def test_a_pipeline_without_explanations_has_no_such_outputs_and_no_such_parameter():
    spec = SPEC.model_copy(update={"explanation": None})
    (response,) = started(spec).execute([request(picture())])
    assert set(answer(response)) == set(Output.of(explained=False))
    (refused,) = started(spec).execute([request(picture(), explain="true")])
    assert "[parameter_unknown]" in refused.error().message()


def test_others_of_the_batch_are_answered_first_and_wait_for_small_passes_alone():
    sent = []
    step = started()
    both = picture(*PLACES.values())
    batch = [request(both, sent=sent, explain="true"), request(both, sent=sent)]
    assert step.execute(batch) is None
    step.finalize()
    shapes = [answer(each)[Output.EXPLANATION].shape for each in sent]
    assert shapes == [(1, 2, 0, 0), (1, 2, GRID, GRID)]
    assert max(calls) <= 4


@pytest.mark.parametrize("batch", [1, 2])
def test_a_call_has_no_more_views_than_a_member_takes(batch):
    members = {
        name: member.model_copy(update={"max_batch": batch if name == "vgg16" else None})
        for name, member in SPEC.members.items()
    }
    answer(explained(spec=SPEC.model_copy(update={"members": members})))
    assert max(calls) <= batch


def test_what_an_explanation_costs_is_counted():
    table = answer(explained())[Output.COMPUTE][0]
    passes = 1 + GRID**2 + 1 + 4
    for part in range(1, 3):
        assert table[part, Compute.SECONDS] == pytest.approx(EACH * passes)
        assert table[part, Compute.BEGAN] > table[part, Compute.ENDED] >= 0
    assert table[0, Compute.SECONDS] == pytest.approx(0.125)
    assert table[3, Compute.SECONDS] > 0


def test_several_images_are_refused():
    response = explained(None, picture(), picture())
    message = response.error().message()
    assert message.startswith("[parameter_invalid] explain: it is for one image.")


def test_no_explanation_begins_that_nobody_waits_for():
    late = time.monotonic() - 2
    response = explained(began=late, microseconds=1_000_000)
    assert response.error().message() == protocol.EXPLANATION_LATE
    assert calls == []


def test_an_explanation_ends_with_its_time():
    began, seconds = time.monotonic(), 0.5
    right = sees(PLACES["vgg16"])

    def slow(inputs):
        while len(calls) >= 6 and time.monotonic() <= began + seconds:
            time.sleep(0.01)
        return right(inputs)

    step = started()
    python_backend.models[protocol.member_model(SPEC.name, "vgg16")] = slow
    response = explained(step, began=began, microseconds=int(seconds * 1e6))
    assert response.error().message() == protocol.EXPLANATION_LATE
    # The call that was under way came to its end, and no other began.
    assert len(calls) <= 8


def test_a_pipeline_s_own_limit_ends_an_explanation_of_a_patient_caller():
    facts = SPEC.explanation.model_copy(update={"seconds": 1e-9})
    response = explained(spec=SPEC.model_copy(update={"explanation": facts}), microseconds=10**9)
    assert response.error().message() == protocol.EXPLANATION_LATE


def test_a_member_that_fails_amid_an_explanation_fails_the_request():
    right = sees(PLACES["vgg16"])

    def broken(inputs):
        found = right(inputs)
        if (inputs["INPUT__0"][0] == 124).any():
            found["OUTPUT__0"][:] = np.nan
        return found

    python_backend.models[protocol.member_model(SPEC.name, "vgg16")] = broken
    assert "[model_output]" in explained().error().message()


def test_an_error_that_no_code_expects_is_answered_and_says_nothing():
    def failing(_inputs):
        raise ValueError("what a request held")

    step = started()
    python_backend.models[protocol.member_model(SPEC.name, "vgg16")] = failing
    response = explained(step)
    assert "what a request held" not in response.error().message()
    assert python_backend.logged


def test_a_turn_goes_to_who_asked_first():
    turn, order, threads = Turn(), [], []

    def worker(name):
        with turn:
            order.append(name)

    with turn:
        for name in range(5):
            threads.append(threading.Thread(target=worker, args=(name,)))
            threads[-1].start()
            while turn._tickets < name + 2:
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]
