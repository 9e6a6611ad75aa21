"""What an image cost to compute, in every form of an answer, and as the audit log keeps it."""

from dataclasses import replace

import numpy as np
import pytest

from gateway.errors import RefusedError
from gateway.results.classification import ClassificationResult
from gateway.results.compute import ComputeTime
from gateway.triton.outputs import Outputs, Tensor
from pipelines.enums import Kind
from pipelines.load import load_spec
from pipelines.protocol import Compute, Output
from tests.unit.gateway.results.test_render import RESULT
from tests.unit.gateway.samples import JPEG, RAW, files
from tests.unit.gateway.toy_answers import SECONDS, compute
from tests.unit.gateway.toy_triton import SPEC

pytestmark = pytest.mark.anyio

FORMS = ("/api/v1/predict", "/api/v1/predict/advanced", "/predict")
EACH = SECONDS * 1000


@pytest.mark.parametrize("name", ["oral_cancer", "object_detection", "cervical_lesions"])
async def test_every_form_says_what_an_image_cost(serving, name):
    spec = load_spec(name)
    client = await serving(spec)
    total = EACH * len(spec.parts)
    for path in FORMS:
        answer = (await client.post(path, content=JPEG, headers=RAW)).json()
        assert answer["compute_ms"] == total
        assert "compute_estimated" not in answer
        for model in answer.get("models", {}).values():
            assert model["compute_ms"] == EACH
    batch = (await client.post("/api/v1/predict/batch", files=files(JPEG, b"", JPEG))).json()
    assert [result.get("compute_ms") for result in batch["results"]] == [total, None, total]
    assert batch["summary"]["compute_ms"] == 2 * total


async def test_a_member_that_was_not_asked_costs_nothing(serving):
    client = await serving(SPEC)
    answer = await client.post("/api/v1/predict?member=regnet", content=JPEG, headers=RAW)
    assert answer.json()["compute_ms"] == EACH * 3


async def test_what_the_members_do_not_measure_is_said_to_be_estimated(serving, triton):
    client = await serving(SPEC)
    table = compute(SPEC, {})
    table[1, Compute.MEASURED] = 0
    triton.altered[Output.COMPUTE] = table
    for path in FORMS:
        answer = (await client.post(path, content=JPEG, headers=RAW)).json()
        assert answer["compute_estimated"] is True
    batch = (await client.post("/api/v1/predict/batch", files=files(JPEG))).json()
    assert batch["results"][0]["compute_estimated"] is True


def read(pipeline, table):
    tensor = Tensor(table.tobytes(), "FP32", table.shape)
    return ComputeTime.read(Outputs({Output.COMPUTE: tensor}), pipeline, None)


def pipeline_with(**members):
    spec = SPEC.model_copy(update={"members": SPEC.members | members})
    return replace(RESULT.pipeline, spec=spec)


def test_a_member_on_a_gpu_is_told_apart_from_cpu_time():
    on_gpu = SPEC.members["vgg16"].model_copy(update={"kind": Kind.GPU})
    table = compute(SPEC, {})
    table[1, Compute.MEASURED] = 0
    found = read(pipeline_with(vgg16=on_gpu), table)
    assert found.seconds(Kind.GPU) == SECONDS
    assert found.seconds(Kind.CPU) == 3 * SECONDS
    assert found.as_json() == {
        "decode": {"seconds": SECONDS, "device": "cpu"},
        "vgg16": {"seconds": SECONDS, "device": "gpu", "estimated": True},
        "regnet": {"seconds": SECONDS, "device": "cpu"},
        "decision": {"seconds": SECONDS, "device": "cpu"},
    }


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_seconds_that_are_none_are_no_answer(value):
    table = compute(SPEC, {})
    table[2, Compute.SECONDS] = value
    with pytest.raises(RefusedError, match="does not fit"):
        read(pipeline_with(), table)


def test_a_result_holds_what_it_cost():
    assert isinstance(RESULT, ClassificationResult)
    assert RESULT.compute.seconds() == pytest.approx(0.008)
