"""What every answer says besides what was found: who speaks, and how it came to be."""

from typing import Any

from gateway.core.catalog import Pipeline
from gateway.core.parameters import Choices
from gateway.results.result import Finding

Json = dict[str, Any]


def framed(finding: Finding, choices: Choices, content: Json, *, members: bool = True) -> Json:
    """The content between its origin and its facts.

    Args:
        finding: whose origin and facts they are.
        choices: what the caller chose.
        content: what was found, rendered.
        members: whether to list the artefacts that were heard; not where the content does.
    """
    pipeline = finding.pipeline
    answer: Json = {"pipeline": pipeline.name, "release": pipeline.release}
    if choices.member is not None:
        answer["member"] = choices.member
    answer |= content
    if finding.threshold is not None:
        answer["threshold"] = finding.threshold
    answer["preprocessing"] = pipeline.spec.preprocessing.decoding
    if members:
        answer["members"] = {name: artefact(pipeline, name) for name in finding.heard}
    return answer | demo(pipeline)


def artefact(pipeline: Pipeline, member: str) -> Json:
    """Version and SHA-256 of what a member is."""
    found = pipeline.artefacts[member]
    return {"version": found.version, "sha256": found.sha256}


def demo(pipeline: Pipeline) -> Json:
    """Says of weights for demonstration that they are."""
    return {"weights": "demo"} if pipeline.demo else {}
