"""Tensors that do not fit the pipeline's facts: an error of the service, never an answer."""

import numpy as np
import pytest

from pipelines.load import load_spec
from pipelines.protocol import Detected, Output
from tests.unit.gateway.samples import JPEG, RAW, assert_problem
from tests.unit.gateway.toy_answers import HEIGHT

pytestmark = pytest.mark.anyio

NAN = np.float32("nan")


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        (Detected.BOXES, np.zeros((2, 4), np.float32)),
        (Detected.BOXES, np.array([[0, 0, 1, 641]] * 3, np.float32)),
        (Detected.BOXES, np.array([[0, 0, 641, 1]] * 3, np.float32)),
        (Detected.BOXES, np.array([[-0.5, 0, 1, 1]] * 3, np.float32)),
        (Detected.BOXES, np.array([[5, 0, 4, 1]] * 3, np.float32)),
        (Detected.BOXES, np.array([[0, 0, 1, NAN]] * 3, np.float32)),
        (Detected.SCORES, np.array([0.9, 0.8], np.float32)),
        (Detected.SCORES, np.array([0.9, NAN, 0.5], np.float32)),
        (Detected.SCORES, np.array([1.5, 0.8, 0.5], np.float32)),
        (Detected.CLASSES, np.array([0, 0, 3], np.int32)),
        (Detected.CLASSES, np.array([0, 0, -1], np.int32)),
        (Detected.CLASSES, np.array([0, 0, 1], np.int64)),
        (Detected.AREAS, np.array([1, 2, np.inf], np.float32)),
        (Detected.AREAS, np.array([1, 2, -1], np.float32)),
        (Detected.AREAS, [b"abc"] * 3),
        (Detected.MASKS, [b"{}"] * 3),
        (Detected.MASKS, [b"no json"] * 3),
        (Detected.MASKS, [b'{"size": [480, 641], "counts": "a"}'] * 3),
        (Detected.MASKS, [b'{"size": [480, 640], "counts": "a"}'] * 2),
        (Detected.MASKS, np.zeros(3, np.uint8)),
        (Detected.MASKS, np.array([9], np.int32)),
        (Detected.POLYGONS, [b"[[NaN, 1]]"] * 3),
        (Detected.POLYGONS, [b""]),
        (Detected.IMAGE_SIZE, np.array([0, 0], np.int32)),
        (Detected.IMAGE_SIZE, np.array([HEIGHT], np.int32)),
        (Detected.THRESHOLD, np.array([np.nan], np.float32)),
        (Detected.VISUALIZATION, []),
        (Detected.RELEASE, [b"\xff"]),
    ],
)
async def test_detections_that_do_not_fit_the_facts_are_not_given(serving, triton, name, tensor):
    client = await serving(load_spec("cervical_lesions"))
    triton.altered[name] = tensor
    response = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert_problem(response, 500, "model_output")


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        (Output.MEMBER_PREDICTION, np.array([0, -1, -1], np.int32)),
        (Output.MEMBER_PREDICTION, np.array([0, 2, -1], np.int32)),
        (Output.MEMBER_PROBABILITIES, np.full((3, 2), np.nan, np.float32)),
        (Output.MEMBER_PROBABILITIES, np.zeros((2, 2), np.float32)),
        (Output.PROBABILITIES, np.array([0.1, np.inf], np.float32)),
        (Output.PREDICTION, np.array([2], np.int32)),
        (Output.PREDICTION, np.array([], np.int32)),
        (Output.CONFIDENCE, np.array([np.nan], np.float32)),
        (Output.UNCERTAINTY_LEVEL, np.array([3], np.int32)),
        (Output.PREDICTION_SET, np.array([1, 2], np.int32)),
        (Output.PREDICTION_SET, np.array([-1, 0], np.int32)),
        (Output.PREDICTION_SET, np.array([1], np.int32)),
        (Output.THRESHOLD, np.array([0.4, 0.5], np.float32)),
        (Output.QUALITY, np.zeros(6, np.float32)),
        (Output.QUALITY, np.array([np.inf, 0, 0, 0, 0, 0, 0], np.float32)),
        (Output.QUALITY_WARNINGS, np.zeros(5, np.int32)),
        (Output.QUALITY_WARNINGS, np.array([2, 0, 0, 0, 0, 0], np.int32)),
        (Output.COMPUTE, np.zeros((4, 4), np.float32)),
        (Output.COMPUTE, np.full((5, 4), np.nan, np.float32)),
        (Output.COMPUTE, np.full((5, 4), -1, np.float32)),
        (Output.COMPUTE, np.full((5, 4), 0.5, np.float32)),
    ],
)
async def test_an_opinion_that_does_not_fit_the_facts_is_not_given(serving, triton, name, tensor):
    client = await serving(load_spec("mhist"))
    triton.altered[name] = tensor
    response = await client.post("/api/v1/predict", content=JPEG, headers=RAW)
    assert_problem(response, 500, "model_output")
