"""Where the members looked, read from Triton's tensors."""

import math

from gateway.core.catalog import Pipeline
from gateway.core.request import RequestParameters
from gateway.results.shapes import Explanation, MemberExplanation
from gateway.triton.outputs import Outputs, invalid_model_output
from pipelines.protocol import Faithfulness, Output


def read(
    outputs: Outputs, pipeline: Pipeline, prediction: int, parameters: RequestParameters
) -> Explanation | None:
    """The explanation of one image; None where the request does not ask for one.

    Args:
        outputs: the tensors.
        pipeline: the facts of the release that answered.
        prediction: index of the predicted class.
        parameters: of the request.

    Raises:
        RefusedError: with `model_output` where they do not fit the pipeline's facts, or where there
            is no explanation though the request asks for one.
    """
    if not parameters.explain:
        return None
    facts, names = pipeline.spec.explanation, list(pipeline.spec.members)
    if facts is None:
        raise invalid_model_output()
    grid, width = facts.grid, len(Faithfulness)
    cells = outputs.floats(Output.EXPLANATION, len(names) * grid**2)
    numbers = outputs.floats(Output.FAITHFULNESS, len(names) * width)
    members = {}
    for name in pipeline.answering_members(parameters.member):
        index = names.index(name)
        own = cells[index * grid**2 : (index + 1) * grid**2]
        members[name] = _member(own, grid, numbers[index * width : (index + 1) * width])
    return {"class": pipeline.spec.classes[prediction], "grid": grid, "members": members}


def _member(cells: list[float], grid: int, numbers: list[float]) -> MemberExplanation:
    score, hottest, random, faithful = numbers
    valid = all(0 <= number <= 1 for number in numbers) and faithful in {0, 1}
    if not valid or not all(math.isfinite(cell) and -1 <= cell <= 1 for cell in cells):
        raise invalid_model_output()
    return {
        "score": score,
        "cells": [cells[start : start + grid] for start in range(0, grid**2, grid)],
        "faithfulness": {
            "hottest_hidden": hottest,
            "random_hidden": random,
            "faithful": faithful == 1,
        },
    }
