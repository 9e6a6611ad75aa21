"""Makes artefacts with random weights for pipelines that have none; the compute cost is the same.

A detector is trained for a moment, as its demo is, so that it has the demo's architecture; what
follows the network (boxes, masks) is less work than with real findings.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.service.scratch import Scratch
from pipelines import protocol
from pipelines.enums import Task
from pipelines.load import load_definition, load_spec
from pipelines.spec import PipelineSpec

OnStep = Callable[[str], None]


def has_weights(pipeline: str, repository: Path) -> bool:
    """Whether a repository has a version of every member that the default profile serves."""
    spec = load_spec(pipeline)
    return all(
        any((repository / protocol.member_model(pipeline, member)).glob("[0-9]*/manifest.json"))
        for member in spec.members
    )


def make(pipeline: str, place: Scratch, on_step: OnStep) -> None:
    """Exports a pipeline with random weights, unless it was done before.

    Members in INT8 are left out: they are alternatives, and need labelled photos.

    Raises:
        ExportError: the export refuses it.
    """
    place.facts(pipeline, without_int8)
    if _all_there(pipeline, place):
        place.configs(pipeline)
        return
    from export import releases, versions  # noqa: PLC0415 - torch: not needed where all is there
    from export.repository import ModelRepository  # noqa: PLC0415

    on_step(f"{pipeline}: random weights")
    whole = load_definition(pipeline, place.specs)
    for member in whole.members:
        shutil.rmtree(
            place.repository / protocol.member_model(pipeline, member), ignore_errors=True
        )
    place.configs(pipeline)
    spec = load_spec(pipeline, place.specs)
    folder = place.folder / "checkpoints" / pipeline
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = _checkpoints(spec, folder)
    repository = ModelRepository(place.repository)
    exported = versions.export(
        whole, files, repository, members=list(spec.members), on_step=on_step
    )
    releases.make(whole, repository, {each.member: each.manifest.version for each in exported})
    shutil.rmtree(folder)


def without_int8(facts: dict[str, Any]) -> None:
    """Takes the members in INT8 out of a YAML's content, and the profiles, which name them."""
    facts["members"] = {
        name: member for name, member in facts["members"].items() if "quantisation" not in member
    }
    facts.pop("profiles", None)


def _all_there(pipeline: str, place: Scratch) -> bool:
    spec = load_spec(pipeline, place.specs)
    return all(
        any(
            (place.repository / protocol.member_model(pipeline, member)).glob(
                "[0-9]*/manifest.json"
            )
        )
        for member in spec.members
    )


def _checkpoints(spec: PipelineSpec, folder: Path) -> dict[str, Path]:
    if spec.task is Task.CLASSIFICATION:
        return {name: _random(spec, name, folder) for name in spec.members}
    if spec.task is Task.SEGMENTATION:
        from demo import mask_rcnn_fitting, mask_rcnn_training  # noqa: PLC0415

        moment = mask_rcnn_fitting.Schedule(epochs=1, batch=4, rate=1e-4)
        return mask_rcnn_training.train(spec, folder, drawings=4, held_out=2, schedule=moment).files
    from demo import yolos_fitting, yolos_training  # noqa: PLC0415

    moments = yolos_fitting.Schedule(epochs=1, batch=8, rate=1e-4, matrix_rate=1e-4)
    return yolos_training.train(spec, folder, drawings=32, held_out=2, schedule=moments).files


def _random(spec: PipelineSpec, member: str, folder: Path) -> Path:
    import torch  # noqa: PLC0415

    from export import architectures  # noqa: PLC0415

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = architectures.build(spec.members[member].architecture, spec.logits(member))
    path = folder / f"{member}.pt"
    torch.save({"state_dict": model.state_dict(), "weights": "demo"}, path)
    return path
