"""Decision steps read what members on a GPU answer: Triton leaves it there unless asked."""

import json

import numpy as np
import pytest

from inference.decode import decode
from inference.rules import DecodeRules
from pipelines import protocol
from pipelines.enums import Measure, QualityWarning
from pipelines.load import load_spec
from pipelines.protocol import DetectorOutput
from server.backends.detection.model import TritonPythonModel as Detection
from server.backends.members import Model, run_in_triton
from server.backends.weighted_ensemble.model import TritonPythonModel as WeightedEnsemble
from tests.photos import encoded, photo
from tests.unit.server import python_backend
from tests.unit.server.python_backend import Received, answer

pytestmark = pytest.mark.usefixtures("triton")


def started(step, spec):
    parameters = {protocol.PIPELINE_PARAMETER: {"string_value": spec.model_dump_json()}}
    config = {"max_batch_size": spec.serving.max_batch, "parameters": parameters}
    model = step()
    model.initialize({"model_name": "decision", "model_config": json.dumps(config)})
    return model


def test_a_tensor_on_a_gpu_cannot_be_read():
    """The stand-in is as strict as Triton: without the wish for CPU memory the tests fail."""
    python_backend.models["mean"] = lambda inputs: inputs
    pixels = python_backend.Tensor("INPUT__0", np.zeros((1, 2)))
    request = python_backend.InferenceRequest(
        model_name="mean", requested_output_names=["INPUT__0"], inputs=[pixels]
    )
    (tensor,) = request.exec().output_tensors()
    assert not tensor.is_cpu()
    with pytest.raises(python_backend.TritonModelException, match="stored in GPU"):
        tensor.as_numpy()


@pytest.mark.parametrize("batch", [4, 0], ids=["in batches", "one by one"])
def test_calls_side_by_side_bring_their_outputs_to_the_cpu(batch):
    python_backend.models["mean"] = lambda inputs: {
        "OUTPUT__0": inputs["INPUT__0"].mean(axis=(-3, -2))
    }
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    call = (Model("mean", batch, (protocol.MEMBER_OUTPUT,)), pixels)
    for result in run_in_triton([call, call, call]):
        np.testing.assert_array_equal(result[protocol.MEMBER_OUTPUT], pixels.mean(axis=(1, 2)))


@pytest.mark.parametrize("name", ["oral_cancer", "mhist", "snake_species"])
def test_a_classification_decides_on_what_members_on_a_gpu_say(name):
    spec = load_spec(name)
    for member in spec.members:
        logits = np.linspace(0, 1, spec.logits(member), dtype=np.float32)
        python_backend.models[protocol.member_model(name, member)] = lambda inputs, logits=logits: {
            "OUTPUT__0": np.tile(logits, (len(inputs["INPUT__0"]), 1))
        }
    step = started(WeightedEnsemble, spec)
    pixels = np.zeros((2, *spec.preprocessing.size, 3), np.uint8)
    measures = np.arange(14, dtype=np.float32).reshape(2, len(Measure))
    inputs = {
        protocol.PIXELS: pixels,
        protocol.MEASURES: measures,
        protocol.SPENT: np.zeros((2, 3)),
    }
    (response,) = step.execute([Received(inputs)])
    outputs = answer(response)
    assert outputs["probabilities"].shape == (2, len(spec.classes))
    np.testing.assert_array_equal(outputs["quality"], measures)
    assert outputs["quality_warnings"].shape == (2, len(QualityWarning))


@pytest.mark.parametrize("name", ["object_detection", "cervical_lesions"])
def test_a_detector_on_a_gpu_is_read(name):
    spec = load_spec(name)
    (member,) = spec.members
    batch = (1,) if spec.preprocessing.size else ()
    found = {
        DetectorOutput.BOXES: np.array([[100.0, 120.0, 200.0, 260.0]], np.float32),
        DetectorOutput.SCORES: np.array([0.9], np.float32),
        DetectorOutput.CLASSES: np.array([1], np.int64),
        DetectorOutput.MASKS: np.ones((1, 28, 28), np.float32),
    }
    python_backend.models[protocol.member_model(name, member)] = lambda _: {
        str(output): array.reshape(*batch, *array.shape) for output, array in found.items()
    }
    file = encoded(photo(1, 416, 416), "PNG")
    image = decode(file, DecodeRules.from_spec(json.loads(spec.model_dump_json())))
    step = started(Detection, spec)
    inputs = {
        protocol.PIXELS: image.pixels[None],
        protocol.GEOMETRY: image.geometry.as_array()[None],
        protocol.MEASURES: image.measures[None],
        protocol.SPENT: np.zeros((1, 3)),
        protocol.ENCODED_IMAGE: np.array([[file]], dtype=object),
    }
    (response,) = step.execute([Received(inputs)])
    outputs = answer(response)
    assert outputs["scores"].tolist() == [[pytest.approx(0.9)]]
    np.testing.assert_array_equal(outputs["quality"], [image.measures])
