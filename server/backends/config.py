"""Reads a model's Triton config: the served spec, parameters, and where the artefact lies."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inference.rules import Spec
from pipelines.enums import Format
from pipelines.native_backends import NativeRefusalError
from pipelines.protocol import PIPELINE_PARAMETER, SPENT


def parameters_of(config: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a model's config, as Triton's JSON has it."""
    return {key: item["string_value"] for key, item in config["parameters"].items()}


def without_spent(config: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """A member's config less the output that the backend adds, and whether it is to add it.

    The launcher asks for `protocol.SPENT`, which no artefact has.
    """
    outputs = [output for output in config.get("output", ()) if output["name"] != SPENT]
    return {**config, "output": outputs}, len(outputs) < len(config.get("output", ()))


def spec_of(parameters: Mapping[str, str]) -> Spec:
    """The spec that a step serves, which is its only source of facts."""
    spec: Spec = json.loads(parameters[PIPELINE_PARAMETER])
    return spec


def artefact_of(args: Mapping[str, str], config: Mapping[str, Any], format_: Format) -> Path:
    """The artefact of a model, whose name is the format's where the config names none.

    Raises:
        NativeRefusalError: there is none.
    """
    name = config.get("default_model_filename") or format_.filename
    path = Path(args["model_repository"], args["model_version"], name)
    if not path.is_file():
        raise NativeRefusalError(
            f"failed to stat file {path}"
            if format_ is Format.ONNX
            else f"unable to find '{path}' for model instance '{args['model_name']}'"
        )
    return path
