"""What a pipeline is, for who chooses among them."""

from gateway.core.catalog import Pipeline
from gateway.results.frame import Json, artefact, demo


def described(pipeline: Pipeline, *, ready: bool) -> Json:
    """One entry of the list of pipelines."""
    spec = pipeline.spec
    weights = pipeline.weights
    return {
        "name": spec.name,
        "title": spec.title,
        "task": spec.task,
        "release": pipeline.release,
        "profile": spec.profile,
        "ready": ready,
        "classes": spec.classes,
        "positive": spec.positive,
        "threshold": spec.threshold and spec.threshold.model_dump(),
        "members": {
            name: {
                "architecture": member.architecture,
                "format": member.format,
                "precision": member.precision,
                "weight": weights[name],
                **artefact(pipeline, name),
            }
            for name, member in spec.members.items()
        },
        "preprocessing": spec.preprocessing.decoding,
        "limits": spec.limits.model_dump(exclude_none=True),
        **demo(pipeline),
    }
