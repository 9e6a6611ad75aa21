"""Reads a step's Triton config: the served spec, and parameters that the launcher adds."""

import json
from collections.abc import Mapping
from typing import Any

from inference.rules import Spec
from pipelines.protocol import PIPELINE_PARAMETER


def parameters_of(config: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a model's config, as Triton's JSON has it."""
    return {key: item["string_value"] for key, item in config["parameters"].items()}


def spec_of(parameters: Mapping[str, str]) -> Spec:
    """The spec that a step serves, which is its only source of facts."""
    spec: Spec = json.loads(parameters[PIPELINE_PARAMETER])
    return spec
