"""Whether an image is of the kind that the models learnt from, read from Triton's tensors."""

import math

from gateway.core.catalog import Pipeline
from gateway.results.shapes import ImageKind, View
from gateway.triton.outputs import Outputs, invalid_model_output
from pipelines.protocol import Output

_VIEWS: tuple[View, ...] = ("picture", "features")
_NOT_JUDGED = -1


def read(outputs: Outputs, pipeline: Pipeline) -> ImageKind:
    """What an answer says of the image of a call; ensembles of every task have these outputs.

    Raises:
        RefusedError: with `model_output` where the tensors contradict each other.
    """
    (typicality,) = outputs.floats(Output.TYPICALITY, 1)
    (typical,) = outputs.ints(Output.TYPICAL, 1)
    (views,) = outputs.ints(Output.TYPICALITY_VIEWS, 1)
    if (reason := not_judged_because(pipeline)) is not None:
        if typical != _NOT_JUDGED or views != 0 or not math.isnan(typicality):
            raise invalid_model_output()
        return {"typical": None, "typicality": None, "views": [], "reason": reason}
    if typical not in {0, 1} or not 0 < views <= len(_VIEWS) or not 0 < typicality <= 1:
        raise invalid_model_output()
    found: ImageKind = {
        "typical": typical == 1,
        "typicality": typicality,
        "views": list(_VIEWS[:views]),
    }
    if not typical and (facts := pipeline.spec.typicality):
        found["recommendation"] = facts.recommendation
    return found


def not_judged_because(pipeline: Pipeline) -> str | None:
    """Why a pipeline does not judge typicality; None where it does."""
    if pipeline.spec.typicality is None:
        return f"{pipeline.name}.yaml says no `typicality`."
    if pipeline.reference is None:
        return (
            "The release has no reference photos: run "
            f"python -m export {pipeline.name} --reference DIR."
        )
    return None


def views_of(pipeline: Pipeline) -> list[View]:
    """What the pipeline compares, where a request names no member."""
    if pipeline.reference is None:
        return []
    return list(_VIEWS if pipeline.reference.features else _VIEWS[:1])
