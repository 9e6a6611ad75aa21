"""What an image costs is measured where it is computed, and travels to the answer."""

import json
import time

import numpy as np
import onnx
import pytest

from pipelines import protocol
from pipelines.enums import Measure
from pipelines.load import load_spec
from pipelines.protocol import Compute, ConfigOverride, Spent
from server.backends import decoding
from server.backends.compute import Meter, compute_tensor, spent
from server.backends.decoding import Decoder
from server.backends.image_decode.model import TritonPythonModel as ImageDecode
from server.backends.onnxruntime.model import TritonPythonModel as OnnxRuntime
from server.backends.weighted_ensemble.model import TritonPythonModel as WeightedEnsemble
from tests import photos
from tests.unit.server import python_backend
from tests.unit.server.python_backend import Received, answer
from tests.unit.server.test_decoding import RULES

pytestmark = pytest.mark.usefixtures("triton")
SPEC = load_spec("oral_cancer")
MEMBERS = list(SPEC.members)
PHOTO = photos.encoded(photos.photo(1))
SLACK = 0.005
"""Of CPU time, between two readings of the clock."""


def burn(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_the_images_of_a_pass_share_its_cpu_time():
    meter, before = Meter(), time.monotonic()
    meter.begin()
    begun = time.monotonic()
    burn(0.03)
    time.sleep(0.01)
    ending = time.monotonic()
    each = meter.end(3)
    assert each.shape == (3, len(Spent))
    assert each[:, Spent.SECONDS] == pytest.approx(0.01, abs=SLACK)
    assert ((before <= each[:, Spent.BEGAN]) & (each[:, Spent.BEGAN] <= begun)).all()
    assert ((ending <= each[:, Spent.ENDED]) & (each[:, Spent.ENDED] <= time.monotonic())).all()


def test_cpu_time_is_counted_once_and_that_after_a_pass_counts_to_the_next():
    meter, before, counted = Meter(), time.process_time(), 0.0
    for _ in range(5):
        meter.begin()
        burn(0.004)
        counted += meter.end(1)[0, Spent.SECONDS]
        burn(0.004)  # the answer is handed over
    assert counted == pytest.approx(time.process_time() - before - 0.004, abs=SLACK)


def test_what_an_idle_process_takes_is_no_image_s():
    meter = Meter()
    burn(0.1)
    meter.begin()
    assert meter.end(1)[0, Spent.SECONDS] < 0.01 + SLACK


def test_a_pass_on_a_gpu_costs_the_time_that_it_takes():
    meter, before = Meter(on_gpu=True), time.monotonic()
    meter.begin()
    time.sleep(0.02)
    each = meter.end(2)[:, Spent.SECONDS]
    assert (each >= 0.01).all()
    assert (each <= (time.monotonic() - before) / 2).all()


def test_parts_that_did_not_run_cost_nothing_and_began_never():
    now = time.monotonic()
    table = compute_tensor(2, 4, {0: spent(0.5, now - 2, now - 1, 2), 3: spent(0.1, now, now)}, {3})
    assert table.shape == (2, 4, len(Compute))
    assert table.dtype == np.float32
    np.testing.assert_allclose(table[:, :, Compute.SECONDS], [[0.5, 0, 0, 0.1]] * 2)
    np.testing.assert_array_equal(table[:, :, Compute.MEASURED], [[1, 1, 1, 0]] * 2)
    assert np.isnan(table[:, 1:3, Compute.BEGAN]).all()
    np.testing.assert_allclose(table[:, 0, Compute.BEGAN], 2, atol=0.5)
    np.testing.assert_allclose(table[:, 0, Compute.ENDED], 1, atol=0.5)


def test_decoding_is_measured_for_each_image():
    decoder = Decoder(RULES)
    large = photos.encoded(photos.photo(1, 4000, 3000))
    small, costly = decoder(PHOTO)[protocol.SPENT], decoder(large)[protocol.SPENT]
    assert 0 < small[Spent.SECONDS] < costly[Spent.SECONDS]
    assert small[Spent.BEGAN] < small[Spent.ENDED] <= costly[Spent.BEGAN]
    decoder.close()


def test_decoding_in_a_child_is_counted(monkeypatch):
    decoder = Decoder(RULES)
    large = photos.encoded(photos.photo(1, 4000, 3000))
    here = decoder(large)[protocol.SPENT][Spent.SECONDS]
    monkeypatch.setattr(decoding, "_SECONDS_HERE", 0)
    there = decoder(large)[protocol.SPENT][Spent.SECONDS]
    assert decoder._process.pid is not None
    assert there > here / 2
    decoder.close()


def test_the_images_of_a_batch_share_what_the_decode_step_does_beside_them():
    config = {
        "max_batch_size": 16,
        "parameters": {protocol.PIPELINE_PARAMETER: {"string_value": SPEC.model_dump_json()}},
        "output": [{"name": protocol.PIXELS}, {"name": protocol.SPENT}],
    }
    step = ImageDecode()
    step.initialize({"model_name": "decode", "model_config": json.dumps(config)})
    files = np.array([[PHOTO]] * 2, dtype=object)
    step.execute([Received({protocol.ENCODED_IMAGE: files})])  # modules are imported
    before = time.process_time()
    requests = [Received({protocol.ENCODED_IMAGE: files}), Received({"image": files[:1]})]
    found = [answer(each)[protocol.SPENT] for each in step.execute(requests)]
    assert [each.shape for each in found] == [(2, 3), (1, 3)]
    seconds = sum(each[:, Spent.SECONDS].sum() for each in found)
    assert seconds == pytest.approx(time.process_time() - before, abs=0.01 + SLACK)
    step.finalize()


def member(folder, said, batch=4):
    """A member of the stand-in for ONNX Runtime: twice what it is given."""
    (folder / "1").mkdir(exist_ok=True)
    graph = '<ir_version: 8, opset_import: ["": 17]> twice (float[N, 2] INPUT__0) => (float[N, 2] out) {out = Add (INPUT__0, INPUT__0)}'  # noqa: E501 - ONNX
    onnx.save(onnx.parser.parse_model(graph), folder / "1" / "model.onnx")
    outputs = [{"name": "out", "data_type": "TYPE_FP32", "dims": [2]}]
    if said:
        outputs.append({"name": protocol.SPENT, "data_type": "TYPE_FP64", "dims": [3]})
    config = {
        "max_batch_size": batch,
        "input": [{"name": "INPUT__0", "data_type": "TYPE_FP32", "dims": [2]}],
        "output": outputs,
        "instance_group": [{"count": 1}],
        "default_model_filename": "",
        "parameters": {},
    }
    model = OnnxRuntime()
    model.initialize(
        {
            "model_name": "twice",
            "model_repository": str(folder),
            "model_version": "1",
            "model_instance_kind": "CPU",
            "model_instance_device_id": "0",
            "model_config": json.dumps(config),
        }
    )
    return model


def test_a_member_says_what_it_spent_where_the_launcher_asks_for_it(tmp_path):
    pixels = np.ones((3, 2), np.float32)
    requests = [Received({"INPUT__0": pixels[:1]}), Received({"INPUT__0": pixels})]
    first, second = map(answer, member(tmp_path, said=True).execute(requests))
    assert first[protocol.SPENT].shape == (1, 3)
    assert second[protocol.SPENT].shape == (3, 3)
    # All four shared the pass.
    np.testing.assert_array_equal(second[protocol.SPENT], np.tile(first[protocol.SPENT], (3, 1)))
    assert first[protocol.SPENT][0, Spent.SECONDS] > 0
    np.testing.assert_array_equal(second["out"], 2 * pixels)
    unasked = member(tmp_path, said=False).execute(requests)
    assert [list(answer(each)) for each in unasked] == [["out"], ["out"]]


def decision(measured):
    parameters = {
        protocol.PIPELINE_PARAMETER: SPEC.model_dump_json(),
        ConfigOverride.MEASURED: json.dumps(measured),
    }
    config = {
        "max_batch_size": SPEC.serving.max_batch,
        "parameters": {name: {"string_value": value} for name, value in parameters.items()},
    }
    step = WeightedEnsemble()
    step.initialize({"model_name": "decision", "model_config": json.dumps(config)})
    return step


def compute_of(step, images=2, **parameters):
    now = time.monotonic()
    for name in MEMBERS:
        python_backend.models[protocol.member_model(SPEC.name, name)] = lambda inputs: {
            "OUTPUT__0": np.zeros((len(inputs["INPUT__0"]), 2), np.float32),
            protocol.SPENT: spent(0.25, now - 0.75, now - 0.5, len(inputs["INPUT__0"])),
        }
    inputs = {
        protocol.PIXELS: np.zeros((images, 224, 224, 3), np.uint8),
        protocol.MEASURES: np.ones((images, len(Measure)), np.float32),
        protocol.SPENT: spent(0.125, now - 2, now - 1, images),
    }
    (response,) = step.execute([Received(inputs, json.dumps(parameters))])
    table = answer(response)["compute"]
    assert table.shape == (images, len(SPEC.parts), len(Compute))
    return {part: table[:, index] for index, part in enumerate(SPEC.parts)}


def test_an_answer_has_the_compute_time_of_each_part():
    found = compute_of(decision(MEMBERS))
    assert list(found) == ["decode", "vgg16", "regnet", "decision"]
    np.testing.assert_allclose(found["decode"][:, Compute.SECONDS], 0.125)
    for name in MEMBERS:
        np.testing.assert_allclose(found[name][:, Compute.SECONDS], 0.25)
        assert (found[name][:, Compute.MEASURED] == 1).all()
        assert (found[name][:, Compute.BEGAN] > found[name][:, Compute.ENDED]).all()
    assert (found["decision"][:, Compute.SECONDS] > 0).all()
    assert (found["decision"][:, Compute.ENDED] < found["decision"][:, Compute.BEGAN]).all()


def test_a_member_whose_backend_does_not_measure_is_estimated_by_the_wait():
    found = compute_of(decision(["regnet"]))
    assert (found["regnet"][:, Compute.MEASURED] == 1).all()
    assert (found["vgg16"][:, Compute.MEASURED] == 0).all()
    shared = (found["vgg16"][:, Compute.BEGAN] - found["vgg16"][:, Compute.ENDED]) / 2
    np.testing.assert_allclose(found["vgg16"][:, Compute.SECONDS], shared, rtol=0.05)


def test_a_member_that_was_not_asked_costs_nothing():
    found = compute_of(decision(MEMBERS), member="regnet")
    assert (found["vgg16"][:, Compute.SECONDS] == 0).all()
    assert np.isnan(found["vgg16"][:, Compute.BEGAN]).all()
    np.testing.assert_allclose(found["regnet"][:, Compute.SECONDS], 0.25)
